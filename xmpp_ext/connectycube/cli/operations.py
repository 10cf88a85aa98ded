"""A command for each operation of the REST client, made from its signature and docstring when it is asked for."""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import inspect
import json
import operator
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import attrs
from cyclopts import App, Parameter, Token

from connectycube.rest import Omit, filters, inputs, models

from .common import Options, UsageError, flag, secret_from
from .output import Printer, progress

__all__ = ["methods"]

SECRETS: Final = frozenset(["access_token", "old_password", "password", "secret", "token"])
"""Arguments that are never taken from the command line itself."""

SECRET_HELP: Final = "Not the secret itself, but `-` (prompt or standard input), `env:NAME` or `file:PATH`."


class Progress:
    """Stands for a callback, in place of which the commands show a progress bar."""


SOURCE: Final = Annotated[
    Path, Parameter(help="Path of the file, or `-` for standard input.", allow_leading_hyphen=True)
]
TARGET: Final = Annotated[
    Path, Parameter(help="Path to write to (default: standard output). The file appears only once it is complete.")
]

NAMES: Final[dict[str, Any]] = {
    "models": models,
    "inputs": inputs,
    "filters_": filters,
    "Omit": Omit,
    # On the command line, files are paths.
    "AsyncSource": SOURCE,
    "Target": TARGET,
    "Progress": Progress,
    # What methods return; only the page makes a difference.
    "PendingPage": list,
}


def methods(resource: str) -> dict[str, Callable[..., Any]]:
    """Return the operations of a resource of the REST client, by name."""
    module = importlib.import_module(f"connectycube.rest.resources.{resource}")
    owner = getattr(module, "Async" + resource.title().replace("_", ""))
    return {name: method for name, method in inspect.getmembers(owner, inspect.isfunction) if name[0] != "_"}


def __getattr__(name: str) -> App:
    # cyclopts gets the commands of a resource as an attribute of this module: `of_dialogs`.
    if not name.startswith("of_"):
        raise AttributeError(name)
    resource = name.removeprefix("of_")
    app = App(name=resource.replace("_", "-"))
    for operation, method in methods(resource).items():
        app.command(command(resource, operation, method), name=operation.replace("_", "-"))
    return app


# -- commands


