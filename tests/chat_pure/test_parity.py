"""`Chat` is `AsyncChat` without `await`: names, signatures, annotations, words."""

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

OWN: dict[Any, set[str]] = {BlockingContacts: {"limit"}}
"""What is an attribute in the asynchronous one."""

OTHER_WORDS = {
    "The events as an async iterator: `async for event": "The events as an iterator: `for event",
    "The events of a chat as an async iterator": "The events of a chat as an iterator",
    "`async with`": "`with`",
}

MAPPING = {"get", "items", "keys", "values"}
"""What each mapping has."""

NEVER_AWAITED = {"on", "off", "events", "close"}


def plain(text: str) -> str:
    for theirs, mine in OTHER_WORDS.items():
        text = text.replace(theirs, mine)
    return re.sub(r"\b(Blocking)?EventStream", "BlockingEventStream", " ".join(text.split()))


def public(owner: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(owner) if not name.startswith("_")}


def signature(function: Callable[..., Any]) -> list[tuple[str, Any, Any, str]]:
    found = inspect.signature(function)
    parameters = [
        (name, entry.kind, entry.default, plain(str(entry.annotation))) for name, entry in found.parameters.items()
    ]
    return [*parameters, ("return", None, None, plain(str(found.return_annotation)))]


@pytest.mark.parametrize(("theirs", "mine"), TWINS, ids=lambda kind: kind.__name__)
def test_the_names_are_the_same(theirs: type, mine: type) -> None:
    assert set(public(mine)) - OWN.get(mine, set()) == set(public(theirs))


MEMBERS = [
    (theirs, mine, name)
    for theirs, mine in TWINS
    for name in sorted(set(public(theirs)) - (MAPPING if theirs is Contacts else set()))
]


@pytest.mark.parametrize(("theirs", "mine", "name"), MEMBERS, ids=lambda entry: getattr(entry, "__name__", entry))
def test_a_member_is_the_same(theirs: type, mine: type, name: str) -> None:
    one, other = inspect.getattr_static(theirs, name), inspect.getattr_static(mine, name)
    assert type(other) is type(one)
    if name != "on":  # How a handler is called is another matter in each.
        assert plain(inspect.getdoc(other) or "") == plain(inspect.getdoc(one) or "") != ""
    if isinstance(one, property):
        assert one.fget is not None
        assert other.fget is not None
        assert signature(other.fget) == signature(one.fget)
        return
    assert signature(other) == signature(one)
    assert list(map(signature, get_overloads(other))) == list(map(signature, get_overloads(one)))
    assert not inspect.iscoroutinefunction(other)
    assert inspect.iscoroutinefunction(one) is (name not in NEVER_AWAITED)


def test_each_is_made_in_the_same_way() -> None:
    assert signature(Chat.__init__) == signature(AsyncChat.__init__)
    theirs, mine = (inspect.getdoc(kind) or "" for kind in (AsyncChat, Chat))
    assert mine.partition(":param")[2] == theirs.partition(":param")[2] != ""


@pytest.mark.parametrize(("theirs", "mine"), TWINS[1:3], ids=lambda kind: kind.__name__)
def test_a_class_says_the_same_of_itself(theirs: type, mine: type) -> None:
    words = (inspect.getdoc(theirs) or "").partition(" :ivar")[0].partition("\n:ivar")[0].split()
    assert (inspect.getdoc(mine) or "").split()[: len(words)] == words


def test_with_in_place_of_async_with() -> None:
    for kind, enter, leave in ((AsyncChat, "__aenter__", "__aexit__"), (Chat, "__enter__", "__exit__")):
        assert {enter, leave} <= set(vars(kind))
    assert not {"__aenter__", "__aexit__", "__aiter__"} & set(dir(Chat))


def test_the_lists_are_twins_too() -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)
    assert isinstance(chat.contacts, BlockingContacts)
    assert isinstance(chat.privacy, BlockingPrivacy)
    assert isinstance(chat.events(), BlockingEventStream)
    assert chat.contacts.limit == 300
    assert repr(chat) == "<Chat chat.connectycube.com offline>"


@pytest.mark.parametrize("rules", [None, 5, [5], "text"])
@pytest.mark.parametrize("name", ["set", "update"])
def test_what_is_no_rules_is_refused_by_both(name: str, rules: Any) -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)
    with pytest.raises(InvalidArgument, match="must be PrivacyRule objects"):
        getattr(chat.privacy, name)("mine", rules)


def test_rules_are_run_through_by_the_caller() -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)
    threads: list[threading.Thread] = []

    def rules() -> Iterator[PrivacyRule]:
        threads.append(threading.current_thread())
        yield PrivacyRule(81002)

    with pytest.raises(NotConnected):
        chat.privacy.set("mine", rules())
    assert threads == [threading.current_thread()]
