"""Events for blocking code: handlers in threads of their own, and an iterator.

As in `_bus`, nothing here waits for a consumer: each has a bounded queue.

The threads are daemons, so a handler that never returns doesn't keep the program from ending. That rules out
`concurrent.futures.ThreadPoolExecutor`, for whose threads the interpreter waits at exit.
`tests/chat_pure/test_threads.py` shows both.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .._bus import PATIENCE, Bus, Emitted, Queue, name_of
from .._fork import watch
from .._tracing import processing
from ..errors import ChatError
from ..events import ConnectionFailed, Disconnected, MessageReceived
from .thread import wait_at

__all__ = ["ENDS", "BlockingEventStream", "Handler", "Workers"]

E = TypeVar("E", bound=Emitted)

ENDS = (Disconnected, ConnectionFailed)
"""The events after which no other comes."""
THREAD = "connectycube "
"""What the name of a handler's thread begins with."""

logger = logging.getLogger("connectycube.chat")


class BlockingEventStream(Iterator[E]):
    """The events of a chat as an iterator, created by `chat.events`.

    It yields every event from its creation on. It ends when the chat is disconnected, and raises the `ChatError` when
    the chat gives up. `close`, or leaving `with`, ends it earlier. Threads may share it: each event goes to one of
    them.
    """

    __slots__ = ("__weakref__", "_bus", "_check", "_closed", "_error", "_gate", "_lock", "_queue")

    def __init__(self, bus: Bus, types: tuple[type[E], ...], limit: int | None, check: Callable[[], None]) -> None:
        self._bus = bus
        self._queue = Queue(types, limit, "an iterator of events", bus.full)
        self._error: ChatError | None = None
        self._check = check
        self._closed = False
        self._forked()
        watch(self)

    def _forked(self) -> None:
        """Begin with free locks: one may have been held when the process was forked."""
        self._lock = threading.Lock()
        self._gate = threading.Lock()  # Not a condition: see `thread` for Ctrl-C.
        self._gate.acquire()

    @property
    def dropped(self) -> int:
        """How many events were dropped because the iterator was too slow. The oldest are dropped first."""
        return self._queue.dropped

    def __iter__(self) -> BlockingEventStream[E]:
        return self

    def __next__(self) -> E:
        self._check()
        waiting, patience = self._queue.waiting, time.monotonic() + PATIENCE
        while True:
            with self._lock:
                event = self._queue.take() if waiting else None
                if waiting or self._closed:
                    self._wake()  # For another thread.
            if event is not None:
                return event
            if self._closed:
                if self._error is not None:
                    raise self._error
                raise StopIteration
            if self._bus.active:
                wait_at(self._gate)
            else:
                self._bus.check(patient=time.monotonic() < patience)
                self._gate.acquire(timeout=0.1)

    def _wake(self) -> None:
        """Let one thread look; the lock is held."""
        if self._gate.locked():
            self._gate.release()

    def close(self) -> None:
        """End the iteration after the events that are already waiting."""
        with self._lock:
            self._closed = True
            self._wake()

    def __enter__(self) -> BlockingEventStream[E]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, event: Any) -> bool:
        """Take an event from the chat.

        :returns: whether there may be more.
        """
        with self._lock:
            if not self._closed and isinstance(event, self._queue.types):
                self._queue.put(event)
                self._wake()
        if isinstance(event, ENDS):
            self._error = event.error if isinstance(event, ConnectionFailed) and not self._closed else self._error
            self.close()
        return not self._closed


