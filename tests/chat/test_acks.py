"""Acknowledgements: `send` returns or raises when the server has the message or refuses it, and not before."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import (
    Disconnected,
    MessageBlocked,
    MessageFailed,
    MessageNotSent,
    MessageReceived,
    MessageRefused,
    MessageSent,
    Reason,
    RecipientBlocked,
    Reconnected,
    Reconnecting,
    SentMessage,
)
from tests.chat.fake import (
    BIND_FEATURE,
    IQ,
    MESSAGE,
    SM,
    SM_FEATURE,
    STREAMS,
    Peer,
    Script,
    online,
    plays_along,
)
from tests.integration.support import run

STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
DIALOG = "66f1a7c2e4b0d93a51c8e201"
MESSAGE_ID = "66f1a7c2e4b0d93a51c8e2aa"


async def message(peer: Peer, count: int = 1) -> ET.Element:
    return (await peer.seen.wait(count, lambda element: element.tag == MESSAGE))[-1]


async def ping(peer: Peer, count: int = 1) -> str:
    """Wait for the client's ping, and return its id."""

    def is_ping(element: ET.Element) -> bool:
        return element.tag == IQ and len(element) > 0 and element[0].tag == "{urn:xmpp:ping}ping"

    return (await peer.seen.wait(count, is_ping))[-1].get("id", "")


# With stream management


def test_send_returns_with_its_acknowledgement() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            await chat.ping()
            peer.acking = False
            before = peer.count
            sending = [asyncio.ensure_future(chat.send(5, text)) for text in "abc"]
            await message(peer, 3)
            # Neither another answer nor an acknowledgement of earlier stanzas ends it.
            await chat.ping()
            peer.ack(before)
            await chat.ping()
            assert not any(task.done() for task in sending)
            peer.ack(before + 2)
            await asyncio.gather(*sending[:2])
            await chat.ping()
            assert not sending[2].done()
            peer.ack()
            sent = [await task for task in sending]
            assert told.of(MessageSent) == [MessageSent(message=message) for message in sent]

    run(main())


def test_requests_for_acknowledgement_are_answered() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(f"<r xmlns='{SM}'/>")
            before = await peer.acks.one()
            peer.send("<message from='5-7001@localhost' type='chat'><body>hello</body></message>" * 3)
            peer.send(f"<r xmlns='{SM}'/><x xmlns='urn:unknown'/><r xmlns='{SM}'/>")
            assert (await peer.acks.wait(3))[1:] == [before + 3] * 2
            assert len(told.of(MessageReceived)) == 3
            assert chat.online

    run(main())


@pytest.mark.parametrize("more", [1, 1000, -1])
def test_acknowledging_too_much_ends_the_stream(more: int) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            await chat.ping()
            peer.ack()
            peer.acking = False
            sending = asyncio.ensure_future(chat.send(5, "hello", message_id=MESSAGE_ID))
            await message(peer)
            # Modulo 2**32, a count that goes back is one that is far ahead.
            peer.ack(peer.count + more if more > 0 else peer.count - 2)
            error = await peer.seen.one(lambda element: element.tag == f"{{{STREAMS}}}error")
            assert [child.tag.partition("}")[2] for child in error] == [
                "undefined-condition",
                "handled-count-too-high",
            ]
            reconnecting = await told.one(Reconnecting)
            assert reconnecting.error.reason is Reason.STREAM
            # It is sent again in a new session, with the same id.
            assert await told.one(Reconnected) == Reconnected(resumed=False)
            assert (await sending).id == MESSAGE_ID

    run(main())


def test_unacknowledged_message_times_out() -> None:
    async def main() -> None:
        async with online(send_timeout=0.5) as (chat, told, peer):
            peer.acking = False
            with pytest.raises(MessageNotSent) as failed:
                await chat.send(5, "hello", message_id=MESSAGE_ID)
            assert failed.value.message_id == MESSAGE_ID
            assert not told.of(MessageSent)
            # A late acknowledgement emits nothing.
            peer.acking = True
            peer.ack()
            await chat.send(5, "hello", message_id=MESSAGE_ID)
            assert len(told.of(MessageSent)) == 1
            assert chat.online

    run(main())


def test_disconnect_returns_unacknowledged_ids() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.acking = False
            sending = asyncio.ensure_future(chat.send(5, "hello", message_id=MESSAGE_ID))
            await message(peer)
            assert await chat.disconnect(timeout=0.05) == (MESSAGE_ID,)
            with pytest.raises(MessageNotSent) as failed:
                await sending
            assert failed.value.message_id == MESSAGE_ID
            assert told.of(Disconnected) == [Disconnected(unacknowledged=(MESSAGE_ID,))]
            assert told.of(MessageFailed)[0].error is failed.value

    run(main())


