"""Stanzas of any class: what is rejected before it is sent, and what a server or a lost line does to a request."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from connectycube import stanzas as st
from connectycube.chat import (
    AsyncChat,
    HandlerFailed,
    MessageNotSent,
    MessageReceived,
    MessageRefused,
    NotConnected,
    Reconnected,
    RequestUnanswered,
    StanzaRefused,
    StanzaRejected,
)
from connectycube.rest import DecodeError, InvalidArgument
from tests.chat.fake import BARE, IQ, JID, MESSAGE, PRESENCE, Fake, Peer, Script, chat_with, online, plays_along
from tests.chat.test_requests import STANZAS, answer_to, condition
from tests.integration.chats import Told
from tests.integration.support import run

OTHER = "5-7001@localhost"
PHONE = f"{OTHER}/phone"
MESSAGE_ID = "66f1a8d0e4b0d93a51c8e300"
QUERY = '<query xmlns="urn:example:poll"/>'


def message(**fields: Any) -> st.ChatMessage:
    return st.ChatMessage(**{"to": OTHER, "type": "chat", "body": "hello", **fields})


def query(**fields: Any) -> st.IqGet:
    return st.IqGet(**{"id": "q1", "to": PHONE, "unknown": (QUERY,), **fields})


# What is not sent


@pytest.mark.parametrize(
    ("stanza", "problem"),
    [
        ("<message/>", "stanza must be a message, presence or iq of connectycube.stanzas, not a str"),
        (st.AckRequest(), "not a AckRequest"),
        (st.Ping(), "not a Ping"),
        (st.IqGet(id="1", unknown=(QUERY,)), "is a request, a IqGet: pass it to request()"),
        (st.ChatMessage(body="hello"), "stanza has no recipient: set the `to` of the ChatMessage to a JID"),
        (message(to=5), "stanza has to=5, which is not a JID: see UserJID and RoomJID"),
        (message(to="5"), "is not a JID"),
        (message(to=MESSAGE_ID), "is not a JID"),
        (message(to="no one"), "to can't be sent"),
        (message(from_=OTHER), f"stanza has from_ '{OTHER}', not the chat's own address: leave it out"),
        (message(from_=f"{BARE}/tablet"), "not the chat's own address"),
        (message(from_=5), "not the chat's own address"),
        (message(id=5), "id can't be sent"),
        (message(body="\0"), "body can't be sent"),
        (message(unknown=("<x>",)), "unknown can't be sent"),
        (st.AvailablePresence(to="66f1a8d0e4b0d93a51c8e300"), "is not a JID"),
    ],
)
def test_unsendable_stanza_is_rejected(stanza: Any, problem: str) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            before = peer.count
            with pytest.raises(InvalidArgument) as rejected:
                await chat.send_stanza(stanza)
            assert problem in str(rejected.value)
            await chat.ping()
            assert peer.count == before + 1

    run(main())


@pytest.mark.parametrize(
    ("stanza", "problem"),
    [
        (None, "iq must be a message, presence or iq of connectycube.stanzas, not a NoneType"),
        (message(), "iq must be a request, an iq of type get or set, not a ChatMessage"),
        (st.IqResult(id="1", to=OTHER), "not a IqResult"),
        (st.IqError(id="1", to=OTHER), "not a IqError"),
        (query(to=5), "iq has to=5, which is not a JID"),
        (query(from_=OTHER), "not the chat's own address"),
        (query(id=[]), "id can't be sent"),
    ],
)
def test_unsendable_request_is_rejected(stanza: Any, problem: str) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            before = peer.count
            with pytest.raises(InvalidArgument) as rejected:
                await chat.request(stanza)
            assert problem in str(rejected.value)
            with pytest.raises(InvalidArgument, match="timeout"):
                await chat.request(query(), timeout=-1)
            await chat.ping()
            assert peer.count == before + 1

    run(main())


@pytest.mark.parametrize("kind", [st.AckRequest, st.Ping, MESSAGE, None, int])
def test_only_stanzas_can_be_registered_for(kind: Any) -> None:
    async def main() -> None:
        async with online() as (chat, _, _):
            for register in (chat.on, chat.events):
                with pytest.raises(InvalidArgument, match="types"):
                    register(kind)

    run(main())


# What is sent


def test_missing_id_is_filled_in_and_the_sender_left_out() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            given = message(from_=JID)
            for stanza, tag in (
                (given, MESSAGE),
                (st.UnavailablePresence(to=OTHER, from_=BARE), PRESENCE),
                (st.IqResult(id="", to=OTHER), IQ),
            ):
                sent_id = await chat.send_stanza(stanza)
                found = peer.seen.items[-1]
                assert found.get("id") == sent_id
                assert (found.tag, found.get("from"), found.get("to")) == (tag, None, OTHER)
            assert (given.id, given.from_) == (None, JID)
            assert await chat.send_stanza(message(id="mine")) == "mine"

    run(main())


def test_concurrent_answers_may_have_the_same_id() -> None:
    """Their ids are those of the requests, which other clients have chosen."""

    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.acking = False
            waiting = [asyncio.ensure_future(chat.send_stanza(st.IqResult(id="1", to=to))) for to in (OTHER, PHONE)]
            await peer.seen.wait(2, lambda element: element.get("id") == "1")
            peer.ack()
            assert await asyncio.gather(*waiting) == ["1", "1"]

    run(main())


@pytest.mark.parametrize("stanza", [message(id="m1"), st.AvailablePresence(id="m1", to=OTHER)])
def test_stanza_that_comes_back_is_refused(stanza: Any) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.acking = False
            sending = asyncio.ensure_future(chat.send_stanza(stanza))
            found = await peer.seen.one(lambda element: element.get("id") == "m1")
            name, error = found.tag.partition("}")[2], f"<error type='auth'><forbidden xmlns='{STANZAS}'/></error>"
            peer.send(f"<{name} type='error' id='m1' from='{OTHER}'>{error}</{name}>")
            with pytest.raises(MessageRefused, match="m1") as refused:
                await sending
            assert refused.value.condition == "forbidden"
            assert not told.of(StanzaRejected)

    run(main())


# What comes in


def test_handlers_see_stanzas_after_the_chat_has_processed_them() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            order: list[object] = []

            @chat.on(st.ChatMessage, MessageReceived, st.Stanza)
            def take(found: object) -> None:
                order.append(type(found))

            @chat.on(st.HeadlineMessage)
            def fails(found: st.HeadlineMessage) -> None:
                raise ValueError("of the handler")

            async with chat.events(st.HeadlineMessage) as headlines:
                peer.send(f"<message type='chat' from='{OTHER}' id='1'><body>a</body></message>")
                peer.send(f"<message type='headline' from='{OTHER}'><body>b</body></message>")
                async for headline in headlines:
                    assert (headline.body, headline.from_) == ("b", OTHER)
                    break
            assert order == [MessageReceived, st.ChatMessage, st.HeadlineMessage]
            failed = await told.one(HandlerFailed)
            assert (failed.handler, failed.event) == (fails, headline)
            chat.off(take)
            await chat.ping()
            assert len(order) == 3

    run(main())


def test_copies_of_other_devices_count_if_the_server_made_them() -> None:
    sent = f"<message xmlns='jabber:client' type='chat' from='{BARE}/phone' to='{OTHER}' id='{{}}'><body/></message>"
    copy = (
        "<message type='chat' from='{}'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>{}"
        "</forwarded></sent></message>"
    )

    async def main() -> None:
        async with online() as (chat, told, peer):
            found: list[st.ChatMessage] = []
            chat.on(st.ChatMessage)(found.append)
            peer.send(copy.format(OTHER, sent.format("forged")))
            peer.send(copy.format(BARE, sent.format("true")))
            await chat.ping()
            assert [one.id for one in found] == ["true"]
            assert len(told.of(StanzaRejected)) == 1

    run(main())


def test_slow_iterator_holds_back_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectycube.chat._bus.BOUND", 20_000)

    async def main() -> None:
        async with online() as (chat, _, peer):
            async with chat.events(st.HeadlineMessage) as stream:
                for number in range(100):
                    peer.send(f"<message type='headline' id='{number}'><body>{'x' * 500}</body></message>")
                found = []
                async for headline in stream:
                    headline.body = None  # Stanzas are mutable, and the queue must not lose count.
                    found.append(headline.id)
                    if len(found) == 100:
                        break
            assert found == [str(number) for number in range(100)]
            assert (stream._queue.size, stream.dropped) == (0, 0)

    run(main())


# Requests


def test_request_returns_the_typed_answer() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            seen: list[st.Stanza] = []
            chat.on(st.LastActivityResult)(seen.append)
            asking = asyncio.ensure_future(
                chat.request(st.LastActivityRequest(id="", to=OTHER, query=st.LastActivityQuery()))
            )
            peer.answering = False
            asked = await peer.seen.one(lambda element: element.get("to") == OTHER)
            query = "<query xmlns='jabber:iq:last' seconds='7'/>"
            peer.send(f"<iq type='result' id='{asked.get('id')}' from='{PHONE}'>{query}</iq>")  # Not who was asked.
            peer.send(f"<iq type='result' id='{asked.get('id')}' from='{OTHER}'>{query}</iq>")
            answer = await asking
            assert isinstance(answer, st.LastActivityResult)
            assert (answer.from_, answer.query.seconds) == (OTHER, 7)
            assert seen[-1] is answer

    run(main())


def test_refused_request_raises_with_the_error() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.answering = False
            asking = asyncio.ensure_future(chat.request(query()))
            await peer.seen.one(lambda element: element.get("id") == "q1")
            own = "<too-late xmlns='urn:example:poll'/>"
            error = f"<error type='cancel'><conflict xmlns='{STANZAS}'/>{own}</error>"
            peer.send(f"<iq type='error' id='q1' from='{PHONE}'>{error}</iq>")
            with pytest.raises(StanzaRefused, match="the IqGet q1 was refused: conflict") as refused:
                await asking
            assert refused.value.fault is not None
            assert "too-late" in refused.value.fault.unknown[0]
            again = pickle.loads(pickle.dumps(refused.value))
            assert (str(again), again.fault, again.condition) == (str(refused.value), refused.value.fault, "conflict")

    run(main())


def test_request_without_a_readable_answer_names_it() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.answering = False
            with pytest.raises(RequestUnanswered, match=r"the IqGet q1 was not answered within 0\.1 seconds"):
                await chat.request(query(), timeout=0.1)
            asking = asyncio.ensure_future(chat.request(query(id="q2")))
            await peer.seen.one(lambda element: element.get("id") == "q2")
            with pytest.raises(InvalidArgument, match="'q2' of a request that waits"):
                await chat.request(query(id="q2"))
            peer.send(f"<iq type='result' id='q2' from='{PHONE}'><query xmlns='jabber:iq:last' seconds='x'/></iq>")
            with pytest.raises(DecodeError, match="the IqGet q2 can't be read: iq/query"):
                await asking
            assert len(told.of(StanzaRejected)) == 1

    run(main())


def loses(stanza_id: str) -> Script:
    """Hang up upon a stanza, without acknowledging anything."""

    async def script(peer: Peer) -> None:
        peer.acking = False
        await peer.session()
        while (element := await peer.next()).get("id") != stanza_id:
            if element.get("to") != PHONE:
                peer.answer(element)
        peer.hang_up()

    return script


async def in_next_session(fake: Fake, chat: AsyncChat, told: Told) -> list[str | None]:
    """Return the ids of what the chat has sent in its second session."""
    await told.one(Reconnected)
    await chat.ping()
    return [element.get("id") for element in fake.peers.items[1].seen.items]


def test_request_and_answer_end_with_their_session_but_a_message_is_sent_again() -> None:
    async def main() -> None:
        async with Fake(loses("m1"), plays_along) as fake:
            chat = chat_with(fake)
            told = Told(chat)
            async with chat:
                asking = asyncio.ensure_future(chat.request(query()))
                answering = asyncio.ensure_future(chat.send_stanza(st.IqResult(id="a1", to=OTHER)))
                sending = asyncio.ensure_future(chat.send_stanza(message(id="m1")))
                with pytest.raises(NotConnected, match="the connection was lost before the IqGet q1 was answered"):
                    await asking
                with pytest.raises(MessageNotSent, match="message a1 was not sent: the connection was lost"):
                    await answering
                assert await sending == "m1"
                sent = await in_next_session(fake, chat, told)
                assert "m1" in sent
                assert not {"q1", "a1"} & set(sent)
                assert {"q1", "a1", "m1"} <= {element.get("id") for element in fake.peers.items[0].seen.items}

    run(main())


def test_disconnected_chat_sends_no_stanza() -> None:
    async def main() -> None:
        async with online() as (chat, _, _):
            pass
        with pytest.raises(MessageNotSent, match="message m1 was not sent: the chat is not connected"):
            await chat.send_stanza(message(id="m1"))
        with pytest.raises(MessageNotSent, match="message a1 was not sent: the chat is not connected"):
            await chat.send_stanza(st.IqResult(id="a1", to=OTHER))
        with pytest.raises(NotConnected):
            await chat.request(query())

    run(main())


# Requests of others


def test_request_is_refused_unless_a_handler_answers_it() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            request = f"<iq type='get' id='{{}}' from='{PHONE}' to='{JID}'>{QUERY}</iq>"
            seen: list[object] = []
            chat.on(st.Stanza)(seen.append)
            peer.send(request.format("1"))
            assert condition(await answer_to(peer, "1")) == "service-unavailable"
            assert [type(one) for one in seen] == [st.IqGet]

            @chat.on(st.IqGet)
            async def answer(asked: st.IqGet) -> None:
                await chat.send_stanza(st.IqResult(id=asked.id, to=asked.from_))

            peer.send(request.format("2"))
            assert (await answer_to(peer, "2")).get("type") == "result"
            chat.off(answer)
            async with chat.events(st.IqGet):
                peer.send(request.format("3"))
                await chat.ping()
            peer.send(request.format("4"))
            assert condition(await answer_to(peer, "4")) == "service-unavailable"
            assert "3" not in {element.get("id") for element in peer.seen.items}

    run(main())
