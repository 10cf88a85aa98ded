"""What is written by hand of `Chat`: its life, and how it emits events to threads. The rest is generated."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, overload
from weakref import ref

from connectycube.rest import AsyncConnectyCube, ConfigurationError, ConnectyCube, InvalidArgument

from .._bus import E1, E2, E3, E4, E5, BlockingRegistration, E, Emitted, Returned, awaits, checked_kinds, checked_limit
from .._history import messages, start_of
from .._settings import checked_seconds
from .._signals import stopped_by
from ..client import AsyncChat
from ..events import Event
from ..machines.connection import State
from ..models import ChatMessage
from .contacts import BlockingContacts
from .privacy import BlockingPrivacy
from .thread import LoopThread
from .workers import ENDS, BlockingEventStream, Handler, Workers

__all__ = ["ChatBase"]

HANDLER_TIMEOUT = 5.0
"""Seconds for handlers that are still running when `connect` fails."""


class _Stopped(BaseException):
    """A signal ends `run`."""


class ChatBase:
    """A user's connection to the chat, kept alive, for blocking code.

    While it is connected, it has a thread with an event loop of its own. Any thread may call it, handlers included;
    each call blocks until it is done. Interrupting a call, as Ctrl-C does, cancels it.
    """

    def __init__(self, chat: AsyncChat) -> None:
        self._chat = chat
        # An asynchronous cube can be called only in its own event loop.
        chat._credentials.renewable = not isinstance(chat._credentials._cube, AsyncConnectyCube)
        chat._warns = False
        self._loop = LoopThread(lambda: chat.state.name is not State.OFFLINE)
        self._workers = Workers(chat._bus)
        self._workers.failed = self._failed
        self._handlers: dict[Callable[[Any], Any], list[Handler]] = {}
        self.contacts: BlockingContacts = BlockingContacts(chat.contacts, self._loop)
        """The contact list."""
        self.privacy: BlockingPrivacy = BlockingPrivacy(chat.privacy, self._loop)
        """The privacy lists."""

    def _failed(self, call: Callable[[Any], Any], event: Emitted, error: BaseException) -> None:
        self._loop.call_sync(self._chat._bus.failed, call, event, error)

    def __del__(self) -> None:
        # Without a chat, its constructor has failed.
        if "_chat" in vars(self) and self._chat.state.name is not State.OFFLINE:
            warnings.warn(f"unclosed chat {self!r}: call disconnect()", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return repr(self._chat).replace("<AsyncChat", f"<{type(self).__name__}", 1)

    def connect(self, *, timeout: float | None = None) -> None:
        """Connect, log in and start a session. This does nothing if the chat is already connected.

        With `auto_reconnect`, network failures are retried until the timeout. Permanent failures raise an exception at
        once.

        :param timeout: seconds for the whole call; default: the chat's `timeout`.
        :raises InvalidArgument: if the timeout is invalid.
        :raises AuthenticationFailed: if the server refuses the user id, password or token.
        :raises TlsRefused: if the server's certificate is not trusted, or TLS fails.
        :raises StreamConflict: if another connection takes over the resource.
        :raises StreamRefused: if the server's policy or the protocol forbids the connection.
        :raises ConnectError: if the network fails.
        """
        self._loop.check()
        if timeout is not None:
            checked_seconds("timeout", timeout)
        self._workers.open()
        try:
            self._loop.call(self._chat.connect, timeout=timeout)
        except BaseException:
            self._workers.join(HANDLER_TIMEOUT)
            raise

    def disconnect(self, *, timeout: float = 5.0) -> tuple[str, ...]:
        """Wait for outstanding acknowledgements and close the connection. Reconnecting stops at once.

        :param timeout: seconds to wait for acknowledgements, and then as long again for running handlers.
        :returns: ids of the messages that were not acknowledged; their `send` calls raise `MessageNotSent`.
        :raises InvalidArgument: if the timeout is invalid.
        """
        self._loop.check()
        checked_seconds("timeout", timeout)
        try:
            return self._loop.call(self._chat.disconnect, timeout=timeout)
        except BaseException:
            # An interrupt leaves the connection as it is, and with it the thread.
            self._loop.call(self._chat.disconnect, timeout=0)
            raise
        finally:
            self._workers.join(timeout)

    def run(self) -> None:
        """Connect, serve the handlers until SIGINT or SIGTERM, and disconnect.

        It also ends when the chat is disconnected by other code. Signals end it only in the main thread.

        :raises ConnectError: if the connection can't be established, or the chat ends for good.
        """

        def stop() -> None:
            raise _Stopped

        try:
            with suppress(_Stopped), stopped_by(stop):
                self.connect()
                self._loop.call(self._chat.wait_closed)
        finally:
            self.disconnect()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    @overload
    def on(self, *, concurrency: int = 1) -> BlockingRegistration[Event]: ...
    @overload
    def on(self, one: type[E1], /, *, concurrency: int = 1) -> BlockingRegistration[E1]: ...
    @overload
    def on(self, one: type[E1], two: type[E2], /, *, concurrency: int = 1) -> BlockingRegistration[E1 | E2]: ...
    @overload
    def on(
        self, one: type[E1], two: type[E2], three: type[E3], /, *, concurrency: int = 1
    ) -> BlockingRegistration[E1 | E2 | E3]: ...
    @overload
    def on(
        self, one: type[E1], two: type[E2], three: type[E3], four: type[E4], /, *more: type[E], concurrency: int = 1
    ) -> BlockingRegistration[Any]: ...
    def on(self, *types: type[Any], concurrency: int = 1) -> BlockingRegistration[Any]:
        """Call a function with each event, or stanza, of the types: `@chat.on(MessageReceived)`.

        It is called in a thread of its own, for one event after another, so it may block and call the chat. Once
        8 MiB of events are waiting for it, the chat reads less from the server. An exception in a handler is logged and
        emitted as `HandlerFailed`, and does not stop other handlers.

        A handler of a stanza class receives every inbound stanza of that class as it is, after the chat has processed
        it: its addresses are not verified beyond what the server guarantees.

        :param types: event classes and stanza classes; default: all events, but no stanzas.
        :param concurrency: how many events the function may handle at the same time, each in its own thread.
        :raises InvalidArgument: if an argument is wrong; from the decorator, if the handler is no plain function.
        """
        add = self._chat.on(*types, concurrency=concurrency)

        def register(call: Callable[[Any], Returned], /) -> Callable[[Any], Returned]:
            if not callable(call):
                raise InvalidArgument("handler", f"must be a function, not {type(call).__name__}")
            if awaits(call):
                raise InvalidArgument("handler", "must be a plain function: AsyncChat awaits coroutine functions")
            handler = Handler(self._workers, call, concurrency)
            self._workers.add(handler)
            self._handlers.setdefault(call, []).append(handler)
            self._loop.call_sync(add, handler.put)
            return call

        return register

    def off(self, handler: Callable[[Any], Any]) -> None:
        """Unregister a handler. Unknown handlers are ignored."""
        for found in self._handlers.pop(handler, ()):
            self._loop.call_sync(self._chat.off, found.put)
            self._workers.drop(found)

    # With one type variable for all classes mypy would only see what they have in common, as it does beyond six.

    @overload
    def events(self, *, limit: int | None = None) -> BlockingEventStream[Event]: ...

    @overload
    def events(self, one: type[E1], /, *, limit: int | None = None) -> BlockingEventStream[E1]: ...

    @overload
    def events(self, one: type[E1], two: type[E2], /, *, limit: int | None = None) -> BlockingEventStream[E1 | E2]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], /, *, limit: int | None = None
    ) -> BlockingEventStream[E1 | E2 | E3]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], four: type[E4], /, *, limit: int | None = None
    ) -> BlockingEventStream[E1 | E2 | E3 | E4]: ...

    @overload
    def events(
        self,
        one: type[E1],
        two: type[E2],
        three: type[E3],
        four: type[E4],
        five: type[E5],
        /,
        *more: type[E],
        limit: int | None = None,
    ) -> BlockingEventStream[E1 | E2 | E3 | E4 | E5 | E]: ...

    def events(self, *types: type[Any], limit: int | None = None) -> BlockingEventStream[Any]:
        """Return an iterator over events: `for event in chat.events(MessageReceived)`.

        It yields all events from this call on, including those before the loop starts. It ends after `Disconnected`,
        and raises the `ChatError` when the chat has ended for good. Once 8 MiB of events are waiting for it, the chat
        reads less from the server. Iterating raises `NotConnected` if `connect` is not called within 2 seconds.

        :param types: event classes and stanza classes; default: all events, but no stanzas.
        :param limit: how many events may wait before the oldest are dropped; the iterator's `dropped` counts them.
        :raises InvalidArgument: if a type is not an event or stanza class, or the limit is not a positive whole number.
        """
        kinds = checked_kinds(types)
        stream = BlockingEventStream(self._chat._bus, kinds, checked_limit(limit), self._loop.check)
        known, chat = ref(stream), self._chat

        def put(event: Emitted) -> None:
            # As long as somebody may take it.
            found = known()
            if found is None or not found._put(event):
                chat.off(put)

        self._loop.call_sync(chat.on(*kinds, *ENDS), put)
        return stream

    def catch_up(
        self, *, since: dt.datetime | dt.timedelta, include_own: bool = False
    ) -> Generator[ChatMessage, None, None]:
        """Return an iterator over missed messages, from the history: `for message in chat.catch_up(...)`.

        It lists the dialogs whose last message is not older than `since`, and yields their messages as the chat would
        have brought them, oldest first within each dialog. The server does not mark them as read. Messages may arrive
        in the chat as well: connect first, and drop those whose `id` is known. A request that fails ends the iterator;
        call this method again to start over.

        :param since: the `date_sent` to start from, inclusive: an aware datetime, or a timedelta back from now by the
            server's clock. Senders' clocks set `date_sent`, so go back a few minutes further than needed.
        :param include_own: also yield the user's own messages, whichever device sent them.
        :raises ConfigurationError: if the chat has no cube, or it is not logged in as the chat's user.
        :raises InvalidArgument: if `since` is not valid.
        :raises ConnectyCubeError: while iterating, if a request fails.
        """
        chat = self._chat
        start, cube = start_of(since, chat._now), chat._credentials.rest("catch_up")
        if not isinstance(cube, ConnectyCube):
            raise ConfigurationError("catch_up of Chat needs a ConnectyCube: an AsyncConnectyCube works in AsyncChat")
        pages = messages(cube, start, None if include_own else chat.user_id)
        return (message for page in pages for message in page)
