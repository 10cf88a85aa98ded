"""What tells messages apart in the store: their ids, and the content of those without one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from attrs import evolve

from connectycube.bots.content import key_of
from connectycube.chat import ChatMessage

AT = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
MESSAGE = ChatMessage(
    id=None, body="hello", sender_id=81002, recipient_id=81001, dialog_id=None, type="chat", date_sent=AT
)


def test_copies_of_a_message_have_the_same_key() -> None:
    named = evolve(MESSAGE, id="66F1A8D0E4B0D93A51C8E300")
    assert key_of(named) == key_of(evolve(named, id="66f1a8d0e4b0d93a51c8e300", body="edited"))
    assert key_of(MESSAGE) == key_of(evolve(MESSAGE, delayed=AT, sender_jid="81002-7001@chat/phone"))


@pytest.mark.parametrize(
    "change",
    [
        {"body": "hello!"},
        {"sender_id": 81003},
        {"date_sent": AT + dt.timedelta(seconds=1)},
        {"extra": {"a": "1"}},
        {"type": "groupchat", "dialog_id": "66f1a7c2e4b0d93a51c8e202"},
        {"id": "66f1a8d0e4b0d93a51c8e300"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_messages_have_other_keys(change: dict[str, Any]) -> None:
    assert key_of(MESSAGE) != key_of(evolve(MESSAGE, **change))


def test_nothing_identifies_a_message_without_id_and_time() -> None:
    message = evolve(MESSAGE, date_sent=None)
    assert key_of(message) != key_of(message)
