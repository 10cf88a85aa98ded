"""Chats begin and end, at any moment and in any loop, and nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import socket
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from connectycube.chat import (
    Connected,
    Disconnected,
    Event,
    MessageNotSent,
    MessageReceived,
    NotConnected,
    Reconnected,
    Reconnecting,
    State,
)
from tests.integration.chats import Person, Told, Users, chat_of
from tests.integration.lines import FAST, PLAIN, back, behind, line, present
from tests.integration.server import Server
from tests.integration.support import drained, eventually, run


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found


async def closed(before: int) -> None:
    """Wait until no more sockets are open than before: a server in this process closes its side a little later."""
    await eventually(lambda: sockets() <= before)


TURNS = [*range(12), *range(12, 60, 4)]
"""How many turns of the loop a chat is given before it is disturbed; the later ones take a millisecond."""


def debug(main: Coroutine[Any, Any, None]) -> None:
    """Run in asyncio's debug mode, which reports tasks never awaited and leaked resources."""
    with asyncio.Runner(debug=True) as runner:
        runner.run(main)
    gc.collect()


def timers() -> int:
    """How many timers the running loop has that were not cancelled."""
    loop: Any = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)


# Nothing is left


@pytest.mark.parametrize(
    ("tls", "managed", "count"),
    [("direct", True, 50), ("direct", False, 10), ("starttls", True, 10), ("none", True, 10), ("none", False, 10)],
)
def test_sessions_leave_nothing_behind(server: Server, users: Users, tls: str, managed: bool, count: int) -> None:
    port = server.ports.tls if tls == "direct" else server.ports.starttls
    user = users()

    async def main() -> None:
        before, before_timers = sockets(), timers()
        for _ in range(count):
            chat = chat_of(server, user, tls=tls, port=port, stream_management=managed)
            await chat.connect()
            await chat.send(user.id, "x")
            await chat.disconnect()
            await drained()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await closed(before)
        # A TLS handshake's timer may be there until it would have gone off.
        assert timers() <= before_timers
        gone = weakref.ref(chat)
        del chat
        gc.collect()
        assert gone() is None

    debug(main())


def test_lost_chat_leaves_nothing_behind(server: Server, users: Users) -> None:
    user = users()

    async def main() -> None:
        before = sockets()
        async with line(server) as proxy:
            for how in ("waiting", "given up", "online"):
                chat = chat_of(server, user, port=proxy.port, backoff=FAST, auto_reconnect=how != "given up")
                told = Told(chat)
                await chat.connect()
                proxy.cut()
                if how == "waiting":
                    proxy.refuse()
                    await told.one(Reconnecting)
                elif how == "online":
                    await told.one(Reconnected)
                await chat.disconnect()
                await proxy.idle()
                await proxy.accept()
        await drained()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await closed(before)

    debug(main())


@pytest.mark.parametrize("tls", ["direct", "starttls"])
def test_cancel_connect_at_any_point(server: Server, users: Users, tls: str) -> None:
    port = server.ports.tls if tls == "direct" else server.ports.starttls
    user = users()

    async def main() -> None:
        before = sockets()
        ended = {"cancelled": 0, "connected": 0}
        for turns in TURNS:
            chat = chat_of(server, user, tls=tls, port=port)
            connecting = asyncio.ensure_future(chat.connect())
            for _ in range(turns):
                await asyncio.sleep(0 if turns < 12 else 0.001)
            connecting.cancel()
            await asyncio.wait([connecting])
            if connecting.cancelled():
                ended["cancelled"] += 1
                assert chat.state.name is State.OFFLINE
            else:
                ended["connected"] += 1
                assert connecting.exception() is None
                assert chat.online
                await chat.disconnect()
            await drained()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await closed(before)
        assert ended["cancelled"] >= 8

    debug(main())


def test_disconnect_at_any_point(server: Server, users: Users) -> None:
    user = users()

    async def main() -> None:
        before = sockets()
        chat = chat_of(server, user)
        for turns in TURNS:
            connecting = asyncio.ensure_future(chat.connect())
            for _ in range(turns):
                await asyncio.sleep(0 if turns < 12 else 0.001)
            assert await chat.disconnect() == ()
            assert chat.state.name is State.OFFLINE
            (error,) = await asyncio.gather(connecting, return_exceptions=True)
            assert error is None or isinstance(error, NotConnected)
            # One that had not begun may do so now.
            await chat.disconnect()
            await drained()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await closed(before)

    debug(main())


