"""Messages are dated by the server's clock, if the server tells its time (XEP-0202)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from connectycube.chat.features import server_time
from tests.chat.fake import IQ, MESSAGE, Peer, Script, online
from tests.integration.support import run

NEW_YEAR = 1_893_456_000  # 2030-01-01
DATE = "{jabber:client}extraParams/{jabber:client}date_sent"


def time_is(utc: str) -> str:
    return f"<time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>{utc}</utc></time>"


def tells(answer: str | None, before: Callable[[], None] = lambda: None) -> Script:
    """Script a server that answers requests for its time with this, or not at all."""

    async def script(peer: Peer) -> None:
        await peer.session(set_up=False)
        while True:
            element = await peer.next()
            if element.tag != IQ or element[0].tag != "{urn:xmpp:time}time":
                peer.answer(element)
            elif answer is not None:
                before()
                kind = "error" if answer.startswith("<error") else "result"
                sender, to = element.get("to"), element.get("id")
                peer.send(f"<iq type='{kind}' id='{to}' from='{sender}'>{answer}</iq>")

    return script


async def date_of_a_message(script: Script) -> int:
    async with online(script) as (chat, _, peer):
        sent = await chat.send(5, "hello")
        message = await peer.seen.one(lambda element: element.tag == MESSAGE)
        seconds = int(sent.date_sent.timestamp())
        assert message.findtext(DATE) == f"{seconds}"
        return seconds


def test_message_has_the_time_of_the_server() -> None:
    date = run(date_of_a_message(tells(time_is("2030-01-01T00:00:00Z"))))
    assert 0 <= date - NEW_YEAR < 3600


def test_half_of_the_round_trip_has_passed_since_the_answer_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = [100.0]
    monkeypatch.setattr(server_time, "_ticks", lambda: ticks[0])

    def wait() -> None:
        ticks[0] += 4

    assert run(date_of_a_message(tells(time_is("2030-01-01T00:00:00Z"), wait))) == NEW_YEAR + 2


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        "<time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>soon</utc></time>",
        time_is("1970-01-01T00:00:00Z"),
        time_is("2222-01-01T00:00:00Z"),
    ],
    ids=["none", "empty", "refused", "malformed", "no clock", "absurd"],
)
def test_local_time_is_used_if_the_server_tells_none(answer: str | None) -> None:
    before = int(time.time())
    date = run(date_of_a_message(tells(answer)))
    assert before <= date <= time.time()


def test_time_that_took_too_long_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_time, "SLOWEST", -1.0)
    assert run(date_of_a_message(tells(time_is("2030-01-01T00:00:00Z")))) <= time.time()