def command(resource: str, operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of a command."""
    original = inspect.signature(method, locals=NAMES, eval_str=True)
    pages = "PendingPage" in str(method.__annotations__["return"])
    documented = descriptions(method.__doc__ or "")
    parameters = [
        parameter(entry, documented.get(entry.name, ""))
        for entry in list(original.parameters.values())[1:]
        if Progress not in members(entry.annotation)
    ]
    defaults = {entry.name: entry.default for entry in parameters}
    shows_progress = any(Progress in members(entry.annotation) for entry in original.parameters.values())
    common: dict[str, tuple[Any, Any]] = {"options": (Options | None, None)}
    if pages:
        common["all"] = (Annotated[bool, flag("Print the whole list, not only one page.")], False)
    signature = inspect.Signature(
        [
            *parameters,
            *(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)
                for name, (hint, default) in common.items()
            ),
        ]
    )

    async def run(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        options: Options = given.pop("options", None) or Options()
        everything: bool = given.pop("all", False)
        arguments = {name: ready(value) for name, value in given.items() if value is not defaults[name]}
        printer = Printer(options)
        if method.__qualname__ == "AsyncFilesHelpers.download" and "to" not in arguments and sys.stdout.isatty():
            raise UsageError("the file would be written to the terminal: give a path, or redirect the output")
        async with options.cube(login=needs_session(resource, operation)) as cube:
            with progress(options, shows_progress) as bar:
                result = getattr(getattr(cube, resource), operation)(**arguments, **bar)
                if everything:
                    await printer.stream(result)
                else:
                    printer.print(await result if inspect.isawaitable(result) else result)

    made: Any = run
    made.__signature__ = signature
    made.__name__ = operation
    made.__doc__ = described(method.__doc__ or "")
    return run


def needs_session(resource: str, operation: str) -> bool:
    """Return whether an operation needs a session. Helpers that make several calls do."""
    calls = importlib.import_module(f"connectycube.rest._calls.{resource}")
    found = {getattr(value, "name", ""): getattr(value, "security", ()) for value in vars(calls).values()}
    return "session" in found.get(f"{resource}.{operation}", ("session",))


def ready(value: Any) -> Any:
    """Return an argument as the client takes it: times without a zone are local ones, and `-` is a stream.

    :raises UsageError: if a time is too far in the past or future.
    """
    if value == Path("-"):
        return sys.stdin.buffer
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        try:
            return value.astimezone()
        except (OverflowError, OSError, ValueError) as error:
            raise UsageError(f"the time {value} is out of range") from error
    if isinstance(value, dict):
        return {key: ready(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [ready(entry) for entry in value]
    return value


# -- help


def described(doc: str) -> str:
    """Return the part of a method's docstring that makes sense on the command line."""
    kept = []
    for paragraph in inspect.cleandoc(doc).split("\n\n"):
        if paragraph.startswith(":"):
            break
        if not re.match(r"`[A-Z]+ /", paragraph):
            kept.append(" ".join(paragraph.split()))
    return "\n\n".join(kept)


def descriptions(doc: str) -> dict[str, str]:
    """Return what a docstring says about arguments or keys."""
    found = re.findall(r"^:(?:param|ivar) (\w+): (.*(?:\n .*)*)", inspect.cleandoc(doc), re.MULTILINE)
    return {name: sentence(text) for name, text in found}


def sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


# -- the types of options


def parameter(entry: inspect.Parameter, help: str) -> inspect.Parameter:
    """Return an argument of a method as a parameter of the command: an option, or an argument for an id in a path."""
    kind, default = entry.kind, entry.default
    if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
        kind = inspect.Parameter.POSITIONAL_ONLY
    hint = option(entry.annotation, entry.name)
    if default is not inspect.Parameter.empty:
        hint = hint | None
    if default is Omit.OMIT:
        hint = Annotated[hint, Parameter(negative_none="reset-", show_default=False)]
    return entry.replace(kind=kind, annotation=Annotated[hint, explained(entry.name, entry.annotation, help)])


def explained(name: str, hint: Any, help: str) -> Parameter:
    """Return the help of an option: what the docstring says, and how to write the value."""
    found = members(hint)
    if SOURCE in found or TARGET in found:
        return Parameter()
    if help.startswith("See `"):
        help = "Filters by field."
    objects = [part for entry in found if get_origin(entry) is Iterable for part in members(get_args(entry)[0])]
    typed = [entry for entry in found if is_typeddict(entry)]
    metavar = None
    if name in SECRETS:
        help += " " + SECRET_HELP
    elif any(map(is_typeddict, objects)):
        names = ", ".join(key for entry in objects if is_typeddict(entry) for key in entry.__annotations__)
        help, metavar = f"{help} Each is a JSON object with: {names}.", "JSON"
    elif typed and len(found) > 1 and not any(get_origin(entry) is Mapping for entry in found):
        help += f" Or with an operator: {' '.join('.' + key for key in typed[0].__annotations__)}"
    elif found and all(get_origin(entry) is Mapping for entry in found):
        help += " Each as `.NAME VALUE`, or all as a JSON object."
    elif not typed and any(get_origin(entry) is Mapping for entry in found):
        help += " A mapping is written as a JSON object."
    return Parameter(help=help, metavar=metavar)


def option(hint: Any, name: str = "") -> Any:
    """Return the type of an option for the annotation of an argument."""
    if name in SECRETS:
        return Annotated[str, Parameter(converter=secret, allow_leading_hyphen=True)]
    found = members(hint)
    lists = [entry for entry in found if get_origin(entry) is Iterable]
    if lists:  # Of one id or several, several.
        return GenericAlias(list, (option(get_args(lists[0])[0]),))
    mappings = [entry for entry in found if get_origin(entry) is Mapping]
    typed = [entry for entry in found if is_typeddict(entry)]
    if typed and not (mappings and get_origin(mappings[0]) and get_args(mappings[0])[1] is Any):
        rest = [option(entry) for entry in found if entry not in typed and entry not in mappings]
        return union([*rest, operators(typed[0]) if rest else keys(typed[0])])
    if mappings and len(mappings) == len(found):
        inner = members(get_args(mappings[0])[1])
        mixed = len(inner) > 1 and any(map(is_typeddict, inner))
        return GenericAlias(dict, (str, TEXT_OR_OBJECT if mixed else option(union(inner))))
    if mappings or Any in found or object in found:
        return TEXT_OR_OBJECT if str in found else ANYTHING
    # The names of a text's choices say no more than the choices.
    return union([entry for entry in found if not (inspect.isclass(entry) and issubclass(entry, StrEnum))])


def members(hint: Any) -> list[Any]:
    """Return the members of an annotation, without `None` and the objects that stand for their ids."""
    if get_origin(hint) in (Union, UnionType):
        return [entry for part in get_args(hint) for entry in members(part)]
    if hint is NoneType or hint is Literal[Omit.OMIT] or attrs.has(hint):
        return []
    return [hint]


def union(hints: list[Any]) -> Any:
    return functools.reduce(operator.or_, hints)


def keys(hint: Any) -> Any:
    """Return a `TypedDict` whose keys have the types of options. The client checks which are required."""
    documented = descriptions(hint.__doc__ or "")
    fields = {}
    for name, entry in get_type_hints(hint, localns=NAMES).items():
        fields[name] = option(entry, name)
        if not (members(entry) and is_typeddict(members(entry)[0])):
            fields[name] = Annotated[fields[name], explained(name, entry, documented.get(name, ""))]
    return typed_dict(hint.__name__, fields)


def operators(hint: Any) -> Any:
    """Return the operators of a filter's field. Its help lists them, so that they don't take a line each."""
    fields = {
        name: Annotated[option(entry), Parameter(show=False)]
        for name, entry in get_type_hints(hint, localns=NAMES).items()
    }
    return typed_dict(hint.__name__, fields)


def typed_dict(name: str, fields: Mapping[str, Any]) -> Any:
    # Type checkers don't let a TypedDict be made from a variable.
    return vars(typing)["TypedDict"](name, dict(fields), total=False)


def secret(kind: Any, tokens: list[Token]) -> str:
    token = tokens[0]
    return secret_from(token.value, (token.keyword or "the secret").lstrip("-"))


def anything(kind: Any, tokens: list[Token]) -> Any:
    """Read a value whose type is unknown: JSON if it is that, or else text."""
    try:
        return json.loads(tokens[0].value)
    except (ValueError, RecursionError):
        return tokens[0].value


def text_or_object(kind: Any, tokens: list[Token]) -> Any:
    """Read a text, or a JSON object."""
    value = anything(kind, tokens)
    return value if isinstance(value, dict) else tokens[0].value


ANYTHING: Final = Annotated[Any, Parameter(converter=anything, n_tokens=1)]
TEXT_OR_OBJECT: Final = Annotated[Any, Parameter(converter=text_or_object, n_tokens=1)]
