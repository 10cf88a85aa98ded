"""The asynchronous chat client."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from connectycube import stanzas as st
from connectycube.rest import AsyncConnectyCube, ConnectyCube, Dialog, InvalidArgument

from ._bus import E1, E2, E3, E4, E5, Bus, E, EventStream, checked_kinds, checked_limit
from ._settings import Credentials, MarkDelivered, Tls, checked_seconds, settings
from .connection.driver import Driver
from .errors import RequestRefused
from .events import Event
from .features.contacts import Contacts
from .features.messages import Messages
from .features.outbound import target_of
from .features.privacy import Privacy
from .features.session import ChatSession
from .machines.connection import Backoff
from .models import ChatState

__all__ = ["AsyncChat"]

F = TypeVar("F", bound=Callable[[Any], Any])


class AsyncChat(Messages):
    """A user's connection to the chat, kept alive.

    It belongs to the event loop in which it is connected. Several in one loop share their TLS context.

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
        self._credentials = Credentials(cube, user_id, password)
        self._settings = settings(
            cube,
            app_id=app_id,
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
            backoff=Backoff() if backoff is None else backoff,
            stable_after=stable_after,
            roster=roster,
            initial_presence=initial_presence,
        )
        self._bus = Bus()
        self._ends: dict[Callable[[Any], Any], list[Callable[[], None]]] = {}
        self._session = ChatSession(self._settings, self._credentials, self._bus)
        self._wire = self._session.wire
        self._driver = Driver(self._wire)
        self._inbound = self._session.inbound
        self.contacts: Contacts = Contacts(self._wire, self._session.roster)
        """The contact list."""
        self.privacy: Privacy = Privacy(self._settings, self._session.lists)
        """The privacy lists."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._wire.jid or self._settings.host} {self.state.name}>"

    # -- the connection

    async def connect(self, *, timeout: float = 30.0) -> None:
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
        checked_seconds("timeout", timeout)
        await self._driver.connect(timeout)

    async def disconnect(self, *, timeout: float = 5.0) -> tuple[str, ...]:
        """Wait for the acknowledgement of what was sent, then close the connection (F-011). Ends a wait at once.

        :param timeout: seconds to wait for acknowledgements, and once more for handlers that are at work.
        :returns: ids of the messages that were not acknowledged; whoever waits for one gets `MessageNotSent`.
        :raises InvalidArgument: if the timeout is no time.
        """
        checked_seconds("timeout", timeout)
        left = await self._driver.disconnect(timeout)
        await self._bus.settle(timeout)
        return left

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    @property
    def state(self) -> ChatState:
        """Where the connection stands, why it was lost, and when it is tried again."""
        return self._driver.state

    @property
    def online(self) -> bool:
        """Whether there is a session that can be written to."""
        return self._wire.online

    @property
    def user_id(self) -> int:
        """The user's id."""
        return self._credentials.user_id

    @property
    def jid(self) -> str:
        """The full JID that the server gave; empty before the first session."""
        return self._wire.jid

    async def ping(self, user_id: int | None = None, *, timeout: float | None = None) -> float:
        """Ask the server, or a user's client, whether it is there (X-36, X-37).

        :param user_id: a user who is a contact; default: the server.
        :param timeout: seconds; default: the chat's `timeout`.
        :returns: seconds until the answer.
        :raises InvalidArgument: if an argument is wrong.
        :raises RequestTimedOut: if there is no answer in time.
        :raises RequestRefused: if the answer is an error.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        to = self._settings.host if user_id is None else self._settings.user(user_id)
        if timeout is not None:
            checked_seconds("timeout", timeout)
        start = self._wire.loop.time()
        request = st.PingRequest(id=self._wire.ids.request(), to=to, ping=st.Ping())
        await self._wire.request(request, "a ping", timeout)
        return self._wire.loop.time() - start

    async def set_active(self) -> None:
        """Tell the server that the app is in use (K-52, X-35).

        :raises RequestRefused: if the server knows no client states.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._set_inactive(False)

    async def set_inactive(self) -> None:
        """Tell the server that the app is not in use: it sends pushes, and less over the connection (CX-16).

        :raises RequestRefused: if the server knows no client states.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._set_inactive(True)

    async def _set_inactive(self, inactive: bool) -> None:
        await self._session.set_inactive(inactive)
        self._session.inactive = inactive

    async def set_presence(
        self, *, status: str | None = None, show: Literal["away", "chat", "dnd", "xa"] | None = None
    ) -> None:
        """Tell the contacts how one is; kept over reconnects, until `disconnect` (K-46, X-33).

        :param status: a free text.
        :param show: a finer state; default: simply available.
        :raises InvalidArgument: if an argument is wrong.
        :raises NotConnected: if there is no connection.
        """
        if show not in (None, "away", "chat", "dnd", "xa"):
            raise InvalidArgument("show", f"must be 'away', 'chat', 'dnd' or 'xa', not {show!r}")
        presence = st.AvailablePresence(status=status, show=show)
        self._wire.post(presence)
        self._session.presence = presence

    # -- events

    def on(self, *types: type[Event], concurrency: int = 1) -> Callable[[F], F]:
        """Call a function with each event of the types: `@chat.on(MessageReceived)`.

        A plain function is called at once, and must not block. A coroutine function is awaited for one event after the
        other; up to 10,000 wait, then the oldest are dropped, with a warning in the log. One that raises is logged and
        stops nobody else.

        :param types: event classes; default: all.
        :param concurrency: how many events a coroutine function may handle at the same time.
        :raises InvalidArgument: if an argument is wrong; from the decorator, if the handler can't be called.
        """
        kinds = checked_kinds(types)
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise InvalidArgument("concurrency", f"must be a positive whole number, not {concurrency!r}")

        def register(call: F) -> F:
            if not callable(call):
                raise InvalidArgument("handler", f"must be a function, not {type(call).__name__}")
            self._ends.setdefault(call, []).append(self._bus.add(call, kinds, concurrency))
            return call

        return register

    def off(self, handler: Callable[[Any], Any]) -> None:
        """Call a handler no more. One that is not registered is passed over."""
        for end in self._ends.pop(handler, ()):
            end()

    # With one type variable for all classes mypy would only see what they have in common, as it does beyond six.

    @overload
    def events(self, *, limit: int = 1000) -> EventStream[Event]: ...

    @overload
    def events(self, one: type[E1], /, *, limit: int = 1000) -> EventStream[E1]: ...

    @overload
    def events(self, one: type[E1], two: type[E2], /, *, limit: int = 1000) -> EventStream[E1 | E2]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], /, *, limit: int = 1000
    ) -> EventStream[E1 | E2 | E3]: ...

    @overload
    def events(
        self, one: type[E1], two: type[E2], three: type[E3], four: type[E4], /, *, limit: int = 1000
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
        limit: int = 1000,
    ) -> EventStream[E1 | E2 | E3 | E4 | E5 | E]: ...

    def events(self, *types: type[Any], limit: int = 1000) -> EventStream[Any]:
        """The events as an async iterator: `async for event in chat.events(MessageReceived)`.

        It holds all events from this call on, also those before the loop begins, and ends with `Disconnected` or
        `ConnectionFailed`. A consumer that is too slow stops nobody: the oldest events are dropped, and counted in the
        iterator's `dropped`.

        :param types: event classes; default: all.
        :param limit: events that wait at most.
        :raises InvalidArgument: if a type is no event, or the limit no positive whole number.
        """
        return self._bus.stream(checked_kinds(types), checked_limit(limit))

    # -- rooms

    async def join(self, dialog: str | Dialog) -> None:
        """Enter the room of a group or public dialog (F-047); kept over reconnects. Not needed to write (CX-04).

        :param dialog: its id, or the `Dialog`.
        :raises InvalidArgument: if it is no dialog with a room.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._session.rooms.join(self._room(dialog))

    async def leave(self, dialog: str | Dialog) -> None:
        """Leave the room of a dialog (F-050). If the user is not in it, nothing happens.

        :param dialog: its id, or the `Dialog`.
        :raises InvalidArgument: if it is no dialog with a room.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._session.rooms.leave(self._room(dialog))

    async def online_users(self, dialog: str | Dialog) -> tuple[int, ...]:
        """Who is in the room of a dialog (X-31).

        :param dialog: its id, or the `Dialog`.
        :returns: user ids.
        :raises InvalidArgument: if it is no dialog with a room.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return await self._session.rooms.online_users(self._room(dialog))

    def _room(self, dialog: str | Dialog) -> str:
        target = target_of(dialog, self._settings, self.user_id)
        if target.dialog_id is None or target.user_id is not None:
            raise InvalidArgument("dialog", "has no room: only group and public dialogs have one")
        return target.dialog_id

    # -- last activity

    async def last_activity(self, user_id: int) -> int:
        """How long ago a user was active last (K-49, X-29).

        :returns: seconds; 0 means online.
        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the user never logged in, or may not be asked.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        request = st.LastActivityRequest(
            id=self._wire.ids.request(), to=self._settings.user(user_id), query=st.LastActivityQuery()
        )
        what = f"asking for the last activity of user {user_id}"
        answer = await self._wire.request(request, what)
        if not isinstance(answer, st.LastActivityResult):
            raise RequestRefused(what, None)
        return answer.query.seconds

    async def subscribe_last_activity(self, user_id: int) -> None:
        """Be told of a user's coming and going as `LastActivityChanged`; kept over reconnects (K-51, X-30).

        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._session.follow(user_id, True)
        self._session.followed.add(user_id)

    async def unsubscribe_last_activity(self, user_id: int) -> None:
        """Be told no more.

        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        answer = self._session.follow(user_id, False)
        self._session.followed.discard(user_id)
        await answer
