"""How a chat ends: what is reported, and to whom."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import warnings
import weakref

import pytest

from connectycube.chat import (
    AsyncChat,
    Chat,
    ConnectionFailed,
    HandlerFailed,
    MessageNotSent,
    MessageReceived,
    NotConnected,
    StreamConflict,
    TypingStarted,
)
from tests.chat.fake import APP_ID, HOST, JID, MESSAGE, Fake, Peer, chat_with, online, plays_along, stream_error
from tests.integration.support import Seen, eventually, run

SENDER = f"81002-{APP_ID}@{HOST}/home"
TYPING = f"<message type='chat' from='{SENDER}' to='{JID}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"


def offline() -> AsyncChat:
    return AsyncChat(user_id=81001, password="secret", app_id=7001)


def test_permanent_failure_is_reported_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            running = asyncio.ensure_future(chat.run())
            events, waiting = chat.events(MessageReceived), asyncio.ensure_future(chat.wait_closed())
            await chat.ping()
            peer.send(stream_error("conflict"))
            failed = await told.one(ConnectionFailed)
            for raising in (anext(events), anext(events), waiting, running, chat.wait_closed()):
                with pytest.raises(StreamConflict) as raised:
                    await raising
                assert raised.value is failed.error
            with pytest.raises(StreamConflict):
                await anext(chat.events())
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            f"the chat has ended: {failed.error}"
        ]

    run(main())


def test_disconnect_ends_run_and_wait_closed() -> None:
    async def main() -> None:
        async with online() as (chat, _, _):
            running, waiting = asyncio.ensure_future(chat.run()), asyncio.ensure_future(chat.wait_closed())
            await chat.ping()
            await chat.disconnect()
            await running
            await waiting
            await chat.wait_closed()

    run(main())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_on_a_signal(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    async def main() -> None:
        async with Fake(plays_along) as fake:
            chat = chat_with(fake)
            running = asyncio.ensure_future(chat.run())
            await fake.peers.one()
            while not chat.online:
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), number)
            await running
            assert not chat.online

    run(main())
    assert signal.getsignal(number) is before


def test_iterating_over_a_chat_that_is_not_connected_raises() -> None:
    async def main() -> None:
        with pytest.raises(NotConnected, match=r"call connect\(\)"):
            await anext(offline().events())
        with pytest.raises(NotConnected, match=r"call connect\(\)"):
            next(Chat(user_id=81001, password="secret", app_id=7001).events())
        with pytest.raises(NotConnected, match=r"call connect\(\)"):
            await offline().wait_closed()
        async with online() as (chat, _, _):
            await chat.disconnect()
            with pytest.raises(NotConnected, match=r"call connect\(\)"):
                await anext(chat.events())

    run(main())


def test_iterator_may_wait_before_connect() -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            chat = chat_with(fake)
            first = asyncio.ensure_future(anext(chat.events()))
            await asyncio.sleep(0.05)
            async with chat:
                assert type(await first).__name__ == "Connected"

    run(main())


def test_task_that_waits_for_events_is_kept() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            seen: Seen[TypingStarted] = Seen()

            async def consume() -> None:
                async for event in chat.events(TypingStarted):
                    seen.append(event)

            task = weakref.ref(asyncio.ensure_future(consume()))
            await chat.ping()
            gc.collect()
            peer.send(TYPING)
            assert (await seen.one()).user_id == 81002
            assert task() is not None

    run(main())


def test_failed_handlers_are_reported() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):

            @chat.on(TypingStarted)
            def cancelled(event: TypingStarted) -> None:
                raise asyncio.CancelledError

            @chat.on(TypingStarted)
            async def broken(event: TypingStarted) -> None:
                raise BaseExceptionGroup("several", [KeyboardInterrupt()])

            @chat.on(HandlerFailed)
            def worse(event: HandlerFailed) -> None:
                raise ValueError

            peer.send(TYPING)
            failed = await told.all(HandlerFailed, 2)
            assert [event.handler for event in failed] == [cancelled, broken]
            assert [type(event.error) for event in failed] == [asyncio.CancelledError, BaseExceptionGroup]
            assert all(isinstance(event.event, TypingStarted) for event in failed)
            await chat.ping()
            assert chat.online

    run(main())


@pytest.mark.parametrize("asynchronous", [True, False])
def test_handler_can_exit_the_program(asynchronous: bool) -> None:
    seen = list[TypingStarted]()

    async def main() -> None:
        async with online() as (chat, _, peer):

            @chat.on(TypingStarted)
            def leave(event: TypingStarted) -> None:
                if not asynchronous:
                    raise SystemExit(3)

            @chat.on(TypingStarted)
            async def leave_later(event: TypingStarted) -> None:
                if asynchronous:
                    raise SystemExit(3)

            chat.on(TypingStarted)(seen.append)
            peer.send(TYPING)
            await asyncio.Event().wait()

    with pytest.raises(SystemExit) as exited:
        run(main())
    assert exited.value.code == 3
    assert len(seen) == 1


def test_handler_that_swallows_its_cancellation_does_not_delay_disconnect(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        release, busy = asyncio.Event(), asyncio.Event()
        async with online() as (chat, _, peer):

            @chat.on(TypingStarted)
            async def deaf(event: TypingStarted) -> None:
                busy.set()
                while not release.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await release.wait()

            @chat.on(TypingStarted)
            async def slow(event: TypingStarted) -> None:
                await asyncio.Event().wait()

            peer.send(TYPING * 2)
            await busy.wait()
            await chat.disconnect(timeout=0.1)
            assert not release.is_set()
            release.set()
        texts = [record.getMessage() for record in caplog.records]
        first, last = (next(text for text in texts if what in text) for what in ("still at work", "left behind"))
        assert "deaf" in first
        assert "slow" in first
        assert "deaf" in last
        assert "slow" not in last

    run(main())


def test_server_that_reads_nothing_does_not_delay_disconnect() -> None:
    async def main() -> None:
        deaf = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.session()
            while (element := await peer.next()).tag != MESSAGE:
                peer.answer(element)
            await deaf.wait()

        async with online(script, keepalive=None) as (chat, _, _peer):
            sending = [asyncio.ensure_future(chat.send(5, "x" * 100_000)) for _ in range(100)]
            await eventually(lambda: chat._traffic.stream is not None and chat._traffic.stream.unsent > 0)
            left = await chat.disconnect(timeout=0.1)
            assert len(left) == 100
            failed = await asyncio.gather(*sending, return_exceptions=True)
            assert {type(error) for error in failed} == {MessageNotSent}
            deaf.set()

    run(main())


def test_unclosed_chat_warns() -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            chat = chat_with(fake)
            await chat.connect()
            driver = chat._driver
            chat.__dict__["itself"] = chat  # Only the garbage collector frees it.
            del chat
            with pytest.warns(ResourceWarning, match=f"unclosed chat <AsyncChat {JID} online>: call disconnect"):
                gc.collect()
            await driver.disconnect(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chat = offline()
            del chat
            gc.collect()

    run(main())
