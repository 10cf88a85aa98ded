"""Connecting again: when, how often and why not; taking up the old session."""

from __future__ import annotations

import asyncio
import datetime as dt
import time

import pytest

from connectycube.chat import (
    AuthenticationFailed,
    Backoff,
    Connected,
    ConnectError,
    ConnectionFailed,
    Disconnected,
    Event,
    MessageNotSent,
    MessageReceived,
    Reason,
    Reconnected,
    Reconnecting,
    State,
    StreamConflict,
    StreamFailed,
)
from tests.integration.chats import Person, Told, Users, chat_of
from tests.integration.lines import FAST, NEVER, back, behind, bodies, line, present, unplug, wait_body
from tests.integration.proxy import How
from tests.integration.server import Server
from tests.integration.support import eventually, run


def names(person: Person, *leave_out: type[Event]) -> list[str]:
    """What was told, by class."""
    return [type(event).__name__ for event in person.told.seen.items if not isinstance(event, leave_out)]


# Taking up the old session


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_session_is_resumed_without_loss(server: Server, users: Users, how: How) -> None:
    async def main() -> None:
        async with behind(server, users()) as (reader, proxy), present(server, users()) as (sender,):
            jid = reader.chat.jid
            proxy.refuse()
            proxy.cut(how)
            waits = await reader.told.one(Reconnecting)
            assert waits.error is reader.chat.state.error or waits.attempt < reader.chat.state.attempt
            assert waits.error.reason is Reason.NETWORK
            for number in range(50):
                await sender.chat.send(reader.id, f"{number}")
            assert bodies(reader) == []
            await proxy.accept()
            assert await back(reader, 1) is True
            await wait_body(reader, "49")
            assert bodies(reader) == [f"{number}" for number in range(50)]
            assert reader.chat.jid == jid
            assert reader.chat.state.error is None
            assert len(server.resources(reader.user)) == 1
            await reader.chat.disconnect()
        told = names(reader, MessageReceived, Reconnecting)
        assert told[-2:] == ["Reconnected", "Disconnected"]
        assert told.count("Connected") == 1

    run(main())


def test_requests_survive_resumption(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy):
            proxy.stall("up")
            ping = asyncio.ensure_future(person.chat.ping())
            names = asyncio.ensure_future(person.chat.privacy.names())
            await proxy.until(lambda: proxy.received["up"] > proxy.forwarded["up"])
            proxy.cut()
            proxy.resume()
            assert await back(person, 1) is True
            assert await names == ()
            assert await ping > 0

    run(main())


def test_many_cuts_in_a_row(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), stable_after=0) as (person, proxy), present(server, users()) as (other,):
            for number in range(100):
                proxy.refuse()
                proxy.cut("fin" if number % 2 else "reset")
                await person.told.all(Reconnecting, number + 1)
                await proxy.accept()
                await back(person, number + 1)
                assert person.chat.online
            assert all(event.resumed for event in person.told.of(Reconnected))
            await other.caught_up(person)
            await person.caught_up(other)

    run(main())


# When


def test_delays_grow_to_a_maximum_and_reset(server: Server, users: Users) -> None:
    backoff = Backoff(first=0.01, factor=2, maximum=0.04, spread=0)

    async def main() -> None:
        async with behind(server, users(), backoff=backoff, stable_after=0.05) as (person, proxy):
            await unplug(person, proxy)
            waits = await person.told.all(Reconnecting, 5)
            assert [(wait.attempt, wait.delay) for wait in waits] == [
                (1, 0.01),
                (2, 0.02),
                (3, 0.04),
                (4, 0.04),
                (5, 0.04),
            ]
            await proxy.accept()
            await back(person, 1)
            assert person.chat.state.attempt >= 5
            await eventually(lambda: person.chat.state.attempt == 0)
            assert person.chat.online
            done = len(person.told.of(Reconnecting))
            await unplug(person, proxy)
            assert person.told.of(Reconnecting)[done].attempt == 1
            await proxy.accept()
            await back(person, 2)

    run(main())


def test_unstable_connection_does_not_reset_the_delay(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), stable_after=3600) as (person, proxy):
            for number in range(1, 6):
                proxy.cut()
                await back(person, number)
            assert [wait.attempt for wait in person.told.of(Reconnecting)] == [1, 2, 3, 4, 5]

    run(main())


