"""`Chat` is `AsyncChat` without `await`: the same names, signatures, annotations and docstrings."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, get_overloads

import pytest

from connectycube.chat import (
    AsyncChat,
    BlockingContacts,
    BlockingEventStream,
    BlockingPrivacy,
    Chat,
    Contacts,
    EventStream,
    NotConnected,
    Privacy,
    PrivacyRule,
)
from connectycube.rest import InvalidArgument

TWINS: list[tuple[type, type]] = [
    (AsyncChat, Chat),
    (Contacts, BlockingContacts),
    (Privacy, BlockingPrivacy),
    (EventStream, BlockingEventStream),
]

OTHER_WORDS = {
    "Return an async iterator over events: `async for event": "Return an iterator over events: `for event",
    "Return an async iterator over missed messages, from the history: `async for message": (
        "Return an iterator over missed messages, from the history: `for message"
    ),
    "AsyncGenerator[ChatMessage, None]": "Generator[ChatMessage, None, None]",
    "The events of a chat as an async iterator": "The events of a chat as an iterator",
    "leaving `async with`": "leaving `with`",
    " Threads may share it: each event goes to one of them.": "",
}

ON_THE_INSTANCE = {"contacts", "limit", "privacy"}
"""Attributes that `__init__` sets; `limit` is a property of `BlockingContacts`."""

OWN_DOCSTRINGS = {"items", "on", "values"}
"""How a handler is called differs; the methods of a mapping return snapshots."""

NEVER_AWAITED = {"on", "off", "events", "catch_up", "close", "get", "items", "keys", "values"}


def plain(text: str) -> str:
    for theirs, mine in OTHER_WORDS.items():
        text = text.replace(theirs, mine)
    return re.sub(r"\b(Blocking)?(EventStream|Registration)", r"Blocking\2", " ".join(text.split()))


def public(owner: type) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")} - ON_THE_INSTANCE


def signature(function: Callable[..., Any]) -> list[tuple[str, Any, Any, str]]:
    found = inspect.signature(function)
    parameters = [
        (name, entry.kind, entry.default, plain(str(entry.annotation))) for name, entry in found.parameters.items()
    ]
    return [*parameters, ("return", None, None, plain(str(found.return_annotation)))]


@pytest.mark.parametrize(("theirs", "mine"), TWINS, ids=lambda kind: kind.__name__)
def test_the_twin_has_the_same_members(theirs: type, mine: type) -> None:
    names = public(theirs)
    assert public(mine) == names
    for name in sorted(names):
        one, other = inspect.getattr_static(theirs, name), inspect.getattr_static(mine, name)
        assert type(other) is type(one), name
        if name not in OWN_DOCSTRINGS:
            assert plain(inspect.getdoc(other) or "") == plain(inspect.getdoc(one) or "") != "", name
        if isinstance(one, property):
            one, other = one.fget, other.fget
        elif theirs is not Contacts or name in vars(theirs):  # The methods of a mapping are already blocking.
            assert inspect.iscoroutinefunction(one) is (name not in NEVER_AWAITED or theirs is Privacy), name
            assert list(map(signature, get_overloads(other))) == list(map(signature, get_overloads(one))), name
        assert not inspect.iscoroutinefunction(other), name
        if theirs is not Contacts or name in vars(theirs):
            assert signature(other) == signature(one), name


def test_the_twin_is_constructed_in_the_same_way() -> None:
    assert signature(Chat.__init__) == signature(AsyncChat.__init__)
    theirs, mine = (inspect.getdoc(kind) or "" for kind in (AsyncChat, Chat))
    assert mine.partition(":param")[2] == theirs.partition(":param")[2] != ""
    options: Any = {"user_id": 81001, "password": "secret", "app_id": 7001}
    one, other = AsyncChat(**options), Chat(**options)
    assert {name for name in vars(other) if not name.startswith("_")} == {
        name for name in vars(one) if not name.startswith("_")
    }
    assert other.contacts.limit == one.contacts.limit == 300
    assert repr(other) == "<Chat chat.connectycube.com offline>"
    assert {"__enter__", "__exit__"} <= set(dir(Chat))
    assert not {"__aenter__", "__aexit__", "__aiter__"} & set(dir(Chat))


@pytest.mark.parametrize("rules", [None, 5, [5], "text"])
@pytest.mark.parametrize("name", ["set", "update"])
def test_invalid_rules_are_rejected(name: str, rules: Any) -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)
    with pytest.raises(InvalidArgument, match="must be PrivacyRule objects"):
        getattr(chat.privacy, name)("mine", rules)


def test_rules_are_iterated_over_in_the_thread_of_the_caller() -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)
    threads: list[threading.Thread] = []

    def rules() -> Iterator[PrivacyRule]:
        threads.append(threading.current_thread())
        yield PrivacyRule(81002)

    with pytest.raises(NotConnected):
        chat.privacy.set("mine", rules())
    assert threads == [threading.current_thread()]
