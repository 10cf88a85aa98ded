"""Each operation of the REST client is a command that takes all of its arguments."""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, is_typeddict

import pytest
import yaml
from attrs import frozen
from cyclopts import App

from connectycube.cli import app as root
from connectycube.cli.operations import SECRETS
from connectycube.rest import AsyncConnectyCube, Omit
from tests.cli.conftest import Run
from tests.rest_pure.signatures import NAMES, keys, methods, parts, right

COMMON = {"all", "json", "options", "profile", "show_secrets"}
ROOT = Path(__file__).parents[2]
METHODS = methods(AsyncConnectyCube)
BUILT = root.build()
FILES = {"AsyncSource": str, "Target": str, "Progress": Callable}


def commands(app: App) -> set[str]:
    return {name for name in app if not name.startswith("-")}


def test_operations_and_commands_are_the_same() -> None:
    found = {
        f"{resource}.{name}".replace("-", "_")
        for resource in commands(BUILT) - {"send", "tail", "export", "import"}
        for name in commands(BUILT[resource])
    }
    assert found == set(METHODS)
    assert len(found) > 100


@pytest.mark.parametrize("name", METHODS)
def test_operation_has_a_help_text(name: str) -> None:
    resource, _, operation = name.replace("_", "-").partition(".")
    summary = (inspect.getdoc(METHODS[name]) or "").partition("\n")[0]
    assert summary
    assert BUILT[resource][operation].help.partition("\n")[0] == summary


# -- arguments


@frozen
class Free:
    """A value whose type is not known."""

    value: Any


def hints_of(name: str) -> dict[str, Any]:
    method = METHODS[name]
    names = {**method.__globals__, **NAMES, **FILES}
    found = {key: entry.annotation for key, entry in inspect.signature(method).parameters.items() if key != "self"}
    return {key: eval(hint, names) for key, hint in found.items() if "Progress" not in hint}


def rounds(options: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """Mappings that together have each value of each key."""
    for entries in itertools.zip_longest(*options.values(), fillvalue=None):
        yield {key: entry for key, entry in zip(options, entries, strict=True) if entry is not None}


def values(hint: Any) -> Iterator[Any]:
    """Values that together use each member of an annotation and each key of its objects."""
    found = parts(hint)
    mappings = [part for part in found if get_origin(part) is Mapping]
    if mappings and not any(map(is_typeddict, found)) and str in found:
        yield Free({"some_key": 5})
        found = [str]
    # One id or several: the command always passes a list.
    for part in [entry for entry in found if get_origin(entry) is Iterable] or found:
        if is_typeddict(part):
            yield from rounds({key: values(kind) for key, (kind, _) in keys(part).items()})
        elif get_origin(part) is Iterable:
            yield from ([value] for value in values(get_args(part)[0]))
        elif part in mappings and (part is found[0] or not is_typeddict(found[0])):
            for value in values(get_args(part)[1]):
                yield {"some_key": Free(value) if isinstance(value, dict) else value}
        elif get_origin(part) is Literal:
            yield from (choice for choice in get_args(part) if choice is not Omit.OMIT)
        elif part is Any or part is object:
            yield from map(Free, ("text", 5, True, {"a": [1]}))
        elif part is bool:
            yield from (True, False)
        elif part in (str, int, float, dt.datetime):
            yield right(part)


def tokens(name: str, value: Any, secret: bool = False) -> list[str]:
    """An argument as it is written on the command line."""
    option = "--" + name
    if secret:
        return [option, "env:SECRET"]
    if isinstance(value, Free):
        return [option, value.value if isinstance(value.value, str) else json.dumps(value.value)]
    if isinstance(value, bool):
        head, _, last = name.rpartition(".")
        return [option] if value else [f"--{head}.no-{last}" if head else f"--no-{last}"]
    if isinstance(value, dict):
        return [part for key, entry in value.items() for part in tokens(f"{name}.{key}", entry, key in SECRETS)]
    if isinstance(value, list) and isinstance(value[0], dict):
        return [part for entry in value for part in (option, json.dumps(plain(entry)))]
    if isinstance(value, list):
        return [part for entry in value for part in tokens(name, entry)]
    return [option, value.isoformat() if isinstance(value, dt.datetime) else str(value)]


def plain(value: Any) -> Any:
    """A value as the method is to get it."""
    if isinstance(value, Free):
        return value.value
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("name", METHODS)
def test_method_gets_all_arguments(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    resource, _, operation = name.partition(".")
    given: dict[str, Any] = {}

    def called(self: object, **arguments: Any) -> None:
        given.update(arguments)

    command = [resource.replace("_", "-"), operation.replace("_", "-")]
    BUILT[command[0]][command[1]]  # Made from the signature of the method, which is replaced now.
    monkeypatch.setattr(root, "build", lambda: BUILT)
    monkeypatch.setattr(getattr(AsyncConnectyCube("1", "key", token="token"), resource).__class__, operation, called)
    for key, value in {"APP_ID": "1", "AUTH_KEY": "key", "ADMIN_KEY": "key", "TOKEN": "token"}.items():
        monkeypatch.setenv(f"CONNECTYCUBE_{key}", value)
    monkeypatch.setenv("SECRET", right(str))

    signature = inspect.signature(METHODS[name])
    positional = [
        key for key, entry in signature.parameters.items() if entry.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    hints = hints_of(name)
    first = {key: next(values(hint)) for key, hint in hints.items()}
    for round in rounds({key: values(hint) for key, hint in hints.items()}):
        expected = {**first, **round}
        arguments = []
        for key, value in expected.items():
            written = tokens(key, value, key in SECRETS)
            arguments += written[1::2] if key in positional else written
        given.clear()
        outcome = run(*command, *arguments)
        assert (outcome.status, outcome.err) == (0, ""), arguments
        defaults = {key: entry.default for key, entry in signature.parameters.items()}
        assert {**defaults, **plain(given)} == {**defaults, **plain(expected)}


def test_no_argument_has_the_name_of_a_common_option() -> None:
    assert {key for name in METHODS for key in hints_of(name)} & COMMON == set()


def secret_arguments(document: Any) -> set[str]:
    """The names of all properties of request bodies that the spec marks as secret."""
    found = set()

    def visit(node: Any) -> None:
        if isinstance(node, list):
            for entry in node:
                visit(entry)
        elif isinstance(node, dict):
            if "$ref" in node:
                visit(resolved(node["$ref"]))
            for key, entry in node.get("properties", {}).items():
                if isinstance(entry, dict) and entry.get("x-secret"):
                    found.add(key)
            for entry in node.values():
                visit(entry)

    def resolved(ref: str) -> Any:
        node = document
        for part in ref.removeprefix("#/").split("/"):
            node = node[part]
        return node

    for path in document["paths"].values():
        for entry in path.values():
            if isinstance(entry, dict):
                visit(entry.get("requestBody"))
    return found


def test_secrets_of_the_spec_are_not_taken_from_the_command_line() -> None:
    document = yaml.load((ROOT / "generated" / "openapi.yaml").read_text("utf-8"), yaml.CSafeLoader)
    # The client adds the authorization key itself.
    assert secret_arguments(document) - {"auth_key"} == SECRETS
