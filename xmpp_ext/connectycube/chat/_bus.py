"""Handing out events: handlers and iterators, each with a bound of its own.

Nothing here ever waits for a consumer. A handler that is a plain function is called at once. A coroutine function has
a queue and takes one event after the other; an iterator has a queue as well. A queue that is full lets its oldest
event go, counts it and says so in the log, once.
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

E = TypeVar("E", bound=Event)
# For the classes that one call of `events` names.
E1 = TypeVar("E1", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)
E5 = TypeVar("E5", bound=Event)

logger = logging.getLogger("connectycube.chat")

LIMIT = 10_000
"""Events that wait for one handler at most."""


class Queue(Generic[E]):
    """Events that wait, the oldest first."""

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
    """The events of a chat as an async iterator; `chat.events` makes it.

    It holds every event from its making on and ends when the chat is disconnected or given up. `close`, or leaving
    `async with`, ends it earlier.
    """

    __slots__ = ("__weakref__", "_closed", "_queue", "_ready")

    def __init__(self, types: tuple[type[E], ...], limit: int) -> None:
        self._queue = Queue(types, limit, "an iterator of events")
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many events were dropped because the iterator was too slow: the oldest go first."""
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
        """End the iteration once what waits has been taken."""
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
        """Take what waits, then end: no task is left where there is nothing to do."""
        try:
            while waiting:
                event = waiting.popleft()
                try:
                    await self.call(event)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    self.failed(event)  # What the handler waited for was cancelled, not the handler.
                except Exception:
                    self.failed(event)
        finally:
            self.idle += 1

    def failed(self, event: Event) -> None:
        logger.exception("the handler %s raised on a %s", name_of(self.call), type(event).__name__)


class Bus:
    """Hands events to handlers and iterators."""

    __slots__ = ("_by_type", "_handlers", "_streams")

    def __init__(self) -> None:
        self._handlers: list[_Handler] = []
        self._by_type: dict[type[Event], tuple[_Handler, ...]] = {}
        self._streams: WeakSet[EventStream[Any]] = WeakSet()

    def add(
        self, call: Callable[[Any], Any], types: tuple[type[Event], ...], concurrency: int = 1
    ) -> Callable[[], None]:
        """Call a function with each event of the types.

        :returns: a function that ends it.
        """
        handler = _Handler(call, types, concurrency)
        self._handlers.append(handler)
        self._by_type.clear()

        def end() -> None:
            if handler in self._handlers:
                self._handlers.remove(handler)
                self._by_type.clear()

        return end

    def stream(self, types: tuple[type[E], ...], limit: int) -> EventStream[E]:
        """A new iterator over the events of the types."""
        found = EventStream(types, limit)
        self._streams.add(found)
        return found

    def tell(self, event: Event) -> None:
        """Hand an event to all who want it, in the order in which they came."""
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
        """End all iterators; they still give what waits in them."""
        for stream in tuple(self._streams):
            stream.close()
            self._streams.discard(stream)

    async def settle(self, timeout: float) -> None:
        """Let the handlers finish what waits for them, then stop them. One that calls this is left alone."""
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
    """What a handler is called in the log."""
    return getattr(call, "__qualname__", type(call).__name__)


def awaits(call: Callable[[Any], Any]) -> bool:
    """Whether a handler is a coroutine function, or an object that is called as one."""
    return iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def checked_kinds(types: tuple[type[Any], ...]) -> tuple[type[Any], ...]:
    """The classes of events that are wanted; all if none are named.

    :raises InvalidArgument: if one is no class of an event.
    """
    for kind in types:
        if not isinstance(kind, type) or not issubclass(kind, Event):
            raise InvalidArgument("types", f"must be classes of connectycube.chat.events, not {kind!r}")
    return types or (Event,)


def checked_limit(limit: int) -> int:
    """How many events may wait.

    :raises InvalidArgument: if that is no number, or too small.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgument("limit", f"must be a positive whole number, not {limit!r}")
    return limit
