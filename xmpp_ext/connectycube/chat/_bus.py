"""Delivers events to handlers and iterators.

A plain function is called at once. A coroutine function has a queue and takes one event after another; so does an
iterator. Nothing here waits for a consumer. A queue that has grown too large reports it to `on_full`, so that less is
read from the socket (see `connection.flow`); one that its consumer has abandoned drops its oldest events.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from inspect import iscoroutinefunction
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

from connectycube.rest import InvalidArgument
from connectycube.stanzas import Stanza

from ._tracing import processing
from .errors import ChatError, NotConnected
from .events import Event, HandlerFailed, MessageReceived
from .models import SentMessage

__all__ = [
    "BOUND",
    "BlockingRegistration",
    "Bus",
    "Emitted",
    "EventStream",
    "Queue",
    "Registration",
    "Returned",
    "awaits",
    "checked_count",
    "checked_kinds",
    "checked_limit",
    "name_of",
]

Emitted: TypeAlias = Event | Stanza
"""What handlers and iterators receive."""

F = TypeVar("F", bound=Callable[[Any], Any])
E = TypeVar("E", bound=Emitted)
# One for each class in a call of `events`.
E1 = TypeVar("E1", bound=Emitted)
E2 = TypeVar("E2", bound=Emitted)
E3 = TypeVar("E3", bound=Emitted)
E4 = TypeVar("E4", bound=Emitted)
E5 = TypeVar("E5", bound=Emitted)
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

Returned: TypeAlias = int | float | str | bytes | tuple[Any, ...] | list[Any] | dict[Any, Any] | SentMessage | None
"""What a handler of `Chat` may return, as `object` would include coroutines. It is ignored."""

logger = logging.getLogger("connectycube.chat")

BOUND: Final = 8 * 1024 * 1024
"""How many bytes of events may wait for one consumer before less is read from the socket."""
OVERHEAD: Final = 1024
"""What an event takes besides its texts, roughly."""
PATIENCE: Final = 2.0
"""Seconds that an iterator waits for `connect` to be called."""
LAST_WORDS: Final = 1.0
"""Seconds that a handler has to end once it was cancelled."""
OFFLINE: Final = "the chat is not connected: call connect() before you iterate over its events"
STANZAS: Final = frozenset(f"{{jabber:client}}{name}" for name in ("iq", "message", "presence"))
"""The elements that are stanzas (RFC 6120 section 4.1)."""


def size_of(event: Emitted) -> int:
    """Return roughly how many bytes an event takes."""
    if isinstance(event, Stanza):
        return OVERHEAD + len(repr(event))
    found = getattr(event, "message", event)
    size = OVERHEAD + len(getattr(found, "body", None) or "")
    for name in ("extra", "attachments", "params", "signal", "xml"):
        if value := getattr(found, name, None):
            size += len(str(value))
    return size


class Queue(Generic[E]):
    """The events that wait for one consumer, oldest first.

    With a `limit`, at most that many wait, and the oldest are dropped. Without one, their size is bounded, and none is
    dropped unless the consumer has abandoned the queue.

    :ivar abandoned: whether the consumer is taken for gone until it takes an event again.
    :ivar dropped: how many events were dropped.
    :ivar size: roughly how many bytes wait, if there is no limit.
    :ivar taken: how many events were taken so far.
    """

    __slots__ = ("_on_full", "_sizes", "abandoned", "dropped", "limit", "name", "size", "taken", "types", "waiting")

    def __init__(
        self, types: tuple[type[E], ...], limit: int | None, name: str, on_full: Callable[[Queue[Any]], None]
    ) -> None:
        self.types = types
        self.limit = limit
        self.name = name
        self.waiting: deque[E] = deque()
        self._sizes: deque[int] = deque()
        self.dropped = self.size = self.taken = 0
        self.abandoned = False
        self._on_full = on_full

    def put(self, event: E) -> None:
        """Add an event."""
        waiting = self.waiting
        waiting.append(event)
        if self.limit is not None:
            if len(waiting) > self.limit:
                self._drop()
            return
        size = size_of(event)
        self._sizes.append(size)
        self.size += size
        if self.size > BOUND:
            if not self.abandoned:
                self._on_full(self)
            while self.abandoned and self.size > BOUND and len(waiting) > 1:
                self._drop()

    def take(self) -> E:
        """Remove the oldest event and return it."""
        event = self.waiting.popleft()
        self.taken += 1
        self.abandoned = False
        if self.limit is None:
            self.size -= self._sizes.popleft()
        return event

    def clear(self) -> None:
        """Remove all events."""
        self.waiting.clear()
        self._sizes.clear()
        self.size = 0

    def _drop(self) -> None:
        self.waiting.popleft()
        if self.limit is None:
            self.size -= self._sizes.popleft()
        if not self.dropped:
            logger.warning("%s is too slow: its oldest events are dropped", self.name)
        self.dropped += 1


class EventStream(AsyncIterator[E]):
    """The events of a chat as an async iterator, created by `chat.events`.

    It yields every event from its creation on. It ends when the chat is disconnected, and raises the `ChatError` when
    the chat gives up. `close`, or leaving `async with`, ends it earlier.
    """

    __slots__ = ("__weakref__", "_bus", "_closed", "_error", "_queue", "_ready")

    def __init__(self, bus: Bus, types: tuple[type[E], ...], limit: int | None) -> None:
        self._bus = bus
        self._queue = Queue(types, limit, "an iterator of events", bus.full)
        self._ready = asyncio.Event()
        self._closed = False
        self._error: ChatError | None = None

    @property
    def dropped(self) -> int:
        """How many events were dropped because the iterator was too slow. The oldest are dropped first."""
        return self._queue.dropped

    def __aiter__(self) -> EventStream[E]:
        return self

    async def __anext__(self) -> E:
        while not self._queue.waiting:
            if self._closed:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._ready.clear()
            await self._bus.wait(self._ready)
        return self._queue.take()

    def close(self) -> None:
        """End the iteration after the events that are already waiting."""
        self._end(None)

    async def __aenter__(self) -> EventStream[E]:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _end(self, error: ChatError | None) -> None:
        if not self._closed:
            self._closed, self._error = True, error
            self._ready.set()

    def _put(self, event: E) -> None:
        if not self._closed:
            self._queue.put(event)
            self._ready.set()


class Registration(Protocol[T_co]):
    """A decorator for handlers of an event."""

    def __call__(self, handler: Callable[[T_co], R], /) -> Callable[[Any], R]: ...


class BlockingRegistration(Protocol[T_co]):
    """A decorator for handlers of an event that are no coroutine functions."""

    def __call__(self, handler: Callable[[T_co], Returned], /) -> Callable[[Any], Returned]: ...


class _Handler:
    """A handler and, if it is a coroutine function, the workers that call it."""

    __slots__ = ("_bus", "call", "idle", "queue", "types", "workers")

    def __init__(
        self, bus: Bus, call: Callable[[Any], Any], types: tuple[type[Emitted], ...], concurrency: int
    ) -> None:
        self._bus = bus
        self.call = call
        self.types = types
        self.queue = Queue(types, None, f"the handler {name_of(call)}", bus.full) if awaits(call) else None
        self.idle = concurrency
        self.workers: set[asyncio.Task[None]] = set()

    def put(self, event: Emitted) -> None:
        if self.queue is None:
            try:
                with self._traced(event):
                    self.call(event)
            except (KeyboardInterrupt, SystemExit) as error:
                # It ends the program, but not before the event has reached the other handlers.
                asyncio.get_running_loop().call_soon(_raise, error)
            except BaseException as error:
                self._bus.failed(self.call, event, error)
            return
        self.queue.put(event)
        if self.idle:
            self.idle -= 1
            worker = asyncio.get_running_loop().create_task(self.work(self.queue), name="connectycube handler")
            self.workers.add(worker)
            worker.add_done_callback(self.workers.discard)

    def _traced(self, event: Emitted) -> AbstractContextManager[object]:
        return processing(self.call, event.message if isinstance(event, MessageReceived) else None)

    async def work(self, queue: Queue[Emitted]) -> None:
        """Process what waits, then end, so that an idle handler leaves no task behind."""
        try:
            while queue.waiting:  # `drain` empties it, in case the handler swallows its cancellation.
                event = queue.take()
                try:
                    with self._traced(event):
                        await self.call(event)
                except (KeyboardInterrupt, SystemExit, GeneratorExit):
                    raise
                except asyncio.CancelledError as error:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    # Something that the handler awaited was cancelled, not the handler itself.
                    self._bus.failed(self.call, event, error)
                except BaseException as error:
                    self._bus.failed(self.call, event, error)
        finally:
            self.idle += 1


class Bus:
    """Delivers events to handlers and iterators.

    :ivar active: whether the chat is connected, or connects.
    :ivar error: why the chat ended for good; `None` if it did not, or was disconnected.
    :ivar on_full: called with a queue that has grown too large.
    :ivar stanzas: whether anyone may want stanzas, so that nobody else pays for them.
    """

    __slots__ = ("_by_type", "_ended", "_handlers", "_streams", "_waiting", "active", "error", "on_full", "stanzas")

    def __init__(self) -> None:
        self._handlers: list[_Handler] = []
        self._by_type: dict[type[Emitted], tuple[_Handler, ...]] = {}
        self._streams: WeakSet[EventStream[Any]] = WeakSet()
        self._waiting: set[asyncio.Task[Any] | None] = set()
        self._ended: asyncio.Event | None = None
        self.active = self.stanzas = False
        self.error: ChatError | None = None
        self.on_full: Callable[[Queue[Any]], None] = _ignore

    def full(self, queue: Queue[Any]) -> None:
        """Report a queue that has grown too large."""
        self.on_full(queue)

    def on(self, types: tuple[type[Emitted], ...], concurrency: int = 1) -> Callable[[F], F]:
        """Return a decorator that registers a handler for the event types.

        :raises InvalidArgument: from the decorator, if the handler can't be called.
        """

        def register(call: F) -> F:
            if not callable(call):
                raise InvalidArgument("handler", f"must be a function, not {type(call).__name__}")
            self._handlers.append(_Handler(self, call, types, concurrency))
            self._by_type.clear()
            self._note(types)
            return call

        return register

    def remove(self, call: Callable[[Any], Any]) -> None:
        """Unregister a handler, however often it was registered."""
        self._handlers = [handler for handler in self._handlers if handler.call != call]
        self._by_type.clear()

    def stream(self, types: tuple[type[E], ...], limit: int | None) -> EventStream[E]:
        """Return a new iterator over the events of the types."""
        found = EventStream(self, types, limit)
        self._streams.add(found)
        self._note(types)
        return found

    def _note(self, types: tuple[type[Any], ...]) -> None:
        self.stanzas = self.stanzas or any(issubclass(kind, Stanza) for kind in types)

    def serves(self, kind: type[Stanza]) -> bool:
        """Return whether anyone is registered for this very class."""
        return any(kind in one.types for one in self._handlers) or any(
            kind in one._queue.types for one in tuple(self._streams)
        )

    def emit(self, event: Emitted) -> None:
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

    def failed(self, call: Callable[[Any], Any], event: Emitted, error: BaseException) -> None:
        """Log that a handler raised, and emit it, unless it was a handler of such failures."""
        logger.error("the handler %s raised on a %s", name_of(call), type(event).__name__, exc_info=error)
        if not isinstance(event, HandlerFailed):
            self.emit(HandlerFailed(handler=call, event=event, error=error))

    def open(self) -> None:
        """Begin to deliver the events of a connection."""
        self.active, self.error, self._ended = True, None, asyncio.Event()

    def close(self, error: ChatError | None = None) -> None:
        """End all iterators. They still yield what waits in them.

        :param error: what they raise then, if the chat has ended for good.
        """
        self.active, self.error = False, error
        if self._ended is not None:
            self._ended.set()
        for stream in tuple(self._streams):
            stream._end(error)
            self._streams.discard(stream)

    def check(self, patient: bool = False) -> None:
        """Raise unless there can be events.

        :param patient: whether `connect` may still be called.
        :raises ChatError: why there can't be any.
        """
        if self.error is not None:
            raise self.error
        if not self.active and not patient:
            raise NotConnected(OFFLINE)

    async def wait(self, ready: asyncio.Event) -> None:
        """Wait for an event, or the end of the events.

        :raises ChatError: if the chat is not connected, and nobody connects it.
        """
        self.check(patient=True)
        # The event loop only has weak references to tasks, so one that nobody else keeps would vanish while it waits.
        task = asyncio.current_task()
        self._waiting.add(task)
        try:
            async with asyncio.timeout(None if self.active else PATIENCE):
                await ready.wait()
        except TimeoutError:
            self.check()
        finally:
            self._waiting.discard(task)

    async def wait_closed(self) -> None:
        """Wait until the chat is disconnected.

        :raises ChatError: if it ends for good instead, or is not connected.
        """
        if self._ended is None:
            raise NotConnected("the chat is not connected: call connect() first")
        while not self._ended.is_set():
            await self.wait(self._ended)
        if self.error is not None:
            raise self.error

    async def drain(self, timeout: float) -> None:
        """Let the handlers finish what waits for them, then cancel them, except a handler that calls this."""
        own = asyncio.current_task()
        workers = {worker: found for found in self._handlers for worker in found.workers if worker is not own}
        if not workers:
            return
        _, late = await asyncio.wait(workers, timeout=timeout)
        if not late:
            return
        logger.warning("handlers were still at work when the chat was closed: %s", _names(workers, late))
        for worker in late:
            worker.cancel()
            if (queue := workers[worker].queue) is not None:
                queue.clear()
        _, stuck = await asyncio.wait(late, timeout=LAST_WORDS)
        if stuck:
            logger.error("handlers ignore their cancellation and are left behind: %s", _names(workers, stuck))


def _names(workers: dict[asyncio.Task[None], _Handler], found: set[asyncio.Task[None]]) -> str:
    return ", ".join(sorted(name_of(workers[worker].call) for worker in found))


def _raise(error: BaseException) -> None:
    raise error


def _ignore(_: object) -> None:
    """Nothing reacts to a full queue before the chat is complete."""


def name_of(call: Callable[[Any], Any]) -> str:
    """Return the name of a handler for the log."""
    return getattr(call, "__qualname__", type(call).__name__)


def awaits(call: Callable[[Any], Any]) -> bool:
    """Return whether a handler is a coroutine function, or an object whose call is one."""
    return iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def checked_kinds(types: tuple[type[Any], ...]) -> tuple[type[Any], ...]:
    """Return the classes to receive, or the base of all events if there are none.

    :raises InvalidArgument: if one is neither an event class nor a stanza class.
    """
    for kind in types:
        if not isinstance(kind, type) or not issubclass(kind, (Event, Stanza)):
            raise InvalidArgument(
                "types", f"must be event classes of connectycube.chat or stanza classes, not {kind!r}"
            )
        if issubclass(kind, Stanza) and kind is not Stanza and kind.tag not in STANZAS:
            raise InvalidArgument(
                "types", f"{kind.__name__} belongs to the stream itself; register for messages, presences and requests"
            )
    return types or (Event,)


def checked_limit(limit: int | None) -> int | None:
    """Return the limit of an iterator if it is valid.

    :raises InvalidArgument: if it is neither `None` nor a positive whole number.
    """
    return None if limit is None else checked_count("limit", limit)


def checked_count(name: str, limit: int) -> int:
    """Return a number if it is valid.

    :raises InvalidArgument: if it is not a positive whole number.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgument(name, f"must be a positive whole number, not {limit!r}")
    return limit
