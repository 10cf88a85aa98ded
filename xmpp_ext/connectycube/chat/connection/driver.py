"""The driver: establishes and re-establishes the connection as the connection machine decides.

Here and in `traffic`, and nowhere else, the machines meet sockets, clocks and randomness.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import Any, Protocol

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import Ping, PingRequest

from .. import events
from .._fork import disown
from .._tracing import connecting
from ..errors import ConnectError, NotConnected, RequestRefused, RequestUnanswered, connect_error
from ..machines import connection as con
from ..machines.connection import Reason, State
from ..models import ChatState
from .attempt import attempt, broken, condition_of
from .dialing import Dialer
from .keepalive import Keepalive
from .stream import Stream, StreamBroken
from .traffic import OVER_A_STANZA, Traffic

__all__ = ["Driver", "SessionHooks"]

logger = logging.getLogger("connectycube.chat")

CLOSING_TIME = 2.0
"""Seconds that the server has to close its side of the stream."""
CHECK_TIME = 5.0
"""Seconds that the server has to answer when the user wants to know whether the connection is alive."""


class SessionHooks(Protocol):
    """What the chat does when a session begins and ends."""

    async def begin(self, again: bool) -> None:
        """Set up a new session, and restore what the previous one had if `again`."""

    def refused(self, condition: str) -> None:
        """Drop what the session was restoring, if the server may have ended the stream over it."""

    def lost(self) -> None:
        """Forget what belongs to the session: it is gone, and with it what the server knew of it."""

    def ended(self) -> None:
        """Forget what a reconnect would restore: there is no further session until the user wants one."""


class Driver:
    """Keeps a chat connected.

    :ivar error: why the connection was lost or not made; `None` while it is up.
    :ivar retry_at: when the next attempt starts, in UTC; only while the machine waits.
    """

    def __init__(self, traffic: Traffic, session: SessionHooks) -> None:
        self.traffic = traffic
        self.session = session
        self.dialer = Dialer(traffic.settings)
        self.error: ConnectError | None = None
        self.retry_at: dt.datetime | None = None
        self._machine = self._new_machine()
        self._attempt: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keepalive = Keepalive(traffic, self._silent)
        self._again = False
        self._callers = 0
        self._reached = False
        self._left: tuple[str, ...] = ()
        self._changed: asyncio.Event | None = None
        """Made for those who wait: an event takes 700 bytes."""
        self._pending_events: list[events.Event] = []
        self._effects: dict[type[Any], Callable[[Any], None]] = {
            con.Open: self._open,
            con.Abort: self._abort,
            con.CloseStream: self._close_stream,
            con.StartStable: self._start_stable,
            con.StopTimers: self._stop_timers,
            con.Wait: self._wait,
            con.Restore: self._restore,
            con.TellConnected: self._tell_connected,
            con.TellReconnected: self._tell_reconnected,
            con.TellGaveUp: self._tell_gave_up,
            con.TellDisconnected: self._tell_disconnected,
        }

    def _new_machine(self) -> con.Connection:
        settings = self.traffic.settings
        return con.Connection(automatic=settings.auto_reconnect, backoff=settings.backoff)

    @property
    def _server(self) -> str:
        return self.traffic.settings.server

    @property
    def state(self) -> ChatState:
        """The state of the connection."""
        machine = self._machine
        return ChatState(name=machine.state, attempt=machine.attempt, error=self.error, retry_at=self.retry_at)

    # -- for the client

    async def connect(self, timeout: float) -> None:
        """Connect and begin a session.

        :raises ConnectError: if that fails or takes too long.
        """
        self._enter(asyncio.get_running_loop())
        self._callers += 1
        try:
            async with asyncio.timeout(timeout):
                while not (self._machine.state is State.ONLINE and self._beginning is None):
                    if self._machine.state is State.OFFLINE:
                        raise self.error or NotConnected("the chat was disconnected while it connected")
                    if self._changed is None:
                        self._changed = asyncio.Event()
                    await self._changed.wait()
            self._reached = True
        except TimeoutError:
            error = self.error
            await self._abandon()
            problem = f"no connection to {self._server} within {timeout:g} seconds"
            if error is None:
                raise connect_error(Reason.TIMEOUT, problem) from None
            raise connect_error(error.reason, f"{problem}: {error}", error.condition) from error
        except asyncio.CancelledError:
            await self._abandon()
            raise
        finally:
            self._callers -= 1

    async def _abandon(self) -> None:
        """Stop connecting on behalf of a caller that no longer waits.

        A connection that another caller waits for, or that an earlier call established, is kept.
        """
        if self._callers == 1 and not self._reached:
            await self.disconnect(0)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to connect in a loop, or continue with an attempt in progress there."""
        if self._machine.state is not State.OFFLINE and self.traffic.loop is not loop:
            if not self.traffic.loop.is_closed():
                raise NotConnected("the chat is connected in another event loop: disconnect it there first")
            self._forget()
        if self._machine.state is State.CLOSING:
            raise NotConnected("the chat is being disconnected: wait until that has finished")
        if self._machine.state is State.OFFLINE:
            self.traffic.loop = loop
            self.traffic.alive = True
            self.traffic.bus.open()
            self.error = None
            self._reached = self._again = False
            self.step(con.Connect())
        elif self._machine.state is State.WAITING:
            self.step(con.Connect())

    async def reconnect_now(self) -> None:
        """End a wait, or check that the connection is alive.

        :raises NotConnected: if there is no connection and none is being made.
        """
        traffic, state = self.traffic, self._machine.state
        if state in (State.OFFLINE, State.CLOSING) or traffic.loop is not asyncio.get_running_loop():
            raise NotConnected("the chat is not connected: call connect()")
        if state is State.WAITING:
            self.step(con.Connect())
        elif state is State.ONLINE:
            stream, asked_at = traffic.stream, traffic.loop.time()
            ping = PingRequest(id=traffic.ids.request(), to=traffic.settings.addresses.host, ping=Ping())
            try:
                await traffic.request(ping, "a ping", CHECK_TIME)
            except RequestUnanswered as error:
                # An answer may stand behind what slow consumers hold back.
                silent = stream is not None and stream.last_data < asked_at
                if silent and self._machine.state is State.ONLINE and traffic.stream is stream:
                    self._lost(connect_error(Reason.TIMEOUT, f"{self._server} did not answer a ping: {error}"))
            except (NotConnected, RequestRefused):
                pass  # Lost meanwhile, or alive: a refusal is an answer.
            if self._machine.state is State.WAITING:
                self.step(con.Connect())

    async def disconnect(self, timeout: float) -> tuple[str, ...]:
        """Wait for outstanding acknowledgements, then close the connection.

        :param timeout: seconds to wait for them.
        :returns: ids of the messages that were not acknowledged.
        """
        outbox = self.traffic.outbox
        if timeout > 0 and self._machine.state is State.ONLINE:
            try:
                async with asyncio.timeout(timeout):
                    while outbox.pending and self._machine.state is State.ONLINE:
                        await outbox.changed()
            except TimeoutError:
                logger.warning("%d messages were not acknowledged in time", len(outbox.pending))
        left = tuple(outbox.pending)
        if self._machine.state is not State.OFFLINE:
            self._left = left
            self.step(con.Disconnect())
        current = asyncio.current_task()
        for task in (self._attempt, self._beginning, self._closing):
            # A finished task may belong to a closed loop, and must not be waited for here.
            if task is not None and task is not current and not task.done():
                # Our tasks end in time. What they call of the user's, such as a hook of the REST client, may not.
                await asyncio.wait([task], timeout=CLOSING_TIME + 1)
        return left

    # -- the machine

    def step(self, event: con.Event) -> None:
        """Pass an event to the connection machine, run its effects, then emit the events they led to.

        Handlers of an event may call the chat, and must find everything that follows from the step already done.
        """
        for effect in self._machine.handle(event):
            self._effects[type(effect)](effect)
        self._wake()
        while self._pending_events:
            self.traffic.bus.emit(self._pending_events.pop(0))

    def _wake(self) -> None:
        """Wake the callers of `connect`, to check the state again."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    # -- attempts

    def _open(self, _: con.Open) -> None:
        self.retry_at = None
        self._attempt = self.traffic.loop.create_task(self._connect(), name="connectycube connect")

    async def _connect(self) -> None:
        try:
            with connecting(self.traffic.settings.dial, again=not self._callers):
                stream, jid = await attempt(self.traffic, self.dialer, self.step)
        except ConnectError as error:
            self._attempt = None
            self._lost(error)
        except Exception as error:
            # A bug of ours, or of a library, must not leave a chat that connects for ever.
            logger.exception("an attempt to connect ended with an unexpected error")
            self._attempt = None
            self._lost(connect_error(Reason.PROTOCOL, f"no connection to {self._server}: {error!r}"))
        else:
            self._attempt = None
            self._established(stream, jid)

    def _established(self, stream: Stream, jid: str | None) -> None:
        """Take over a stream whose negotiation has succeeded.

        :param jid: the full JID of a new session; `None` if the old one was resumed.
        """
        traffic = self.traffic
        self.error = None
        traffic.online = True
        if jid is not None:
            self._lose_session()
            traffic.begin(jid)
            self.step(con.Bound())
        else:
            self.step(con.Resumed())
        if traffic.ready:
            traffic.resume_writing()
        elif self._beginning is None:
            self._beginning = traffic.loop.create_task(self._begin(), name="connectycube begin")
        # What the server sent while it negotiated comes first: it is older than everything in the stream's buffer.
        for element in stream.deferred:
            traffic.dispatch(element)
        stream.deferred.clear()
        stream.take_over(traffic.element, traffic.inbox.read_over, self._ended)
        if traffic.online:
            self._keepalive.start()

    async def _begin(self) -> None:
        """Set up a new session. Messages wait until that is done: a room must be joined before it accepts any.

        So do the events that report the session.
        """
        traffic = self.traffic
        try:
            await self.session.begin(self._again)
        except NotConnected as error:
            # If the session is resumed, `_established` sets it up then.
            logger.debug("the session was interrupted while it was set up: %s", error)
        except ConnectyCubeError as error:
            logger.warning("the session could not be set up: %s", error)
        finally:
            if self._beginning is asyncio.current_task():
                self._beginning = None
                if traffic.online:
                    traffic.resume_writing()
                    self.step(con.Begun())

    def _ended(self, error: StreamBroken) -> None:
        """The stream of a session has ended."""
        if self._machine.state is State.ONLINE:
            self._lost(broken(error, self._server))

    def _lost(self, error: ConnectError) -> None:
        """The connection was lost, or the attempt to make one failed."""
        if self.traffic.fenced:
            # Another process may be connected in place of this one.
            fenced = connect_error(Reason.CONFLICT, f"the connection to {self._server} belongs to another process now")
            fenced.__cause__ = error
            error = fenced
        self.error = error
        if isinstance(error.__cause__, StreamBroken) and error.__cause__.error is not None:
            stream_error = error.__cause__.error
            condition = condition_of(stream_error)
            self._emit_later(events.StreamFailed(condition=condition, text=stream_error.text or ""))
        self._keepalive.stop()
        stream = self.traffic.stream
        if self._machine.state is State.ONLINE and stream is not None and stream.refused in OVER_A_STANZA:
            self.session.refused(stream.refused)
        self.traffic.interrupt()
        self.step(con.Lost(reason=error.reason, jitter=random.random()))

    # -- effects

    def _abort(self, _: con.Abort) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
        if self.traffic.stream is not None:
            self.traffic.stream.abort()
            self.traffic.stream = None

    def _close_stream(self, _: con.CloseStream) -> None:
        self._keepalive.stop()
        self.traffic.farewell()
        stream = self.traffic.stream
        assert stream is not None
        stream.close()
        self._closing = self.traffic.loop.create_task(self._close(stream), name="connectycube close")

    async def _close(self, stream: Stream) -> None:
        await stream.closed(min(CLOSING_TIME, self.traffic.settings.timeout))
        self.traffic.stream = None
        self.step(con.Closed())

    def _start_stable(self, _: con.StartStable) -> None:
        self._timer = self.traffic.loop.call_later(self.traffic.settings.stable_after, self.step, con.Stable())

    def _stop_timers(self, _: con.StopTimers) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.retry_at = None

    def _wait(self, effect: con.Wait) -> None:
        error = self.error
        assert error is not None
        self.retry_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=effect.seconds)
        self._timer = self.traffic.loop.call_later(effect.seconds, self.step, con.WaitOver())
        logger.info(
            "the chat reconnects to %s in %.1f s (attempt %d): %s", self._server, effect.seconds, effect.attempt, error
        )
        self._emit_later(
            events.Reconnecting(error=error, attempt=effect.attempt, delay=effect.seconds, retry_at=self.retry_at)
        )

    def _restore(self, _: con.Restore) -> None:
        self._again = True

    def _emit_later(self, event: events.Event) -> None:
        """Emit an event at the end of the current step."""
        self._pending_events.append(event)

    def _tell_connected(self, _: con.TellConnected) -> None:
        logger.info("the chat is connected to %s as %s", self._server, self.traffic.jid)
        self._emit_later(events.Connected(jid=self.traffic.jid))

    def _tell_reconnected(self, effect: con.TellReconnected) -> None:
        how = "resumed its session" if effect.resumed else "begun a new session"
        logger.info("the chat is connected to %s again and has %s", self._server, how)
        self._emit_later(events.Reconnected(resumed=effect.resumed))

    def _tell_gave_up(self, _: con.TellGaveUp) -> None:
        error = self.error
        assert error is not None
        if not self._callers:  # Otherwise `connect` raises it.
            logger.error("the chat has ended: %s", error)
        self._end(f"the connection is lost: {error}", events.ConnectionFailed(error=error))

    def _tell_disconnected(self, _: con.TellDisconnected) -> None:
        left, self._left = self._left, ()
        logger.info("the chat was disconnected from %s", self._server)
        self._end("the chat was disconnected", events.Disconnected(unacknowledged=left))

    def _end(self, problem: str, last: events.Event) -> None:
        """Clean up: nothing but a new `connect` can follow. The last event comes after all others."""
        self._keepalive.stop()
        self._lose_session()
        self.session.ended()
        self.traffic.end(problem)
        for event in (*self._pending_events, last):
            self.traffic.bus.emit(event)
        self._pending_events.clear()
        self.traffic.bus.close(last.error if isinstance(last, events.ConnectionFailed) else None)

    def _lose_session(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
        self.session.lost()

    def _forget(self) -> None:
        """Start afresh: the event loop was closed while connected, so nothing in it can be used or closed any more."""
        self._machine = self._new_machine()
        self.traffic.reset()
        self.traffic.stream = self._attempt = self._beginning = self._closing = self._timer = None
        self.session.lost()
        self.session.ended()

    def forked(self) -> None:
        """Leave the connection to the parent, in a forked child process: nothing of it may be used or closed here."""
        if self._machine.state is State.OFFLINE:
            return
        error = NotConnected("the chat was connected before this process was forked: call connect() again in here")
        if self.traffic.stream is not None:
            disown(self.traffic.stream)
        self._forget()
        self.traffic.alive = False
        self.traffic.bus.close(error)

    # -- keep-alive

    def _silent(self, seconds: float) -> None:
        # U-39: a connection whose network is gone can look open for minutes if nothing is sent.
        problem = f"{self._server} has not answered for {seconds:.0f} seconds"
        self._lost(connect_error(Reason.TIMEOUT, problem))
