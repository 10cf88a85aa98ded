"""Chats and event loops: several in one, one in several, nothing global; and consumers that do not keep up."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import warnings
import weakref
from typing import Any

import pytest

from connectycube.chat import (
    Connected,
    Disconnected,
    Event,
    MessageNotSent,
    MessageReceived,
    NotConnected,
)
from tests.integration.chats import Users, chat_of
from tests.integration.ejabberd import Ejabberd
from tests.integration.lines import present
from tests.integration.server import Server
from tests.integration.support import drained, run

# Loops


def test_one_chat_in_successive_loops(server: Server, users: Users) -> None:
    user = users()
    chat = chat_of(server, user)
    told: list[Event] = []
    chat.on()(told.append)

    async def main() -> None:
        async with chat:
            await chat.send(user.id, "x")
            await chat.privacy.names()

    run(main())
    run(main())
    assert [type(event) for event in told if isinstance(event, (Connected, Disconnected))] == [
        Connected,
        Disconnected,
    ] * 2


def test_loop_ends_without_disconnect(server: Server, users: Users) -> None:
    """The socket is lost with its loop, which Python reports; the chat itself can be used again."""
    user = users()
    chat = chat_of(server, user)

    async def abandon() -> None:
        await chat.connect()
        sending = asyncio.ensure_future(chat.send(user.id, "x"))
        await asyncio.sleep(0)
        assert not sending.done()

    async def again() -> None:
        with pytest.raises(MessageNotSent, match="connect"):
            await chat.send(user.id, "not yet")
        with pytest.raises(NotConnected):
            await chat.ping()
        connecting = asyncio.ensure_future(chat.connect())
        await asyncio.sleep(0)
        assert not chat.online
        await connecting
        await chat.send(user.id, "y")
        await chat.ping()
        assert await chat.disconnect() == ()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(abandon())
        run(again())
        gc.collect()


def test_chat_cannot_be_used_in_two_loops_at_once(server: Server, users: Users) -> None:
    async def main() -> None:
        async with chat_of(server, users()) as chat:

            def elsewhere() -> None:
                with pytest.raises(NotConnected, match="another event loop"):
                    asyncio.run(chat.connect())

            await asyncio.to_thread(elsewhere)
            await chat.ping()

    run(main())


def test_chats_share_only_the_context(server: Server, users: Users, monkeypatch: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))

    async def main() -> None:
        tasks = asyncio.all_tasks()
        chats = [chat_of(server, users(), ssl_context=None) for _ in range(3)]
        assert len({id(chat._settings.context) for chat in chats}) == 1
        for chat in chats:
            await chat.connect()
        assert asyncio.all_tasks() == tasks
        assert len({chat.jid for chat in chats}) == 3
        await chats[0].disconnect()
        await chats[1].ping()
        context = weakref.ref(chats[0]._settings.context)
        for chat in chats:
            await chat.disconnect()
        del chat
        chats.clear()
        await drained()
        gc.collect()
        assert context() is None

    run(main())


def test_global_state_is_unchanged(server: Server, users: Users) -> None:
    user = users()
    script = f"""
import asyncio, logging, signal, ssl, sys, threading

def state():
    found = {{}}
    for module in (asyncio.base_events, asyncio.events, asyncio.sslproto, asyncio.selector_events, ssl, asyncio):
        for name, value in vars(module).items():
            found[module.__name__, name] = id(value)
            if isinstance(value, type):
                found.update({{(module.__name__, name, key): id(entry) for key, entry in vars(value).items()}})
    found["handlers"] = (tuple(logging.getLogger().handlers), logging.getLogger().level)
    found["signals"] = tuple(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE))
    found["hooks"] = (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.getrecursionlimit())
    found["threads"] = threading.active_count()
    return {{key: value for key, value in found.items() if "__abstractmethods__" not in str(key)}}

policy = asyncio.get_event_loop_policy()
before = state()
import connectycube.chat as c
chat = c.AsyncChat(app_id=7001, user_id={user.id}, password={user.password!r}, host="localhost",
    port={server.ports.tls}, ssl_context=ssl.create_default_context(cafile={str(server.ca_file)!r}))

async def main():
    loop = asyncio.get_running_loop()
    own = dict(vars(loop))
    handler, factory = loop.get_exception_handler(), loop.get_task_factory()
    async with chat:
        await chat.send({user.id}, "x")
    assert (handler, factory) == (loop.get_exception_handler(), loop.get_task_factory())
    assert vars(loop).keys() == own.keys()
    assert asyncio.get_running_loop() is loop and not loop.is_closed()

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
assert not loop.is_closed()
loop.run_until_complete(main())
# The thread that looks up names is asyncio's own.
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
assert asyncio.get_event_loop_policy() is policy
after = state()
print([key for key in before if before[key] != after.get(key)])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


# Memory


def test_consumer_that_never_reads_costs_little(
    ejabberd: Ejabberd, users: Users, caplog: pytest.LogCaptureFixture
) -> None:
    count = 50_000

    async def main() -> None:
        async with present(ejabberd, users(), users(), mark_delivered="never") as (sender, reader):
            sender.told.seen.items.clear()
            unread = reader.chat.events(MessageReceived, limit=1000)
            newest = reader.chat.events(MessageReceived, limit=1)
            seen = 0
            done = asyncio.Event()

            @reader.chat.on(MessageReceived)
            def counts(event: MessageReceived) -> None:
                nonlocal seen
                seen += 1
                if seen == count:
                    done.set()

            window = asyncio.Semaphore(2000)

            async def send(number: int) -> None:
                async with window:
                    await sender.chat.send(reader.id, f"{number}", markable=False)

            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(send(number))
                    if number % 500 == 0:
                        await asyncio.sleep(0)
            await done.wait()
            assert unread.dropped == count - 1000
            assert newest.dropped == count - 1
            held = [(await anext(unread)).message.body for _ in range(1000)]
            assert held == [f"{number}" for number in range(count - 1000, count)]
            assert (await anext(newest)).message.body == f"{count - 1}"

    with caplog.at_level(logging.WARNING, "connectycube.chat"):
        run(main())
    assert sum("too slow" in record.message for record in caplog.records) == 2
