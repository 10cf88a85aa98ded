"""Delivers events to handlers and iterators, each with a limit of its own.

Nothing here ever waits for a consumer: a slow one must not delay the stream or the other consumers. A plain function is
called at once. A coroutine function has a queue and takes one event after another; so does an iterator. A full queue
drops its oldest event, counts it, and logs a warning once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from connectycube.rest import InvalidArgument

from .events import Event

__all__ = ["LIMIT", "Bus", "EventStream", "Queue", "awaits", "checked_kinds", "checked_limit", "name_of"]

F = TypeVar("F", bound=Callable[[Any], Any])
E = TypeVar("E", bound=Event)
# One for each event class in a call of `events`.
E1 = TypeVar("E1", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)
E5 = TypeVar("E5", bound=Event)

logger = logging.getLogger("connectycube.chat")

LIMIT = 10_000
"""How many events may wait for one handler."""


class Queue(Generic[E]):
    """A bounded queue of events, oldest first."""

    __slots__ = ("dropped", "limit", "name", "types", "waiting")

    def __init__(self, types: tuple[type[E], ...], limit: int, name: str) -> None:
        self.types = types
        self.limit = limit
        self.name = name
        self.waiting: deque[E] = deque()
        self.dropped = 0

    def put(self, event: E) -> None:
        if len(self.waiting) >= self.limit:
            self.waiting.popleft()
            if not self.dropped:
                logger.warning("%s is too slow: its oldest events are dropped", self.name)
            self.dropped += 1
        self.waiting.append(event)


class EventStream(AsyncIterator[E]):
    """The events of a chat as an async iterator, created by `chat.events`.

    It yields every event from its creation on and ends when the chat is disconnected or gives up. `close`, or leaving
    `async with`, ends it earlier.
    """

    __slots__ = ("__weakref__", "_closed", "_queue", "_ready")

    def __init__(self, types: tuple[type[E], ...], limit: int) -> None:
        self._queue = Queue(types, limit, "an iterator of events")
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many events were dropped because the iterator was too slow. The oldest are dropped first."""
        return self._queue.dropped

    def __aiter__(self) -> EventStream[E]:
        return self

    async def __anext__(self) -> E:
        waiting = self._queue.waiting
        while not waiting:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return waiting.popleft()

    def close(self) -> None:
        """End the iteration after the events that are already waiting."""
        self._closed = True
        self._ready.set()

    async def __aenter__(self) -> EventStream[E]:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _put(self, event: E) -> None:
        if not self._closed:
            self._queue.put(event)
            self._ready.set()


class _Handler:
    """A handler and, if it is a coroutine function, the workers that call it."""

    __slots__ = ("call", "idle", "queue", "types", "workers")

    def __init__(self, call: Callable[[Any], Any], types: tuple[type[Event], ...], concurrency: int) -> None:
        self.call = call
        self.types = types
        self.queue = Queue(types, LIMIT, f"the handler {name_of(call)}") if awaits(call) else None
        self.idle = concurrency
        self.workers: set[asyncio.Task[None]] = set()

    def put(self, event: Event) -> None:
        if self.queue is None:
            try:
                self.call(event)
            except Exception:
                self.failed(event)
            return
        self.queue.put(event)
        if self.idle:
            self.idle -= 1
            worker = asyncio.get_running_loop().create_task(self.work(self.queue.waiting), name="connectycube handler")
            self.workers.add(worker)
            worker.add_done_callback(self.workers.discard)

    async def work(self, waiting: deque[Event]) -> None:
        """Process what waits, then end, so that an idle handler leaves no task behind."""
        try:
            while waiting:
                event = waiting.popleft()
                try:
                    await self.call(event)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    self.failed(event)  # Something that the handler awaited was cancelled, not the handler itself.
                except Exception:
                    self.failed(event)
        finally:
            self.idle += 1

    def failed(self, event: Event) -> None:
        logger.exception("the handler %s raised on a %s", name_of(self.call), type(event).__name__)


class Bus:
    """Delivers events to handlers and iterators."""

    __slots__ = ("_by_type", "_handlers", "_streams")

    def __init__(self) -> None:
        self._handlers: list[_Handler] = []
        self._by_type: dict[type[Event], tuple[_Handler, ...]] = {}
        self._streams: WeakSet[EventStream[Any]] = WeakSet()

    def on(self, types: tuple[type[Event], ...], concurrency: int = 1) -> Callable[[F], F]:
        """Return a decorator that registers a handler for the event types.

        :raises InvalidArgument: from the decorator, if the handler can't be called.
        """

        def register(call: F) -> F:
            if not callable(call):
                raise InvalidArgument("handler", f"must be a function, not {type(call).__name__}")
            self._handlers.append(_Handler(call, types, concurrency))
            self._by_type.clear()
            return call

        return register

    def remove(self, call: Callable[[Any], Any]) -> None:
        """Unregister a handler, however often it was registered."""
        self._handlers = [handler for handler in self._handlers if handler.call != call]
        self._by_type.clear()

    def stream(self, types: tuple[type[E], ...], limit: int) -> EventStream[E]:
        """Return a new iterator over the events of the types."""
        found = EventStream(types, limit)
        self._streams.add(found)
        return found

    def emit(self, event: Event) -> None:
        """Deliver an event to all handlers, in the order of their registration, and to all iterators."""
        kind = type(event)
        handlers = self._by_type.get(kind)
        if handlers is None:
            handlers = tuple(handler for handler in self._handlers if issubclass(kind, handler.types))
            self._by_type[kind] = handlers
        for handler in handlers:
            handler.put(event)
        if self._streams:
            for stream in tuple(self._streams):
                if isinstance(event, stream._queue.types):
                    stream._put(event)

    def close(self) -> None:
        """End all iterators. They still yield what waits in them."""
        for stream in tuple(self._streams):
            stream.close()
            self._streams.discard(stream)

    async def drain(self, timeout: float) -> None:
        """Let the handlers finish what waits for them, then cancel them, except a handler that calls this."""
        own = asyncio.current_task()
        workers = {worker for handler in self._handlers for worker in handler.workers if worker is not own}
        if not workers:
            return
        _, late = await asyncio.wait(workers, timeout=timeout)
        for worker in late:
            worker.cancel()
        if late:
            logger.warning("%d handlers were still at work when the chat was closed", len(late))
            await asyncio.gather(*late, return_exceptions=True)


def name_of(call: Callable[[Any], Any]) -> str:
    """Return the name of a handler for the log."""
    return getattr(call, "__qualname__", type(call).__name__)


def awaits(call: Callable[[Any], Any]) -> bool:
    """Return whether a handler is a coroutine function, or an object whose call is one."""
    return iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def checked_kinds(types: tuple[type[Any], ...]) -> tuple[type[Any], ...]:
    """Return the event classes, or the base of all if there are none.

    :raises InvalidArgument: if one is not an event class.
    """
    for kind in types:
        if not isinstance(kind, type) or not issubclass(kind, Event):
            raise InvalidArgument("types", f"must be event classes of connectycube.chat.events, not {kind!r}")
    return types or (Event,)


def checked_limit(limit: int, name: str = "limit") -> int:
    """Return a limit if it is valid.

    :raises InvalidArgument: if it is not a positive whole number.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgument(name, f"must be a positive whole number, not {limit!r}")
    return limit