def test_delays_have_jitter(server: Server, users: Users) -> None:
    backoff = Backoff(first=0.02, factor=1, maximum=0.02, spread=0.5)

    async def main() -> None:
        async with behind(server, users(), backoff=backoff) as (person, proxy):
            await unplug(person, proxy)
            delays = [wait.delay for wait in await person.told.all(Reconnecting, 8)]
            assert all(0.01 < delay <= 0.02 for delay in delays)
            assert len(set(delays)) > 1

    run(main())


def test_state_and_event_give_reason_and_time(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), backoff=NEVER) as (person, proxy):
            before = dt.datetime.now(dt.UTC)
            proxy.cut()
            event = await person.told.one(Reconnecting)
            state = person.chat.state
            assert (state.name, state.attempt) == (State.WAITING, 1)
            assert state.error is event.error
            assert isinstance(state.error, ConnectError)
            assert state.error.reason is Reason.NETWORK
            assert str(proxy.port) in str(state.error)
            assert state.retry_at == event.retry_at
            assert event.retry_at >= before + dt.timedelta(seconds=event.delay)
            assert (event.attempt, event.delay) == (1, 3600)
            assert not person.chat.online

    run(main())


def test_disconnect_ends_the_delay_at_once(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), backoff=NEVER) as (person, proxy), present(server, users()) as (other,):
            proxy.cut()
            await person.told.one(Reconnecting)
            sending = asyncio.ensure_future(person.chat.send(other.id, "x", message_id="a" * 24))
            await asyncio.sleep(0)
            assert await person.chat.disconnect(timeout=3600) == ("a" * 24,)
            with pytest.raises(MessageNotSent) as caught:
                await sending
            assert caught.value.message_id == "a" * 24
            assert person.chat.state.name is State.OFFLINE
            assert person.chat.state.retry_at is None
            assert person.told.of(Disconnected) == [Disconnected(unacknowledged=("a" * 24,))]
            assert proxy.connections == 1

    run(main())


def test_connect_ends_the_delay(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), backoff=NEVER) as (person, proxy):
            proxy.cut()
            await person.told.one(Reconnecting)
            await person.chat.connect()
            assert person.chat.online
            assert person.told.of(Reconnected) == [Reconnected(resumed=True)]
            assert len(person.told.of(Connected)) == 1

    run(main())


def test_cancelled_connect_does_not_stop_reconnection(server: Server, users: Users) -> None:
    """`connect` during a wait has a time of its own; what was there before it goes on after it."""

    async def main() -> None:
        async with behind(server, users()) as (person, proxy):
            await unplug(person, proxy)
            with pytest.raises(ConnectError) as caught:
                await person.chat.connect(timeout=0.1)
            assert caught.value.reason in (Reason.TIMEOUT, Reason.NETWORK)
            helper = asyncio.ensure_future(person.chat.connect())
            await asyncio.sleep(0)
            helper.cancel()
            await asyncio.wait([helper])
            assert helper.cancelled()
            await proxy.accept()
            assert await back(person, 1) is True
            assert person.told.of(Disconnected) == []

    run(main())


# Why not


def test_no_reconnect_without_auto_reconnect(server: Server, users: Users) -> None:
    async def main() -> None:
        async with (
            behind(server, users(), auto_reconnect=False) as (person, proxy),
            present(server, users()) as (other,),
        ):
            proxy.stall()
            sending = asyncio.ensure_future(person.chat.send(other.id, "x"))
            await proxy.until(lambda: proxy.received["up"] > proxy.forwarded["up"])
            proxy.cut()
            proxy.resume()
            failed = await person.told.one(ConnectionFailed)
            assert failed.error.reason is Reason.NETWORK
            assert person.chat.state.error is failed.error
            assert person.chat.state.name is State.OFFLINE
            with pytest.raises(MessageNotSent):
                await sending
            with pytest.raises(MessageNotSent, match="connect"):
                await person.chat.send(other.id, "x")
            assert (proxy.connections, person.told.of(Reconnecting)) == (1, [])
            await person.chat.connect()
            await person.chat.send(other.id, "y")
            await wait_body(other, "y")
            assert len(person.told.of(Connected)) == 2

    run(main())


