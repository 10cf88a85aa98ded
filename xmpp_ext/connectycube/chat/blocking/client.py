"""The blocking chat client: `AsyncChat` on a thread and an event loop of its own. Its words are those of `client`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload
from weakref import ref

from connectycube.rest import AsyncConnectyCube, ConnectyCube, Dialog, InvalidArgument

from .._bus import E1, E2, E3, E4, E5, E, awaits, checked_kinds, checked_limit
from .._settings import MarkDelivered, Tls, checked_seconds
from ..client import AsyncChat
from ..events import Event
from ..machines.connection import Backoff, State
from ..models import ChatState
from .lists import BlockingContacts, BlockingPrivacy
from .messages import BlockingMessages
from .thread import LoopThread
from .workers import ENDS, BlockingEventStream, Handler, Workers

__all__ = ["Chat"]

F = TypeVar("F", bound=Callable[[Any], Any])

SETTLING = 5.0
"""Seconds for handlers that are at work when a connection is not made."""


class Chat(BlockingMessages):
    """A user's connection to the chat, kept alive, for code that blocks.

    From `connect` to `disconnect` it has a thread with an event loop of its own. Any thread may call it, handlers
    included; each call waits until it is done. What is interrupted, as by Ctrl-C, is broken off.

    :param cube: a REST client that is logged in: user id, host and the session's token come from it. The token is read
        afresh for each connection.
    :param app_id: the application's id; default: the session's, or `CONNECTYCUBE_APP_ID`.
    :param user_id: the user's id; default: the session's.
    :param password: the account's password, in place of the session's token (F-002, F-010).
    :param host: the chat's host; default: `CONNECTYCUBE_CHAT_HOST`, else the one that belongs to the cube's `base_url`,
        else `chat.connectycube.com`.
    :param port: its port; default: `CONNECTYCUBE_CHAT_PORT`, else 5223.
    :param muc_host: the host of the rooms, default `muc.` before the chat's host.
    :param tls: `direct` (default) begins with TLS, `starttls` turns it on before anything is said, `none` does without,
        which is refused off this machine unless `allow_insecure` is true, too.
    :param allow_insecure: without TLS, let others on the way read and change everything, the password included.
    :param ssl_context: what to verify the server with; default: the system's authorities.
    :param resource: name of this device; default: the server makes one (F-003).
    :param auto_reconnect: connect again when the connection is lost (F-012, F-013).
    :param stream_management: acknowledge and resume by XEP-0198; without it pings acknowledge.
    :param keepalive: seconds without a sign of the server before it is pinged, default 30; after as many again it
        counts as gone. `None` switches it off.
    :param mark_delivered: which messages are told to their senders as delivered: `markable` (default), `always` or
        `never` (F-054, CX-02).
    :param timeout: seconds for one attempt to connect and for the answer to a request, default 30.
    :param send_timeout: seconds until a message that is not acknowledged counts as not sent, default 60, reconnecting
        included. `None` waits for ever.
    :param backoff: how long to wait before connecting again: half a second at first, then twice as long each time, a
        minute at most, less a random part of up to a half.
    :param stable_after: seconds after which a connection counts as stable, default 10: the waits begin anew then.
    :param roster: load the contact list in each session.
    :param initial_presence: say that the user is here; without it the server keeps messages for later (U-38).
    :raises ConfigurationError: if something is missing, or the connection would be insecure.
    :raises InvalidArgument: if an argument is wrong.
    """

    def __init__(
        self,
        cube: ConnectyCube | AsyncConnectyCube | None = None,
        *,
        app_id: int | None = None,
        user_id: int | None = None,
        password: str | None = None,
        host: str | None = None,
        port: int | None = None,
        muc_host: str | None = None,
        tls: Tls = "direct",
        allow_insecure: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        resource: str | None = None,
        auto_reconnect: bool = True,
        stream_management: bool = True,
        keepalive: float | None = 30.0,
        mark_delivered: MarkDelivered = "markable",
        timeout: float = 30.0,
        send_timeout: float | None = 60.0,
        backoff: Backoff | None = None,
        stable_after: float = 10.0,
        roster: bool = True,
        initial_presence: bool = True,
    ) -> None:
        self._chat = AsyncChat(
            cube,
            app_id=app_id,
            user_id=user_id,
            password=password,
            host=host,
            port=port,
            muc_host=muc_host,
            tls=tls,
            allow_insecure=allow_insecure,
            ssl_context=ssl_context,
            resource=resource,
            auto_reconnect=auto_reconnect,
            stream_management=stream_management,
            keepalive=keepalive,
            mark_delivered=mark_delivered,
            timeout=timeout,
            send_timeout=send_timeout,
            backoff=backoff,
            stable_after=stable_after,
            roster=roster,
            initial_presence=initial_presence,
        )
        # An asynchronous cube can be called in its own loop only.
        self._chat._credentials.renewable = not isinstance(cube, AsyncConnectyCube)
        self._loop = LoopThread()
        self._workers = Workers()
        self._handlers: dict[Callable[[Any], Any], list[Handler]] = {}
        self.contacts: BlockingContacts = BlockingContacts(self._chat.contacts, self._loop)
        """The contact list."""
        self.privacy: BlockingPrivacy = BlockingPrivacy(self._chat.privacy, self._loop)
        """The privacy lists."""

    def __repr__(self) -> str:
        return repr(self._chat).replace("<AsyncChat", f"<{type(self).__name__}", 1)

    # -- the connection

    def connect(self, *, timeout: float = 30.0) -> None:
        """Connect, log in and begin a session (F-002). If it is connected already, nothing happens.

        Network failures are tried again until the time is over, with `auto_reconnect`; what would fail again is not.

        :param timeout: seconds for all of it.
        :raises InvalidArgument: if the timeout is no time.
        :raises AuthenticationFailed: if the server refuses user id, password or token.
        :raises TlsRefused: if the server's certificate is not trusted, or TLS fails.
        :raises StreamConflict: if another connection takes the resource.
        :raises StreamRefused: if the server's policy or the protocol forbids it.
        :raises ConnectFailed: if the network fails.
        """
        self._loop.check()
        checked_seconds("timeout", timeout)
        self._workers.open()
        try:
            self._loop.start(partial(self._chat.connect, timeout=timeout), self._quit)
            if self._chat.state.name is State.OFFLINE:
                # Another thread has disconnected it.
                self._loop.stop(self._quit)
        except BaseException:
            self._workers.settle(SETTLING)
            raise

    def disconnect(self, *, timeout: float = 5.0) -> tuple[str, ...]:
        """Wait for the acknowledgement of what was sent, then close the connection (F-011). Ends a wait at once.

        :param timeout: seconds to wait for acknowledgements, and once more for handlers that are at work.
        :returns: ids of the messages that were not acknowledged; whoever waits for one gets `MessageNotSent`.
        :raises InvalidArgument: if the timeout is no time.
        """
        self._loop.check()
        checked_seconds("timeout", timeout)
        try:
            return self._loop.call(self._chat.disconnect, timeout=timeout)
        finally:
            try:
                self._workers.settle(timeout)
            finally:
                self._loop.stop(self._quit)

    async def _quit(self) -> None:
        """Leave nothing in the loop that ends."""
        await self._chat.disconnect(timeout=0)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    @property
    def state(self) -> ChatState:
        """Where the connection stands, why it was lost, and when it is tried again."""
        return self._chat.state

    @property
    def online(self) -> bool:
        """Whether there is a session that can be written to."""
        return self._chat.online

    @property
    def user_id(self) -> int:
        """The user's id."""
        return self._chat.user_id

    @property
    def jid(self) -> str:
        """The full JID that the server gave; empty before the first session."""
        return self._chat.jid

    def ping(self, user_id: int | None = None, *, timeout: float | None = None) -> float:
        """Ask the server, or a user's client, whether it is there (X-36, X-37).

        :param user_id: a user who is a contact; default: the server.
        :param timeout: seconds; default: the chat's `timeout`.
        :returns: seconds until the answer.
        :raises InvalidArgument: if an argument is wrong.
        :raises RequestTimedOut: if there is no answer in time.
        :raises RequestRefused: if the answer is an error.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return self._loop.call(self._chat.ping, user_id, timeout=timeout)

    def set_active(self) -> None:
        """Tell the server that the app is in use (K-52, X-35).

        :raises RequestRefused: if the server knows no client states.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._chat.set_active)

    def set_inactive(self) -> None:
        """Tell the server that the app is not in use: it sends pushes, and less over the connection (CX-16).

        :raises RequestRefused: if the server knows no client states.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._chat.set_inactive)

    def set_presence(
        self, *, status: str | None = None, show: Literal["away", "chat", "dnd", "xa"] | None = None
    ) -> None:
        """Tell the contacts how one is; kept over reconnects, until `disconnect` (K-46, X-33).

        :param status: a free text.
        :param show: a finer state; default: simply available.
        :raises InvalidArgument: if an argument is wrong.
        :raises NotConnected: if there is no connection.
        """
        self._loop.call(self._chat.set_presence, status=status, show=show)

    # -- events

    def on(self, *types: type[Event], concurrency: int = 1) -> Callable[[F], F]:
        """Call a function with each event of the types: `@chat.on(MessageReceived)`.

        It is called in a thread of its own, for one event after the other, so it may block and call the chat. Up to
        10,000 events wait, then the oldest are dropped, with a warning in the log. One that raises is logged and stops
        nobody else.

        :param types: event classes; default: all.
        :param concurrency: how many events the function may handle at the same time, each in its own thread.
        :raises InvalidArgument: if an argument is wrong; from the decorator, if the handler is no plain function.
        """
        add = self._chat.on(*types, concurrency=concurrency)

        def register(call: F) -> F:
            if not callable(call):
                raise InvalidArgument("handler", f"must be a function, not {type(call).__name__}")
            if awaits(call):
                raise InvalidArgument("handler", "must be a plain function: AsyncChat awaits coroutine functions")
            handler = Handler(self._workers, call, concurrency)
            self._workers.add(handler)
            self._handlers.setdefault(call, []).append(handler)
            self._loop.there(add, handler.put)
            return call

        return register

    def off(self, handler: Callable[[Any], Any]) -> None:
        """Call a handler no more. One that is not registered is passed over."""
        for found in self._handlers.pop(handler, ()):
            self._loop.there(self._chat.off, found.put)
            self._workers.drop(found)

    # With one type variable for all classes mypy would only see what they have in common, as it does beyond six.

    @overload
    def events(self, *, limit: int = 1000) -> BlockingEventStream[Event]: ...

    @overload
    def events(self, one: type[E1], /, *, limit: int = 1000) -> BlockingEventStream[E1]: ...

    @overload
    def events(self, one: type[E1], two: type[E2], /, *, limit: int = 1000) -> BlockingEventStream[E1 | E2]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], /, *, limit: int = 1000
    ) -> BlockingEventStream[E1 | E2 | E3]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], four: type[E4], /, *, limit: int = 1000
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
        limit: int = 1000,
    ) -> BlockingEventStream[E1 | E2 | E3 | E4 | E5 | E]: ...

    def events(self, *types: type[Any], limit: int = 1000) -> BlockingEventStream[Any]:
        """The events as an iterator: `for event in chat.events(MessageReceived)`.

        It holds all events from this call on, also those before the loop begins, and ends with `Disconnected` or
        `ConnectionFailed`. A consumer that is too slow stops nobody: the oldest events are dropped, and counted in the
        iterator's `dropped`.

        :param types: event classes; default: all.
        :param limit: events that wait at most.
        :raises InvalidArgument: if a type is no event, or the limit no positive whole number.
        """
        kinds = checked_kinds(types)
        stream = BlockingEventStream(kinds, checked_limit(limit), self._loop.check)
        known, chat = ref(stream), self._chat

        def put(event: Event) -> None:
            # As long as somebody may take it.
            found = known()
            if found is None or not found._put(event):
                chat.off(put)

        self._loop.there(chat.on(*kinds, *ENDS), put)
        return stream

    # -- rooms

    def join(self, dialog: str | Dialog) -> None:
        """Enter the room of a group or public dialog (F-047); kept over reconnects. Not needed to write (CX-04).

        :param dialog: its id, or the `Dialog`.
        :raises InvalidArgument: if it is no dialog with a room.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._chat.join, dialog)

    def leave(self, dialog: str | Dialog) -> None:
        """Leave the room of a dialog (F-050). If the user is not in it, nothing happens.

        :param dialog: its id, or the `Dialog`.
        :raises InvalidArgument: if it is no dialog with a room.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._chat.leave, dialog)

    def online_users(self, dialog: str | Dialog) -> tuple[int, ...]:
        """Who is in the room of a dialog (X-31).

        :param dialog: its id, or the `Dialog`.
        :returns: user ids.
        :raises InvalidArgument: if it is no dialog with a room.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return self._loop.call(self._chat.online_users, dialog)

    # -- last activity

    def last_activity(self, user_id: int) -> int:
        """How long ago a user was active last (K-49, X-29).

        :returns: seconds; 0 means online.
        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the user never logged in, or may not be asked.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return self._loop.call(self._chat.last_activity, user_id)

    def subscribe_last_activity(self, user_id: int) -> None:
        """Be told of a user's coming and going as `LastActivityChanged`; kept over reconnects (K-51, X-30).

        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._chat.subscribe_last_activity, user_id)

    def unsubscribe_last_activity(self, user_id: int) -> None:
        """Be told no more.

        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._chat.unsubscribe_last_activity, user_id)
