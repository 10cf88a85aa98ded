"""Handlers in threads and the blocking iterator, without a server: their limits, and how they end."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from connectycube.chat import Chat, Disconnected, HandlerFailed, MessageReceived, StreamFailed, TypingStarted, _bus
from connectycube.chat._bus import Bus, Queue
from connectycube.chat.blocking.workers import BlockingEventStream, Handler, Workers

PATIENCE = 60
"""Seconds to wait for another thread, however loaded the machine is."""


def numbered(number: int) -> TypingStarted:
    return TypingStarted(user_id=number, dialog_id=None)


def test_slow_handler_gets_all_events() -> None:
    workers, begun, go, seen = Workers(Bus()), threading.Event(), threading.Event(), list[int | None]()

    def slow(event: TypingStarted) -> None:
        begun.set()
        go.wait(PATIENCE)
        seen.append(event.user_id)

    handler = Handler(workers, slow, 1)
    workers.add(handler)
    handler.put(numbered(0))
    assert begun.wait(PATIENCE)
    for number in range(1, 8):
        handler.put(numbered(number))
    assert len(workers.threads) == 1
    go.set()
    workers.join(PATIENCE)
    assert seen == list(range(8))
    assert handler.queue.dropped == handler.queue.size == 0
    assert workers.threads == set()


def test_abandoned_queue_loses_the_oldest_events(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_bus, "BOUND", 3 * _bus.OVERHEAD)
    full = list[Queue[TypingStarted]]()
    queue = Queue((TypingStarted,), None, "a handler", full.append)
    for number in range(4):
        queue.put(numbered(number))
    assert (full, queue.dropped, len(queue.waiting)) == ([queue], 0, 4)
    queue.abandoned = True
    for number in range(4, 6):
        queue.put(numbered(number))
    assert [event.user_id for event in queue.waiting] == [3, 4, 5]
    assert queue.dropped == 3
    assert [record.message for record in caplog.records] == ["a handler is too slow: its oldest events are dropped"]
    assert queue.take() == numbered(3)
    assert not queue.abandoned


def test_removed_handler_finishes_its_queue() -> None:
    workers, go, seen = Workers(Bus()), threading.Event(), list[int | None]()

    def call(event: TypingStarted) -> None:
        go.wait(PATIENCE)
        seen.append(event.user_id)

    handler = Handler(workers, call, 1)
    workers.add(handler)
    for number in range(3):
        handler.put(numbered(number))
    (thread,) = workers.threads
    workers.drop(handler)
    go.set()
    thread.join(PATIENCE)
    assert (seen, thread.is_alive(), workers.threads) == ([0, 1, 2], False, set())


def test_handler_continues_after_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers(Bus())

    errors: list[BaseException] = [KeyError(), SystemExit(3), asyncio.CancelledError(), KeyError()]
    failed = list[HandlerFailed]()
    workers.bus.on((HandlerFailed,))(failed.append)

    def call(event: TypingStarted) -> None:
        raise errors[event.user_id or 0]

    handler = Handler(workers, call, 1)
    workers.add(handler)
    for number in range(4):
        handler.put(numbered(number))
    workers.join(PATIENCE)
    assert failed == [HandlerFailed(handler=call, event=numbered(n), error=errors[n]) for n in range(4)]
    assert [(record.levelno, record.exc_info is not None) for record in caplog.records] == [(logging.ERROR, True)] * 4


def test_threads_are_started_on_demand() -> None:
    workers, both = Workers(Bus()), threading.Barrier(2, timeout=PATIENCE)
    handler = Handler(workers, lambda event: both.wait(), 5)
    workers.add(handler)
    assert workers.threads == set()
    for number in range(2):
        handler.put(numbered(number))
    assert len(workers.threads) <= 2
    workers.join(PATIENCE)
    assert both.n_waiting == 0
    workers.open()
    for number in range(2):
        handler.put(numbered(number))
    workers.join(PATIENCE)
    assert workers.threads == set()


def test_slow_iterator_loses_and_counts_the_oldest_events() -> None:
    stream = BlockingEventStream(Bus(), (TypingStarted,), 2, lambda: None)
    assert all(stream._put(numbered(number)) for number in range(5))
    assert stream._put(StreamFailed(condition="conflict", text=""))
    assert not stream._put(Disconnected())
    assert not stream._put(numbered(9))
    assert [event.user_id for event in stream] == [3, 4]
    assert stream.dropped == 3


def test_abandoned_iterator_is_unregistered() -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)
    bus = chat._chat._bus
    chat.events(MessageReceived)
    kept = chat.events(TypingStarted)
    closed = chat.events(TypingStarted)
    closed.close()
    assert len(bus._handlers) == 3
    bus.emit(Disconnected())
    assert bus._handlers == []
    assert list(kept) == []


def test_off_unregisters_a_handler_that_was_registered_twice() -> None:
    chat = Chat(user_id=81001, password="secret", app_id=7001)

    @chat.on(TypingStarted)
    @chat.on(MessageReceived)
    def call(event: object) -> None: ...

    assert len(chat._chat._bus._handlers) == 2
    chat.off(call)
    assert chat._chat._bus._handlers == []
    for add in (chat._chat.on(TypingStarted), chat._chat.on(MessageReceived)):
        add(call)
    chat._chat.off(call)
    assert chat._chat._bus._handlers == []
