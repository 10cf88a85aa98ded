"""All methods of all resources, with valid and invalid arguments derived from their annotations."""

from __future__ import annotations

import datetime as dt
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

from connectycube.rest import AsyncConnectyCube, ConnectyCube, Omit, filters, inputs, models

NAMES = {"models": models, "inputs": inputs, "filters_": filters, "Omit": Omit}

OPEN = (inputs.AttachmentInput, inputs.CustomObjectInput, inputs.CustomObjectChangeInput)
"""Objects that take any further key."""

HELPERS = {"files.upload", "files.download", "files.url"}
"""Written by hand, with arguments that are no fields of the wire; they have tests of their own."""

NEEDED: dict[str, dict[str, Any]] = {
    "custom_objects.delete_by_criteria": {"filters": {"rating": 5}},
    "dialogs.update_admins": {"push_all": {"admins_ids": [5]}},
    "messages.create": {"chat_dialog_id": "66f1b0a4e4b0d93a51c8e411"},
    "messages.update_reactions": {"add": "wave"},
    "push_events.create": {"user": {"ids": [5]}},
    "sessions.login": {"login": "alice", "password": "wonderland"},
    "users.create": {"login": "alice"},
}
"""What a smallest call needs beside its required arguments."""


def resources(kind: type = ConnectyCube) -> dict[str, type]:
    """The class of each resource of a client."""
    cube = kind("1", "key")
    found = {
        name: type(getattr(cube, name))
        for name, entry in inspect.getmembers(kind)
        if not name.startswith("_") and type(entry).__name__ == "lazy"
    }
    return dict(sorted(found.items()))


def methods(kind: type = ConnectyCube) -> dict[str, Callable[..., Any]]:
    """All methods by `resource.name`."""
    return {
        f"{resource}.{name}": method
        for resource, owner in resources(kind).items()
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


METHODS = {name: method for name, method in methods().items() if name not in HELPERS}
ASYNC_METHODS = {name: method for name, method in methods(AsyncConnectyCube).items() if name not in HELPERS}


def parameters(method: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(method).parameters)
    found.pop("self")
    return found


def hints(method: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a method's arguments."""
    names = {**method.__globals__, **NAMES}
    return {name: eval(entry.annotation, names) for name, entry in parameters(method).items()}


def smallest(name: str) -> dict[str, Any]:
    """The arguments of a smallest right call, by name."""
    method = METHODS[name]
    annotations = hints(method)
    required = {key for key, entry in parameters(method).items() if entry.default is inspect.Parameter.empty}
    return {**{key: right(annotations[key]) for key in required}, **NEEDED.get(name, {})}


def call(owner: object, name: str, arguments: Mapping[str, Any]) -> Any:
    """Call a method of a client; what has no default may stand by position."""
    resource, _, method = name.partition(".")
    return getattr(getattr(owner, resource), method)(**arguments)


def keys(hint: Any) -> dict[str, tuple[Any, bool]]:
    """The keys of a TypedDict: type, and whether it must be there."""
    found = get_type_hints(hint, localns=NAMES, include_extras=True)
    return {
        name: (get_args(entry)[0] if get_args(entry) and is_marked(entry) else entry, get_origin(entry) is Required)
        for name, entry in found.items()
    }


def is_marked(hint: Any) -> bool:
    return getattr(get_origin(hint), "__name__", getattr(get_origin(hint), "_name", "")) in ("Required", "NotRequired")


def parts(hint: Any) -> list[Any]:
    """The members of a union."""
    if get_origin(hint) in (Union, UnionType):
        return [part for member in get_args(hint) for part in parts(member)]
    return [hint]


def right(hint: Any) -> Any:
    """A value that fits an annotation."""
    part = next(part for part in parts(hint) if part in SIMPLE or is_typeddict(part) or not inspect.isclass(part))
    if part in SIMPLE:
        return SIMPLE[part]
    if is_typeddict(part):
        found = {name: right(kind) for name, (kind, required) in keys(part).items() if required}
        return found or {name: right(kind) for name, (kind, _) in list(keys(part).items())[:1]}
    origin = get_origin(part)
    if origin is Literal:
        return get_args(part)[0]
    if origin is Iterable:
        return [right(get_args(part)[0])]
    if origin is Mapping:
        return {"key": right(get_args(part)[1])}
    raise AssertionError(f"no value for {part}")


SIMPLE: dict[Any, Any] = {
    Any: "anything",
    str: "2345678901",
    int: 5,
    float: 1.5,
    bool: True,
    dt.datetime: dt.datetime(2026, 2, 3, tzinfo=dt.UTC),
}

NAIVE = dt.datetime(2026, 2, 3)
SURROGATE = "a\ud800b"


def wrong(hint: Any) -> Iterator[Any]:
    """Values that do not fit an annotation, nor what else the annotation allows."""
    members = parts(hint)
    if Any in members:
        yield from (object(), b"bytes", {5: "x"}, [object()], math.nan, SURROGATE, {"x": {SURROGATE: 1}}, 2**70)
        return
    yield from (object(), b"bytes", math.nan, math.inf, NAIVE, object)
    texts = str in members
    numbers = int in members or float in members
    yield SURROGATE
    if not texts:
        yield from ("", "text", "12")
    if not numbers:
        yield 5 if not any(get_origin(part) is Literal and 5 in get_args(part) for part in members) else 77
    elif float not in members and dt.datetime not in members:
        yield 1.5
    if numbers:
        yield from (2**70, -(10**5000))
    if bool not in members:
        yield True
    sequences = [part for part in members if get_origin(part) is Iterable]
    if not sequences:
        yield [right(hint)]
    for part in sequences:
        inner = get_args(part)[0]
        yield from ([object()], bytearray(b"12"), *([] if inner is Any else [(None,)]))
        yield from ([value] for value in wrong(inner))
    mappings = [part for part in members if get_origin(part) is Mapping]
    typed = [part for part in members if is_typeddict(part)]
    if not mappings and not typed:
        yield {"key": "value"}
    for part in mappings:
        yield from ({5: "x"}, {"": "x"}, {SURROGATE: "x"})
        yield from ({"key": value} for value in wrong(get_args(part)[1]))
    for part in typed:
        yield from wrong_objects(part)


def wrong_objects(hint: Any) -> Iterator[dict[Any, Any]]:
    full = right(hint)
    yield {**full, 5: 1}
    if hint not in OPEN:
        yield {**full, "no such key": 1}
    for name, (kind, required) in keys(hint).items():
        if required:
            yield {key: value for key, value in full.items() if key != name}
            yield {**full, name: None}
        yield from ({**full, name: value} for value in wrong(kind) if value is not None)
