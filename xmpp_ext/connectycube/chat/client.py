"""The asynchronous chat client."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncGenerator, Callable
from typing import Any, Literal, overload

from connectycube.rest import AsyncConnectyCube, ConnectyCube

from ._bus import E1, E2, E3, E4, E5, Bus, E, EventStream, Registration, checked_count, checked_kinds, checked_limit
from ._connection import Connection
from ._fork import watch
from ._history import History, in_thread, messages, start_of
from ._settings import Credentials, MarkDelivered, Tls, Transport, settings
from .connection.driver import Driver
from .connection.flow import Flow
from .connection.inbox import Keep
from .connection.traffic import Traffic
from .events import Event
from .features.arguments import DialogId, UserId
from .features.contacts import Contacts
from .features.messaging import MessageCalls
from .features.privacy import Privacy
from .features.session import SessionFeatures
from .features.stanzas import StanzaCalls, Stanzas
from .machines.connection import Backoff
from .models import ChatMessage

__all__ = ["AsyncChat"]


class AsyncChat(Connection, MessageCalls, StanzaCalls):
    """A user's connection to the chat, kept alive.

    A chat belongs to the event loop in which it was connected. Chats in the same process share a TLS context.

    :param cube: a logged-in REST client that provides the user id, the host and the session's token. The token is read
        again for each connection.
    :param app_id: the application's id; default: the session's, or `CONNECTYCUBE_APP_ID`.
    :param user_id: the user's id; default: the session's.
    :param password: the account's password, instead of the session's token.
    :param host: the chat's host; default: `CONNECTYCUBE_CHAT_HOST`, or else derived from the cube's `base_url`, or else
        `chat.connectycube.com`.
    :param port: the chat's port; default: `CONNECTYCUBE_CHAT_PORT`, or else 5223, or 5291 for WebSocket.
    :param muc_host: the host of the rooms; default: `muc.` followed by the chat's host.
    :param address: where to connect instead of the host, as `host:port` or, for WebSocket, a URL such as
        `wss://host:port/path`. JIDs and the server's certificate still use the host.
    :param transport: `tcp` (default), or `websocket` (RFC 7395) for networks that allow only web traffic.
    :param srv: look up the domain's SRV records first; default: true if neither a port nor an address is given and
        there is no proxy.
    :param proxy: the URL of a proxy: `socks5://user:password@host:port`, `socks4://` or `http://`. The proxy resolves
        names.
    :param tls: `direct` (default) starts with TLS, `starttls` upgrades the connection before anything else is sent,
        `none` does not use TLS, and requires `allow_insecure` unless the host is this machine.
    :param allow_insecure: permit a connection without TLS, on which anyone on the way can read and change everything,
        including the password.
    :param ssl_context: how to verify the server; default: against the authorities in the file
        `CONNECTYCUBE_CHAT_CA_FILE`, or else the system's.
    :param resource: the name of this device; default: the server chooses one.
    :param auto_reconnect: reconnect when the connection is lost.
    :param stream_management: acknowledge messages and resume streams with XEP-0198; otherwise, pings acknowledge
        messages and streams are not resumed.
    :param keepalive: seconds of silence after which the server is pinged, default 30. If a response is due and nothing
        arrives for a third of that time, the connection counts as lost. `None` disables it.
    :param mark_delivered: which messages are automatically marked as delivered: `markable` (default), `always` or
        `never`.
    :param resolve_dialogs: with a cube, look up the private dialog of each user to whom a message goes, and whether a
        dialog id belongs to a private dialog: one REST call per user or dialog, whose result is kept.
    :param timeout: seconds for `connect`, for each later connection attempt and for the response to a request, default
        30.
    :param send_timeout: seconds without any acknowledgement after which a message counts as not sent, default 60,
        including time to reconnect. `None` waits indefinitely.
    :param max_stanza_size: the maximum size of a message in bytes, including the XML around it; default: the server's
        announced limit.
    :param backoff: the delays before reconnecting; by default, half a second, doubling each time up to a minute, and
        randomly shortened by up to half.
    :param stable_after: seconds after which a connection counts as stable and resets the delays, default 10.
    :param roster: load the contact list in each session.
    :param initial_presence: announce the user as available; without it, the server stores messages for later.
    :raises ConfigurationError: if something is missing, or the connection would be insecure.
    :raises InvalidArgument: if an argument is invalid.
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
        address: str | None = None,
        transport: Transport = "tcp",
        srv: bool | None = None,
        proxy: str | None = None,
        tls: Tls = "direct",
        allow_insecure: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        resource: str | None = None,
        auto_reconnect: bool = True,
        stream_management: bool = True,
        keepalive: float | None = 30.0,
        mark_delivered: MarkDelivered = "markable",
        resolve_dialogs: bool = True,
        timeout: float = 30.0,
        send_timeout: float | None = 60.0,
        max_stanza_size: int | None = None,
        backoff: Backoff | None = None,
        stable_after: float = 10.0,
        roster: bool = True,
        initial_presence: bool = True,
    ) -> None:
        self._credentials = Credentials(cube, user_id, password)
        self._settings = settings(
            cube,
            app_id=app_id,
            host=host,
            port=port,
            muc_host=muc_host,
            address=address,
            transport=transport,
            srv=srv,
            proxy=proxy,
            tls=tls,
            allow_insecure=allow_insecure,
            ssl_context=ssl_context,
            resource=resource,
            auto_reconnect=auto_reconnect,
            stream_management=stream_management,
            keepalive=keepalive,
            mark_delivered=mark_delivered,
            resolve_dialogs=resolve_dialogs,
            timeout=timeout,
            send_timeout=send_timeout,
            max_stanza_size=max_stanza_size,
            backoff=Backoff() if backoff is None else backoff,
            stable_after=stable_after,
            roster=roster,
            initial_presence=initial_presence,
        )
        self._bus = Bus()
        self._traffic = Traffic(self._settings, self._credentials, self._bus)
        Flow(self._traffic)
        self._features = SessionFeatures(self._traffic)
        self._messages = self._features.messages
        self._stanzas = Stanzas(self._traffic, self._messages)
        self._driver = Driver(self._traffic, self._features)
        watch(self)
        self.contacts: Contacts = Contacts(self._traffic, self._features.roster)
        """The contact list."""
        self.privacy: Privacy = Privacy(self._settings.addresses, self._features.lists)
        """The privacy lists."""

    def _hold(self, keep: Keep) -> Callable[[ChatMessage], None]:
        """Acknowledge stanzas to the server only once they are durable (XEP-0198 section 4).

        :param keep: called in the event loop after each read from the socket that brought stanzas, once the plain
            handlers have received everything in it. It gets a function to call, in the event loop, as soon as what
            they received is durable.
        :returns: a function that marks a message as delivered as the chat would have done, to be called afterwards.
        """
        self._traffic.inbox.keep = keep
        return self._features.mark_delivered

    def _fence(self, may_write: Callable[[], bool]) -> None:
        """Ask a function before each write to the socket. Once it returns `False`, nothing more is written.

        The connection is then cut, and the chat ends with `StreamConflict`, as it does if it has to connect again. Set
        it before `connect`.

        :param may_write: called in the event loop. It must be quick.
        """
        self._traffic.may_write = may_write

    # -- presence

    async def ping(self, user_id: UserId | None = None, *, timeout: float | None = None) -> float:
        """Ping the server, or a user's client.

        :param user_id: a contact: the id, a `Contact` or a `User`; default: the server.
        :param timeout: seconds; default: the chat's `timeout`.
        :returns: seconds until the response.
        :raises InvalidArgument: if an argument is invalid.
        :raises RequestUnanswered: if there is no response in time.
        :raises RequestRefused: if the response is an error.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        return await self._features.presence.ping(user_id, timeout)

    async def set_active(self) -> None:
        """Tell the server that the app is in use.

        :raises RequestRefused: if the server does not support client states.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._features.presence.set_inactive(False)

    async def set_inactive(self) -> None:
        """Tell the server that the app is not in use: it then sends push notifications and less chat traffic.

        :raises RequestRefused: if the server does not support client states.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._features.presence.set_inactive(True)

    async def set_presence(
        self,
        *,
        status: str | None = None,
        show: Literal["away", "chat", "dnd", "xa"] | None = None,
        priority: int | None = None,
    ) -> None:
        """Send the user's presence to the contacts. It is kept across reconnects, until `disconnect`.

        :param status: any text.
        :param show: a more specific state; default: simply available.
        :param priority: which of the user's devices gets private messages, from -128 to 127, default 0. A device with a
            negative priority gets none.
        :raises InvalidArgument: if an argument is invalid.
        :raises NotConnected: if there is no connection.
        """
        self._features.presence.set(status, show, priority)

    # -- events

    @overload
    def on(self, *, concurrency: int = 1) -> Registration[Event]: ...
    @overload
    def on(self, one: type[E1], /, *, concurrency: int = 1) -> Registration[E1]: ...
    @overload
    def on(self, one: type[E1], two: type[E2], /, *, concurrency: int = 1) -> Registration[E1 | E2]: ...
    @overload
    def on(
        self, one: type[E1], two: type[E2], three: type[E3], /, *, concurrency: int = 1
    ) -> Registration[E1 | E2 | E3]: ...
    @overload
    def on(
        self, one: type[E1], two: type[E2], three: type[E3], four: type[E4], /, *more: type[E], concurrency: int = 1
    ) -> Registration[Any]: ...
    def on(self, *types: type[Any], concurrency: int = 1) -> Registration[Any]:
        """Register a handler for event types or stanza classes: `@chat.on(MessageReceived)`.

        A plain function is called at once, and must not block. A coroutine function is awaited for one event after
        another; once 8 MiB of events are waiting for it, the chat reads less from the server. An exception in a handler
        is logged and emitted as `HandlerFailed`, and does not stop other handlers.

        A handler of a stanza class receives every inbound stanza of that class as it is, after the chat has processed
        it: its addresses are not verified beyond what the server guarantees.

        :param types: event classes and stanza classes; default: all events, but no stanzas.
        :param concurrency: how many events a coroutine function may handle at the same time.
        :raises InvalidArgument: if an argument is invalid; raised by the decorator if the handler is not callable.
        """
        return self._bus.on(checked_kinds(types), checked_count("concurrency", concurrency))

    def off(self, handler: Callable[[Any], Any]) -> None:
        """Unregister a handler. Unknown handlers are ignored."""
        self._bus.remove(handler)

    # With a single type variable, mypy would infer only the common base of the classes, as it does beyond five.

    @overload
    def events(self, *, limit: int | None = None) -> EventStream[Event]: ...

    @overload
    def events(self, one: type[E1], /, *, limit: int | None = None) -> EventStream[E1]: ...

    @overload
    def events(self, one: type[E1], two: type[E2], /, *, limit: int | None = None) -> EventStream[E1 | E2]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], /, *, limit: int | None = None
    ) -> EventStream[E1 | E2 | E3]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], four: type[E4], /, *, limit: int | None = None
    ) -> EventStream[E1 | E2 | E3 | E4]: ...

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
    ) -> EventStream[E1 | E2 | E3 | E4 | E5 | E]: ...

    def events(self, *types: type[Any], limit: int | None = None) -> EventStream[Any]:
        """Return an async iterator over events: `async for event in chat.events(MessageReceived)`.

        It yields all events from this call on, including those before the loop starts. It ends after `Disconnected`,
        and raises the `ChatError` when the chat has ended for good. Once 8 MiB of events are waiting for it, the chat
        reads less from the server. Iterating raises `NotConnected` if `connect` is not called within 2 seconds.

        :param types: event classes and stanza classes; default: all events, but no stanzas.
        :param limit: how many events may wait before the oldest are dropped; the iterator's `dropped` counts them.
        :raises InvalidArgument: if a type is not an event or stanza class, or the limit is not a positive whole number.
        """
        return self._bus.stream(checked_kinds(types), checked_limit(limit))

    def catch_up(
        self, *, since: dt.datetime | dt.timedelta, include_own: bool = False
    ) -> AsyncGenerator[ChatMessage, None]:
        """Return an async iterator over missed messages, from the history: `async for message in chat.catch_up(...)`.

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
        start, cube = start_of(since, self._now), self._credentials.rest("catch_up")
        skip_sender = None if include_own else self.user_id
        if isinstance(cube, ConnectyCube):
            return in_thread(messages(cube, start, skip_sender))
        return self._history(cube).messages(start, skip_sender)

    def _history(self, cube: AsyncConnectyCube) -> History:
        """Return the history for a bot, whose cube need not be the chat's."""
        return History(cube, self._now)

    def _now(self) -> dt.datetime:
        """Return the server's time if it is known, otherwise the local time."""
        return dt.datetime.fromtimestamp(self._features.time.now(), dt.UTC)

    # -- rooms

    async def join(self, dialog: DialogId) -> None:
        """Join the room of a group or public dialog, also after reconnects. Sending does not require joining.

        :param dialog: its id, or the `Dialog`.
        :raises InvalidArgument: if it is not a dialog with a room.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._features.rooms.join(self._messages.room(dialog))

    async def leave(self, dialog: DialogId) -> None:
        """Leave the room of a dialog. This does nothing if the user is not in it.

        :param dialog: its id, or the `Dialog`.
        :raises InvalidArgument: if it is not a dialog with a room.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._features.rooms.leave(self._messages.room(dialog))

    async def online_users(self, dialog: DialogId) -> tuple[int, ...]:
        """Return the users in the room of a dialog.

        :param dialog: its id, or the `Dialog`.
        :returns: user ids.
        :raises InvalidArgument: if it is not a dialog with a room.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        return await self._features.rooms.online_users(self._messages.room(dialog))

    # -- last activity

    async def last_activity(self, user_id: UserId) -> int:
        """Return how long ago a user was last active.

        :returns: seconds; 0 means online.
        :raises InvalidArgument: if the user id is invalid.
        :raises RequestRefused: if the user never logged in, or the request is not permitted.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        return await self._features.presence.last_activity(user_id)

    async def subscribe_last_activity(self, user_id: UserId) -> None:
        """Emit `LastActivityChanged` when a user comes online or goes offline, also after reconnects.

        :raises InvalidArgument: if the user id is invalid.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._features.presence.follow(user_id)

    async def unsubscribe_last_activity(self, user_id: UserId) -> None:
        """Stop emitting `LastActivityChanged` for a user.

        :raises InvalidArgument: if the user id is invalid.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._features.presence.unfollow(user_id)
