"""The public API: its names, where they come from, and their docstrings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

import connectycube.chat
from connectycube.chat import AsyncChat, Chat, Event, errors, events

NAMES = Path(__file__).with_name("public_names.txt").read_text("utf-8").split()
"""One name per line. A change needs a line in CHANGELOG.md."""

LISTS = {
    "contacts": "get items keys values limit incoming outgoing request accept reject remove rename",
    "privacy": "default names get set update activate deactivate delete block unblock blocked",
}
"""The complete public attributes of a chat's lists, by design."""


def public_modules() -> Iterator[ModuleType]:
    yield connectycube.chat
    for module in pkgutil.walk_packages(connectycube.chat.__path__, "connectycube.chat."):
        found = importlib.import_module(module.name)
        # A package that only groups modules has no names of its own.
        if not any(part.startswith("_") for part in module.name.split(".")) and not (
            module.ispkg and not hasattr(found, "__all__")
        ):
            yield found


MODULES = {module.__name__: module for module in public_modules()}
CLASSES = [name for name in NAMES if inspect.isclass(getattr(connectycube.chat, name))]


def test_public_names_are_as_committed() -> None:
    assert sorted(connectycube.chat.__all__) == NAMES


def test_contract_names_exist() -> None:
    contract = """
        AsyncChat Chat SentMessage ChatMessage Connected Reconnecting Reconnected Disconnected ConnectionFailed
        StreamFailed MessageReceived MessageSent MessageFailed MessageBlocked MessageDelivered MessageRead MessageEdited
        MessageDeleted ReactionsChanged TypingStarted TypingStopped SystemMessageReceived CallSignalReceived
        OccupantJoined OccupantLeft OccupantKicked ContactRequested ContactAccepted ContactRejected ContactPresence
        ContactsChanged PrivacyListChanged LastActivityChanged MessageNotSent Contact
    """
    assert set(contract.split()) <= set(NAMES)


@pytest.mark.parametrize("kind", [AsyncChat, Chat])
@pytest.mark.parametrize("part", LISTS)
def test_lists_expose_only_the_contract(kind: type, part: str) -> None:
    shown = dir(getattr(kind(user_id=81001, password="secret", app_id=7001), part))
    assert {name for name in shown if not name.startswith("_")} == set(LISTS[part].split())


@pytest.mark.parametrize("name", NAMES)
def test_public_name_can_be_imported(name: str) -> None:
    assert getattr(connectycube.chat, name) is not None
    assert not name.startswith("_")


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_the_public_classes(name: str) -> None:
    module = MODULES[name]
    listed = list(module.__all__)
    assert len(set(listed)) == len(listed)
    assert not [entry for entry in listed if entry.startswith("_") or not hasattr(module, entry)]
    assert module.__doc__
    own = {key for key, value in vars(module).items() if inspect.isclass(value) and value.__module__ == name}
    if ".machines" not in name:  # A machine's module lists only what drives it.
        assert {key for key in own if not key.startswith("_")} <= set(listed)


@pytest.mark.parametrize("part", ["client", "errors", "events", "models", "features.contacts", "features.privacy"])
def test_package_exports_the_classes_of_its_modules(part: str) -> None:
    module = MODULES[f"connectycube.chat.{part}"]
    assert {name for name in module.__all__ if inspect.isclass(getattr(module, name))} <= set(NAMES)


@pytest.mark.parametrize("name", CLASSES)
def test_class_has_a_summary(name: str) -> None:
    found = getattr(connectycube.chat, name)
    assert re.match(r"[A-Z`0-9].+[.:]", inspect.getdoc(found) or ""), "no summary"
    assert found.__doc__, "the docstring is inherited"


@pytest.mark.parametrize("name", [name for name in CLASSES if attrs.has(getattr(connectycube.chat, name))])
def test_events_and_models_are_frozen_and_documented(name: str) -> None:
    found = getattr(connectycube.chat, name)
    fields = [field.name for field in attrs.fields(found)]
    if found.__module__.startswith("connectycube.chat"):
        assert found.__setattr__ is not object.__setattr__, "not frozen"
    assert described(found) >= set(fields)


def described(found: object) -> set[str]:
    return set(re.findall(r":(?:param|ivar) (\w+): \S", inspect.getdoc(found) or ""))


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in CLASSES:
        owner = getattr(connectycube.chat, name)
        for method, value in inspect.getmembers(owner, inspect.isfunction):
            if not method.startswith("_") and value.__module__.startswith("connectycube.chat"):
                yield f"{name}.{method}", value


FUNCTIONS = dict(functions())
SPEAKING = {"user_id", "name", "handler"}
"""Arguments that need no description if their method has no others."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_documents_its_arguments(name: str) -> None:
    function = FUNCTIONS[name]
    assert re.match(r"[A-Z`].+[.:]", inspect.getdoc(function) or ""), "no summary"
    arguments = set(inspect.signature(function).parameters) - {"self"}
    assert described(function) == arguments or (not described(function) and arguments <= SPEAKING)


@pytest.mark.parametrize("kind", [AsyncChat, Chat])
def test_constructor_arguments_are_documented(kind: type) -> None:
    assert described(kind) == set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("kind", [AsyncChat, Chat])
def test_properties_are_documented(kind: type) -> None:
    for name, value in inspect.getmembers(kind, lambda entry: isinstance(entry, property)):
        assert value.__doc__, name


def test_event_classes_derive_from_event() -> None:
    for name in events.__all__:
        assert issubclass(getattr(events, name), Event)


def test_exception_tree_matches_the_docstring() -> None:
    tree = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"( *(?:[│├└][ ─]*)*)([A-Z]\w+)(?: {2,}|$)", line):
            tree[match[2]] = len(match[1])
    path: list[str] = []
    for name, depth in tree.items():
        path = [entry for entry in path if tree[entry] < depth]
        found = getattr(errors, name, None) or getattr(connectycube.rest, name)
        if path:
            parent = getattr(errors, path[-1], None) or getattr(connectycube.rest, path[-1])
            assert found.__bases__[0] is parent, name
        path.append(name)
    assert set(errors.__all__) - {"connect_error"} <= set(tree)