# Without stream management


def without(*features: str) -> Script:
    async def script(peer: Peer) -> None:
        await peer.session(*features)
        await peer.serve()

    return script


async def refuses_to_count(peer: Peer) -> None:
    fault = "<unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    await peer.session(at="enable", fault=f"<failed xmlns='{SM}'>{fault}</failed>")
    await peer.set_up()
    await peer.serve()


@pytest.mark.parametrize("kind", ["result", "error"])
@pytest.mark.parametrize("script", [without(BIND_FEATURE), refuses_to_count])
def test_pings_acknowledge_without_stream_management(script: Script, kind: str) -> None:
    async def main() -> None:
        async with online(script) as (chat, told, peer):
            await chat.ping()
            # At most one ping is outstanding, from the beginning of the session.
            await chat.send(5, "first")
            peer.answering = False
            count = len([element for element in peer.seen.items if element.tag == IQ])
            sending = asyncio.ensure_future(chat.send(5, "hello"))
            await message(peer, 2)
            pinged = await peer.seen.wait(count + 1, lambda element: element.tag == IQ)
            assert not sending.done()
            error = f"<error type='cancel'><service-unavailable xmlns='{STANZAS}'/></error>" if kind == "error" else ""
            peer.send(f"<iq type='{kind}' id='{pinged[-1].get('id')}' from='localhost'>{error}</iq>")
            assert isinstance(await sending, SentMessage)
            assert len(told.of(MessageSent)) == 2
            assert not [element for element in peer.seen.items if element.tag == f"{{{SM}}}a"]
            peer.answering = True

    run(main())


def test_stream_management_can_be_disabled() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.session(at="restart", fault="")
            peer.features(BIND_FEATURE, SM_FEATURE)
            bind = await peer.expect(IQ)
            body = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>81001-7001@localhost/desk</jid></bind>"
            peer.send(f"<iq type='result' id='{bind.get('id')}'>{body}</iq>")
            await peer.set_up()
            await peer.serve()

        async with online(script, stream_management=False) as (chat, _, peer):
            await chat.send(5, "hello")
            assert await ping(peer)
            assert not [element for element in peer.seen.items if SM in element.tag]

    run(main())


# Errors before the acknowledgement


def fault(message_id: str, condition: str, sender: str) -> str:
    body = f"<error type='cancel' code='503'><{condition} xmlns='{STANZAS}'/><text xmlns='{STANZAS}'>no</text></error>"
    return f"<message type='error' id='{message_id}' from='{sender}'>{body}</message>"


@pytest.mark.parametrize(
    ("to", "sender", "condition", "kind"),
    [
        (5, "5-7001@localhost", "service-unavailable", RecipientBlocked),
        (5, "5-7001@localhost", "forbidden", MessageRefused),
        (DIALOG, f"7001_{DIALOG}@muc.localhost", "service-unavailable", MessageRefused),
        (DIALOG, f"7001_{DIALOG}@muc.localhost", "not-acceptable", MessageRefused),
    ],
)
def test_error_fails_the_waiting_send(to: int | str, sender: str, condition: str, kind: type[MessageRefused]) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.acking = False
            sending = asyncio.ensure_future(chat.send(to, "hello"))
            number = (await message(peer)).get("id", "")
            peer.send(fault(number, condition, sender))
            with pytest.raises(MessageRefused) as refused:
                await sending
            assert type(refused.value) is kind
            assert (refused.value.message_id, refused.value.condition) == (number, condition)
            assert (refused.value.code, refused.value.text) == (503, "no")
            if kind is RecipientBlocked:
                assert told.of(MessageBlocked) == [MessageBlocked(message_id=number, user_id=5)]
                assert not told.of(MessageFailed)
            else:
                (failed,) = told.of(MessageFailed)
                assert failed.error is refused.value
                assert (failed.user_id, failed.dialog_id) == ((5, None) if to == 5 else (None, DIALOG))
            peer.ack()
            peer.acking = True
            await chat.send(5, "next")
            assert len(told.of(MessageSent)) == 1
            assert chat.online

    run(main())


# Resumption


async def resumable(peer: Peer) -> None:
    await peer.session(at="enable", fault=f"<enabled xmlns='{SM}' id='r1' resume='true'/>")
    await peer.set_up()
    await peer.serve()