def test_first_connection_is_retried_only_with_auto_reconnect(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with line(server) as proxy:
            proxy.refuse()
            chat = chat_of(server, user, port=proxy.port, auto_reconnect=False)
            told = Told(chat)
            with pytest.raises(ConnectError) as caught:
                await chat.connect()
            assert caught.value.reason is Reason.NETWORK
            assert told.of(ConnectionFailed) == told.seen.items
            person = Person(server, user, port=proxy.port, backoff=FAST)
            connecting = asyncio.ensure_future(person.chat.connect())
            await person.told.all(Reconnecting, 3)
            await proxy.accept()
            await connecting
            assert names(person)[-1] == "Connected"
            await person.chat.disconnect()

    run(main())


def test_changed_password_is_tried_once(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy):
            await unplug(person, proxy)
            sending = asyncio.ensure_future(person.chat.send(1, "x"))
            server.set_password(person.user, "another")
            await proxy.accept()
            failed = await person.told.one(ConnectionFailed)
            assert isinstance(failed.error, AuthenticationFailed)
            assert failed.error.condition == "not-authorized"
            assert "another" not in str(failed.error)
            assert person.user.password not in str(failed.error)
            assert person.chat.state.name is State.OFFLINE
            with pytest.raises(MessageNotSent):
                await sending
            assert proxy.connections == 2
            assert names(person)[-1] == "ConnectionFailed"
            with pytest.raises(AuthenticationFailed):
                await person.chat.connect()
            assert proxy.connections == 3

    run(main())


def test_no_reconnect_after_a_conflict(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        one, other = (behind(server, user, resource="phone") for _ in range(2))
        async with one as (first, proxy), other as (second, _):
            failed = await first.told.one(ConnectionFailed)
            assert isinstance(failed.error, StreamConflict)
            assert first.told.of(StreamFailed)[0].condition == "conflict"
            assert names(first)[-2:] == ["StreamFailed", "ConnectionFailed"]
            assert (proxy.connections, first.told.of(Reconnecting)) == (1, [])
            await second.chat.ping()
            assert second.told.of(ConnectionFailed) == []

    run(main())


def test_policy_violation_is_retried_once_connected(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy):
            assert server.kick(person.user) == 1
            lost = await person.told.one(Reconnecting)
            assert (lost.error.reason, lost.error.condition) == (Reason.POLICY, "policy-violation")
            await back(person, 1)
            assert (proxy.connections, person.told.of(ConnectionFailed)) == (2, [])

    run(main())


# A peer that is dead


def test_dead_peer_is_detected_within_two_intervals(server: Server, users: Users) -> None:
    interval = 0.4

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with behind(server, users(), keepalive=interval) as (person, proxy):
            order: list[str] = []
            person.chat.on(Reconnecting)(lambda event: order.append("found"))
            await person.chat.ping()
            proxy.stall()
            sent = proxy.received["up"]
            # Timers of one loop go off in their order, however slow the machine is.
            loop.call_later(2 * interval + interval / 4, order.append, "late")
            lost = await person.told.one(Reconnecting)
            assert order[0] == "found"
            assert lost.error.reason is Reason.TIMEOUT
            assert proxy.received["up"] > sent, "it was not asked"
            proxy.cut()
            proxy.resume()
            assert await back(person, 1)

    run(main())


def test_silent_peer_that_answers_pings_is_kept(server: Server, users: Users) -> None:
    async def main() -> None:
        # Long enough for an answer on a machine under load.
        async with behind(server, users(), keepalive=1.5) as (person, proxy):
            down = proxy.forwarded["down"]
            await proxy.until(lambda: proxy.forwarded["down"] > down + 100)
            assert person.told.of(Reconnecting) == []

    run(main())


def test_blocked_loop_is_not_mistaken_for_a_dead_peer(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), keepalive=0.3) as (person, _):
            await person.chat.ping()
            # What still comes in behind the answer would be a sign of the server.
            await asyncio.sleep(0.1)
            time.sleep(1)
            await person.chat.ping()
            assert person.told.of(Reconnecting) == []

    run(main())