class Workers:
    """The threads that call a chat's handlers.

    :ivar bus: the events of the chat.
    :ivar failed: called when a handler has raised.
    :ivar lock: guards all their queues.
    :ivar threads: those that run.
    :ivar closing: whether threads end once their queue is empty.
    """

    __slots__ = ("__weakref__", "_changed", "_handlers", "_leaving", "bus", "closing", "failed", "lock", "threads")

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.failed: Callable[[Callable[[Any], Any], Emitted, BaseException], None] = bus.failed
        self._handlers: set[Handler] = set()
        self._forked()
        watch(self)

    def _forked(self) -> None:
        """Begin without threads: a forked child process has none, and a lock may have been held by one of them."""
        self.lock = threading.Lock()
        self.threads: set[threading.Thread] = set()
        self.closing = False
        self._changed = threading.Condition(self.lock)
        self._leaving: set[threading.Thread] = set()
        for handler in self._handlers:
            handler.forked()

    def open(self) -> None:
        """Let the threads wait for events again."""
        with self.lock:
            self.closing = False

    def add(self, handler: Handler) -> None:
        """Include a handler in `join`."""
        with self.lock:
            self._handlers.add(handler)

    def drop(self, handler: Handler) -> None:
        """Let a handler finish what is queued, then end."""
        with self.lock:
            self._handlers.discard(handler)
            handler.closing = True
            handler.ready.notify_all()

    def ended(self) -> None:
        """Forget the current thread, which is about to end. The caller holds the lock."""
        self.threads.discard(threading.current_thread())
        self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Let the handlers finish what is queued, and wait until their threads have ended.

        A handler's own thread is not waited for, nor are those that wait here themselves.
        """
        me = threading.current_thread()
        with self.lock:
            self.closing = True
            for handler in self._handlers:
                handler.ready.notify_all()
            before = set(self.threads)
            if me in before:
                self._leaving.add(me)

            def late() -> set[threading.Thread]:
                # Two handlers that disconnect at the same time must not wait for each other.
                return self.threads - (self._leaving if me in self._leaving else set())

            self._changed.wait_for(lambda: not late(), timeout)
            if found := late():
                names = ", ".join(sorted(thread.name.removeprefix(THREAD) for thread in found))
                logger.warning("handlers were still at work when the chat was closed: %s", names)
                for handler in self._handlers:
                    handler.queue.clear()
            gone = before - self.threads
            self._leaving.discard(me)
        for thread in gone:
            thread.join()


class Handler:
    """A function that is called with events, in one thread or in several.

    :ivar queue: the events that it has not been called with yet.
    :ivar ready: notified, with the lock of the workers, when the queue gets an event.
    :ivar closing: whether its threads end once the queue is empty.
    """

    __slots__ = ("_call", "_concurrency", "_idle", "_running", "_workers", "closing", "queue", "ready")

    def __init__(self, workers: Workers, call: Callable[[Any], Any], concurrency: int) -> None:
        self.queue: Queue[Emitted] = Queue((), None, f"the handler {name_of(call)}", workers.bus.full)
        self.closing = False
        self._call = call
        self._concurrency = concurrency
        self._workers = workers
        self.forked()

    def forked(self) -> None:
        """Begin without threads, as in `Workers`."""
        self.queue.clear()
        self.ready = threading.Condition(self._workers.lock)
        self._idle = 0
        self._running = 0

    def put(self, event: Emitted) -> None:
        """Queue an event, and start a thread for it if all are busy and another one is allowed."""
        with self._workers.lock:
            self.queue.put(event)
            if len(self.queue.waiting) <= self._idle or self._running >= self._concurrency:
                self.ready.notify()
                return
            thread = threading.Thread(target=self._work, name=f"{THREAD}{name_of(self._call)}", daemon=True)
            self._running += 1
            self._workers.threads.add(thread)
            thread.start()

    def _work(self) -> None:
        while (event := self._next()) is not None:
            try:
                with processing(self._call, event.message if isinstance(event, MessageReceived) else None):
                    self._call(event)
            except BaseException as error:  # Not even `SystemExit` would end more than this thread.
                self._workers.failed(self._call, event, error)

    def _end(self) -> None:
        self._running -= 1
        self._workers.ended()

    def _next(self) -> Emitted | None:
        waiting = self.queue.waiting
        with self._workers.lock:
            while not waiting:
                if self.closing or self._workers.closing:
                    self._end()  # Before anything else can be put.
                    return None
                self._idle += 1
                self.ready.wait()
                self._idle -= 1
            return self.queue.take()
