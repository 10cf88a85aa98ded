"""Stanzas of any class between users: sent, routed, kept, copied, refused, requested and answered."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Any

import pytest

from connectycube import stanzas as st
from connectycube.chat import (
    CallSignalReceived,
    Chat,
    MessageEdited,
    MessageReceived,
    RecipientBlocked,
    StanzaRefused,
    StanzaRejected,
)
from tests.integration.chats import Person, Users, chat_of, gather, people
from tests.integration.lines import behind, forget, present, unplug
from tests.integration.server import APP_ID, HOST, Server, room_jid
from tests.integration.support import Seen, run

POLL = '<poll xmlns="urn:example:poll"><option>Sunday</option></poll>'
QUERY = '<query xmlns="urn:example:poll"/>'


def poll(to: str, **fields: Any) -> st.ChatMessage:
    """A message whose content has no class."""
    return st.ChatMessage(to=to, type="chat", unknown=(POLL,), **fields)


def test_unknown_message_reaches_those_registered_for_its_class(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (one, other):
            handled: Seen[st.ChatMessage] = Seen()
            other.chat.on(st.ChatMessage)(handled.append)
            async with other.chat.events(st.ChatMessage) as stream:
                sent_id = await one.chat.send_stanza(poll(other.user.jid))
                found = await anext(stream)
            assert (found.id, found.from_, found.body) == (sent_id, one.chat.jid, None)
            assert found.unknown == (POLL,)
            assert await handled.wait() == [found]
            await one.caught_up(other)
            assert not other.told.of(MessageReceived)

    run(main())


def test_consumed_stanza_reaches_those_registered_too(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (one, other):
            edits: Seen[st.EditMessage] = Seen()
            other.chat.on(st.EditMessage)(edits.append)
            sent = await one.chat.send(other.id, "hello")
            await one.chat.edit_message(other.id, sent.id, "bye", extra={"mood": "sad"})
            edited = await other.told.one(MessageEdited)
            assert (edited.message_id, edited.body, dict(edited.extra)) == (sent.id, "bye", {"mood": "sad"})
            assert (await edits.one()).replace.id == sent.id

    run(main())


def test_call_signals(server: Server, users: Users) -> None:
    """X-48, K-26"""
    params = {
        "signalType": "call",
        "sessionID": "66f1a8d0-call",
        "callType": "1",
        "opponentsIDs": {"opponentID": "5"},
        "sdp": "v=0\no=- 1 2 IN IP4 127.0.0.1\n",
    }

    async def main() -> None:
        async with present(server, users(), users()) as (one, other):
            signals: Seen[st.CallSignal] = Seen()
            other.chat.on(st.CallSignal)(signals.append)
            extra = st.ExtraParams(module_identifier="WebRTCVideoChat", params=params)
            await one.chat.send_stanza(st.CallSignal(to=other.user.jid, extra=extra))
            received = await other.told.one(CallSignalReceived)
            assert (received.user_id, received.jid) == (one.id, one.chat.jid)
            assert received.signal.extra.params == params
            assert await signals.one() is received.signal
            answer = {"signalType": "accept", "sessionID": "66f1a8d0-call"}
            extra = st.ExtraParams(module_identifier="WebRTCVideoChat", params=answer)
            await other.chat.send_stanza(st.CallSignal(to=received.jid, extra=extra))
            assert (await one.told.one(CallSignalReceived)).signal.extra.params == answer

    run(main())


def test_unknown_message_waits_for_an_offline_user(server: Server, users: Users) -> None:
    async def main() -> None:
        absent = users()
        async with present(server, users()) as (one,):
            await one.chat.send_stanza(poll(absent.jid, body="When?"))
            await one.chat.ping()
        other = Person(server, absent)
        found: Seen[st.ChatMessage] = Seen()
        other.chat.on(st.ChatMessage)(found.append)
        async with other.chat:
            kept = await found.one()
            assert (kept.unknown[:1], kept.body) == ((POLL,), "When?")
            assert kept.delay is not None

    run(main())


def keep(found: Seen[tuple[Person, st.ChatMessage]], person: Person, stanza: st.ChatMessage) -> None:
    found.append((person, stanza))


def test_unknown_message_is_copied_to_other_devices(server: Server, users: Users) -> None:
    async def main() -> None:
        user, friend = users(), users()
        async with present(server, user, user, friend, friend) as (desk, phone, one, two):
            found: Seen[tuple[Person, st.ChatMessage]] = Seen()
            for person in (desk, phone, one, two):
                person.chat.on(st.ChatMessage)(partial(keep, found, person))
            sent_id = await desk.chat.send_stanza(poll(one.chat.jid, body="When?"))
            copies = await found.wait(3)
            assert {person.chat.jid for person, _ in copies} == {phone.chat.jid, one.chat.jid, two.chat.jid}
            assert {(stanza.id, stanza.unknown[:1]) for _, stanza in copies} == {(sent_id, (POLL,))}

    run(main())


def test_unknown_message_reaches_a_group(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (one, other):
            dialog_id = await gather(server, one, other)
            found: Seen[st.GroupMessage] = Seen()
            for person in (one, other):
                person.chat.on(st.GroupMessage)(found.append)
            group_poll = st.GroupMessage(to=room_jid(dialog_id), body="When?", unknown=(POLL,))
            sent_id = await one.chat.send_stanza(group_poll)
            for stanza in await found.wait(2, lambda stanza: stanza.body == "When?"):
                assert (stanza.id, stanza.from_, stanza.unknown[:1]) == (
                    sent_id, f"{room_jid(dialog_id)}/{one.id}", (POLL,)
                )  # fmt: skip

    run(main())


def test_unknown_presence_is_routed(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (one, other):
            found: Seen[st.AvailablePresence] = Seen()
            other.chat.on(st.AvailablePresence)(found.append)
            await one.chat.send_stanza(st.AvailablePresence(to=other.chat.jid, unknown=(POLL,)))
            presence = await found.one(lambda stanza: stanza.from_ == one.chat.jid)
            assert presence.unknown[:1] == (POLL,)

    run(main())


def test_blocked_user_reaches_nobody(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users(), users()) as (one, other, third):
            seen: list[st.Stanza] = []
            await other.chat.privacy.block(one.id)
            other.chat.on(st.ChatMessage, st.AvailablePresence, st.IqGet)(seen.append)
            with contextlib.suppress(RecipientBlocked):  # It may come back after it was acknowledged.
                await one.chat.send_stanza(poll(other.user.jid))
            await one.chat.send_stanza(st.AvailablePresence(to=other.chat.jid, unknown=(POLL,)))
            with pytest.raises(StanzaRefused) as refused:
                await one.chat.request(st.IqGet(id="", to=other.chat.jid, unknown=(QUERY,)))
            assert refused.value.condition == "service-unavailable"
            await third.caught_up(other)
            assert [stanza for stanza in seen if getattr(stanza, "from_", None) == one.chat.jid] == []

    run(main())


# Requests


def test_requests_to_the_server(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            answer = await one.chat.request(st.DiscoInfoRequest(id="", to=HOST, query=st.DiscoInfo()))
            assert isinstance(answer, st.DiscoInfoResult)
            assert "urn:xmpp:ping" in {feature.var for feature in answer.query.features}
            for request in (st.IqGet(id="", to=HOST, unknown=(QUERY,)), st.IqSet(id="mine", unknown=(QUERY,))):
                with pytest.raises(StanzaRefused, match=f"the {type(request).__name__}") as refused:
                    await one.chat.request(request)
                assert refused.value.condition == "service-unavailable"
            with pytest.raises(StanzaRefused) as refused:
                await one.chat.request(st.IqGet(id="", to=HOST, unknown=(QUERY, QUERY)))
            assert refused.value.condition == "bad-request"

    run(main())


def test_requests_between_users(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (one, other):
            request = st.IqGet(id="", to=other.chat.jid, unknown=(QUERY,))
            with pytest.raises(StanzaRefused) as refused:
                await one.chat.request(request)
            assert refused.value.condition == "service-unavailable"

            @other.chat.on(st.IqGet)
            async def answer(asked: st.IqGet) -> None:
                assert asked.from_ == one.chat.jid
                await other.chat.send_stanza(st.IqResult(id=asked.id, to=asked.from_, unknown=(POLL,)))

            found = await one.chat.request(request)
            assert isinstance(found, st.IqResult)
            assert (found.from_, found.unknown) == (other.chat.jid, (POLL,))
            with pytest.raises(StanzaRefused) as refused:
                await one.chat.request(st.IqGet(id="", to=f"{other.user.jid}/gone", unknown=(QUERY,)))
            assert refused.value.condition == "service-unavailable"
            assert not other.told.of(StanzaRejected)

    run(main())


# A line that breaks


def test_stanza_survives_the_loss_of_its_session(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users()) as (other,), behind(server, users()) as (one, proxy):
            found: Seen[st.ChatMessage] = Seen()
            other.chat.on(st.ChatMessage)(found.append)
            proxy.stall("up")
            sending = asyncio.ensure_future(one.chat.send_stanza(poll(other.user.jid, id="poll-1")))
            await proxy.until(lambda: proxy.received["up"] > proxy.forwarded["up"])
            await unplug(one, proxy)
            await forget(server, one)
            proxy.resume()
            await proxy.accept()
            assert await sending == "poll-1"
            assert (await found.one()).id == "poll-1"
            await one.caught_up(other)
            assert len(found.items) == 1

    run(main())


# The blocking chat


def test_blocking_chat(server: Server, users: Users) -> None:
    one, other = users(), users()
    options: dict[str, Any] = {
        "app_id": APP_ID,
        "host": HOST,
        "port": server.ports.tls,
        "ssl_context": server.ssl_context(),
    }
    first = Chat(user_id=one.id, password=one.password, **options)
    second = Chat(user_id=other.id, password=other.password, **options)

    @second.on(st.IqGet)
    def answer(asked: st.IqGet) -> None:
        second.send_stanza(st.IqResult(id=asked.id, to=asked.from_, unknown=(POLL,)))

    with first, second, second.events(st.ChatMessage) as polls:
        first.send_stanza(poll(second.jid))
        assert next(polls).unknown == (POLL,)
        found = first.request(st.IqGet(id="", to=second.jid, unknown=(QUERY,)))
        assert isinstance(found, st.IqResult)
        assert found.unknown == (POLL,)
        with pytest.raises(StanzaRefused):
            first.request(st.IqGet(id="", to=HOST, unknown=(QUERY,)), timeout=30)


def test_registering_before_connecting(server: Server, users: Users) -> None:
    async def main() -> None:
        chat = chat_of(server, users())
        stream = chat.events(st.RosterResult)
        async with chat:
            assert (await anext(stream)).query.items == ()

    run(main())