def resuming(answer: str, then: Script | None = None) -> Script:
    async def script(peer: Peer) -> None:
        await peer.session(at="restart", fault="")
        peer.features(BIND_FEATURE, SM_FEATURE)
        resume = await peer.expect(f"{{{SM}}}resume")
        assert resume.get("previd") == "r1"
        peer.send(answer.replace("H", str(resume.get("h"))))
        if then is not None:
            await then(peer)

    return script


@pytest.mark.parametrize("handled", [False, True])
def test_resumed_session_sends_each_message_once(handled: bool) -> None:
    async def main() -> None:
        counts: list[int] = []

        peers: list[Peer] = []

        async def resumes(peer: Peer) -> None:
            peers.append(peer)
            await resuming("")(peer)
            peer.count = counts[0] + handled
            peer.send(f"<resumed xmlns='{SM}' previd='r1' h='{peer.count}'/>")

        async with online(resumable, resumes) as (chat, told, peer):
            await chat.ping()
            await chat.send(5, "before")
            peer.acking = False
            counts.append(peer.count)
            sending = asyncio.ensure_future(chat.send(5, "hello", message_id=MESSAGE_ID))
            await message(peer, 2)
            peer.hang_up()
            assert await told.one(Reconnected) == Reconnected(resumed=True)
            assert (await sending).id == MESSAGE_ID
            await chat.ping()
            again = [element for element in peers[0].seen.items if element.tag == MESSAGE]
            assert len(again) == (0 if handled else 1)

    run(main())


def test_resumed_session_shows_its_progress_on_a_slow_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        asked: list[int] = []

        async def resumes(peer: Peer) -> None:
            await resuming("")(peer)
            peer.count = handled
            monkeypatch.setattr(peer, "ack", lambda: asked.append(peer.count - handled))
            peer.send(f"<resumed xmlns='{SM}' previd='r1' h='{handled}'/>")
            while len(asked) < 4 or asked[-1] < 40:
                peer.answer(await peer.next())
            monkeypatch.undo()
            peer.ack()

        async with online(resumable, resumes) as (chat, _, peer):
            await chat.send(5, "before")
            handled, peer.acking = peer.count, False
            sending = [asyncio.ensure_future(chat.send(5, "x" * 1000)) for _ in range(40)]
            await message(peer, 41)
            peer.hang_up()
            await asyncio.gather(*sending)

    run(main(), timeout=30)


FAILED = f"<failed xmlns='{SM}'><item-not-found xmlns='{STANZAS}'/></failed>"


async def binds(peer: Peer) -> None:
    """Continue with a new session after a failed resumption."""
    bind = await peer.expect(IQ)
    body = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>81001-7001@localhost/new</jid></bind>"
    peer.send(f"<iq type='result' id='{bind.get('id')}'>{body}</iq>")
    await peer.expect(f"{{{SM}}}enable")
    peer.count = 0
    peer.send(f"<enabled xmlns='{SM}'/>")
    await peer.set_up()
    await peer.serve()


def test_refused_resumption_starts_a_new_session() -> None:
    async def main() -> None:
        async with online(resumable, resuming(FAILED, binds)) as (chat, told, peer):
            await chat.send(5, "before")
            peer.acking = False
            sending = asyncio.ensure_future(chat.send(5, "hello", message_id=MESSAGE_ID))
            await message(peer, 2)
            peer.hang_up()
            assert await told.one(Reconnected) == Reconnected(resumed=False)
            assert (await sending).id == MESSAGE_ID
            assert chat.jid.endswith("/new")

    run(main())


@pytest.mark.parametrize("h", ["1000000", "4294967295"])
def test_resumption_with_a_wrong_count_is_retried(h: str) -> None:
    async def main() -> None:
        wrong = f"<resumed xmlns='{SM}' previd='r1' h='{h}'/>"
        async with online(resumable, resuming(wrong), plays_along) as (chat, told, peer):
            await chat.ping()
            peer.hang_up()
            assert await told.one(Reconnected) == Reconnected(resumed=False)
            first, second = told.of(Reconnecting)
            assert (first.error.reason, second.error.reason) == (Reason.NETWORK, Reason.STREAM)
            await chat.send(5, "hello")

    run(main())


def test_unexpected_answer_to_a_resumption_is_retried_without_it() -> None:
    async def main() -> None:
        async with online(resumable, resuming(f"<enabled xmlns='{SM}'/>"), plays_along) as (chat, told, peer):
            peer.hang_up()
            assert await told.one(Reconnected) == Reconnected(resumed=False)
            first, second = told.of(Reconnecting)
            assert (first.error.reason, second.error.reason) == (Reason.NETWORK, Reason.PROTOCOL)
            await chat.send(5, "hello")

    run(main())