def test_disconnect_at_random_during_cuts(server: Server, users: Users) -> None:
    user = users()

    async def main() -> None:
        chance = random.Random(5)
        async with line(server) as proxy:
            for _ in range(20):
                person = Person(server, user, port=proxy.port, backoff=FAST)
                await person.chat.connect()
                sending = [asyncio.ensure_future(person.chat.send(user.id, f"{number}")) for number in range(5)]
                if chance.random() < 0.3:
                    proxy.cut()
                else:
                    proxy.cut_after(chance.choice(("up", "down")), chance.randrange(1, 1000))
                await asyncio.sleep(chance.random() * 0.05)
                left = await person.chat.disconnect(timeout=chance.choice((0, 0.02, 5)))
                failed = [
                    error.message_id
                    for error in await asyncio.gather(*sending, return_exceptions=True)
                    if isinstance(error, MessageNotSent)
                ]
                assert set(failed) >= set(left)
                assert len(person.told.of(Disconnected)) == 1
                proxy.calm()
        await drained()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    debug(main())


# Once, twice, at once


def test_connecting_twice_connects_once(server: Server, users: Users) -> None:
    async def main() -> None:
        chat = chat_of(server, users())
        told = Told(chat)
        await asyncio.gather(chat.connect(), chat.connect(), chat.connect())
        await chat.connect()
        assert len(told.of(Connected)) == 1
        assert set(await asyncio.gather(chat.disconnect(), chat.disconnect())) == {()}
        assert await chat.disconnect() == ()
        assert len(told.of(Disconnected)) == 1

    run(main())


def test_cancelling_one_connect_keeps_the_other(server: Server, users: Users) -> None:
    async def main() -> None:
        chat = chat_of(server, users())
        one, other = (asyncio.ensure_future(chat.connect()) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await other
        assert chat.online
        await chat.disconnect()

    run(main())


def test_disconnect_in_a_handler(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (person, other):
            done = asyncio.Event()

            @person.chat.on(MessageReceived)
            async def leave(event: MessageReceived) -> None:
                assert await person.chat.disconnect() == ()
                done.set()

            await other.chat.send(person.id, "go")
            await done.wait()
            assert person.chat.state.name is State.OFFLINE
            await person.chat.connect()

    run(main())


def test_handler_exceptions_do_not_stop_others(server: Server, users: Users, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy):

            @person.chat.on(Event)
            def plain(event: Event) -> None:
                raise RuntimeError("plain")

            @person.chat.on(Reconnecting, Reconnected)
            async def waiting(event: Event) -> None:
                raise RuntimeError("waiting")

            told = Told(person.chat)
            for number in range(3):
                proxy.cut()
                await back(person, number + 1)
            assert len(told.of(Reconnecting)) >= 3
            assert len(told.of(Reconnected)) == 3
            await person.chat.ping()

    with caplog.at_level(logging.ERROR, "connectycube.chat"):
        run(main())
    assert {str(record.exc_info[1]) for record in caplog.records if record.exc_info} == {"plain", "waiting"}


@pytest.mark.parametrize("options", [{}, {"tls": "starttls"}, PLAIN], ids=["direct", "starttls", "none"])
def test_hung_connection_does_not_delay_disconnect(server: Server, users: Users, options: dict[str, Any]) -> None:
    """The TLS shutdown gets no answer either."""

    async def main() -> None:
        async with behind(server, users(), **options) as (person, proxy):
            identity = "66f1a7c2e4b0d93a51c8e2aa"
            proxy.stall("up")
            proxy.stall("down")
            sending = asyncio.ensure_future(person.chat.send(person.id, "hello", message_id=identity))
            await asyncio.sleep(0)
            assert await person.chat.disconnect(timeout=0.1) == (identity,)
            with pytest.raises(MessageNotSent):
                await sending
            await drained()

    run(main())


@pytest.mark.parametrize("options", [{}, PLAIN], ids=["tls", "plain"])
def test_nothing_is_written_to_a_lost_connection(
    server: Server, users: Users, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio would log a warning for each attempt."""

    async def main() -> None:
        async with behind(server, users(), **options) as (person, _proxy):
            stream = person.chat._traffic.stream
            assert stream is not None
            assert stream.transport is not None
            stream.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)  # The next write fails.
            await asyncio.gather(*(person.chat.send(person.id, "hello") for _ in range(1000)))
            await person.told.one(Reconnected)

    run(main())
    assert not [record for record in caplog.records if record.name == "asyncio" and record.levelno >= logging.WARNING]
