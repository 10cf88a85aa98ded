"""The driver: makes and remakes the connection as the connection machine says.

Only here and in `_wire` the machines meet sockets, clocks and randomness.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import Any

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import Ping, PingRequest

from .. import events
from ..errors import ConnectFailed, NotConnected, connect_error
from ..machines import connection as con
from ..machines import stream_management as sm
from ..machines.connection import Reason, State
from ..models import ChatState
from .attempt import attempt, broken, condition_of
from .stream import Stream, StreamBroken
from .traffic import Wire

__all__ = ["Driver"]

logger = logging.getLogger("connectycube.chat")

CLOSING_TIME = 2.0
"""Seconds that the server has to close its side of the stream."""


class Driver:
    """The life of a chat's connection."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.managed = wire.settings.stream_management
        self.error: ConnectFailed | None = None
        self.retry_at: dt.datetime | None = None
        self._machine = self._new_machine()
        self._attempt: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self._pinged: float | None = None
        self._again = False
        self._callers = 0
        self._reached = False
        self._left: tuple[str, ...] = ()
        self._changed = asyncio.Event()
        self._told: list[events.Event] = []
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
        use = self.wire.settings
        return con.Connection(automatic=use.auto_reconnect, backoff=use.backoff)

    @property
    def _server(self) -> str:
        return f"{self.wire.settings.host}:{self.wire.settings.port}"

    @property
    def acks(self) -> sm.StreamManagement:
        """The machine of stream management, for the negotiation."""
        return self.wire.acks

    @property
    def state(self) -> ChatState:
        """Where the connection stands."""
        machine = self._machine
        return ChatState(name=machine.state, attempt=machine.attempt, error=self.error, retry_at=self.retry_at)

    # -- what the user asks for

    async def connect(self, timeout: float) -> None:
        """Connect and begin a session.

        :raises ConnectFailed: if that fails, or is not done in time.
        """
        self._enter(asyncio.get_running_loop())
        self._callers += 1
        try:
            async with asyncio.timeout(timeout):
                while not (self._machine.state is State.ONLINE and self._beginning is None):
                    if self._machine.state is State.OFFLINE:
                        raise self.error or NotConnected("the chat was disconnected while it connected")
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
        """A caller of `connect` waits no more. What another one waits for, or has got before, goes on."""
        if self._callers == 1 and not self._reached:
            await self.disconnect(0)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to connect in a loop, or go on with what is under way there."""
        if self._machine.state is not State.OFFLINE and self.wire.loop is not loop:
            if not self.wire.loop.is_closed():
                raise NotConnected("the chat is connected in another event loop: disconnect it there first")
            self._forget()
        if self._machine.state is State.CLOSING:
            raise NotConnected("the chat is being disconnected: wait until that is done")
        if self._machine.state is State.OFFLINE:
            self.wire.loop = loop
            self.wire.alive = True
            self.error = None
            self._reached = False
            self.step(con.Connect())
        elif self._machine.state is State.WAITING:
            self.step(con.Connect())

    async def disconnect(self, timeout: float) -> tuple[str, ...]:
        """Wait for the acknowledgement of what was sent, then close.

        :param timeout: seconds to wait for it.
        :returns: ids of the messages that were not acknowledged.
        """
        outbox = self.wire.outbox
        if timeout > 0 and self._machine.state is State.ONLINE:
            try:
                async with asyncio.timeout(timeout):
                    while outbox.pending and self._machine.state is State.ONLINE:
                        await outbox.settled()
            except TimeoutError:
                logger.warning("%d messages were not acknowledged in time", len(outbox.pending))
        left = outbox.waiting()
        if self._machine.state is not State.OFFLINE:
            self._left = left
            self.step(con.Disconnect())
        current = asyncio.current_task()
        for task in (self._attempt, self._beginning, self._closing):
            # One that is done may be of a loop that is closed.
            if task is not None and task is not current and not task.done():
                await asyncio.wait([task])
        return left

    # -- the machine

    def step(self, event: con.Event) -> None:
        """Tell the connection machine, do what it wants, and let waiters look again."""
        for effect in self._machine.handle(event):
            self._effects[type(effect)](effect)
        self._wake()
        while self._told:
            self.wire.bus.tell(self._told.pop(0))

    def acknowledge(self, event: sm.Event) -> None:
        """What the negotiation learns of stream management."""
        self.wire.acknowledge(event)

    def _wake(self) -> None:
        """Let whoever waits for a change look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    # -- attempts

    def _open(self, _: con.Open) -> None:
        self.retry_at = None
        self._attempt = self.wire.loop.create_task(self._connect(), name="connectycube connect")

    async def _connect(self) -> None:
        try:
            stream, jid = await attempt(self.wire, self, self._opened, known=self._machine.been_online)
        except ConnectFailed as error:
            self._attempt = None
            self._lost(error)
        else:
            self._attempt = None
            self._established(stream, jid)

    def _opened(self, stream: Stream) -> None:
        self.wire.stream = stream

    def _established(self, stream: Stream, jid: str | None) -> None:
        """The session is there, or there again."""
        wire = self.wire
        self.error = None
        wire.online = True
        if jid is not None:
            self._lose_session()
            wire.begin(jid)
            self.step(con.Bound())
        else:
            self.step(con.Resumed())
        if wire.furnished:
            wire.resume_writing()
        elif self._beginning is None:
            self._beginning = wire.loop.create_task(self._begin(), name="connectycube begin")
        for element in stream.deferred:
            wire.dispatch(element)
        stream.deferred.clear()
        stream.take_over(wire.element, self._ended)
        if wire.online:
            self._start_keepalive()

    async def _begin(self) -> None:
        """Furnish a new session. Messages wait meanwhile: rooms must be joined before one can write to them."""
        wire = self.wire
        try:
            await wire.session.begin(self._again)
        except NotConnected as error:
            # If the session is resumed it is furnished then.
            logger.debug("the session was interrupted before it was furnished: %s", error)
        except ConnectyCubeError as error:
            logger.warning("the session could not be furnished: %s", error)
        finally:
            if self._beginning is asyncio.current_task():
                self._beginning = None
                if wire.online:
                    wire.resume_writing()
                self._wake()

    def _ended(self, error: StreamBroken) -> None:
        """The stream of a session is over."""
        if self._machine.state is State.ONLINE:
            self._lost(broken(error, self._server))

    def _lost(self, error: ConnectFailed) -> None:
        """The connection, or the attempt to make one, is over."""
        self.error = error
        if isinstance(error.__cause__, StreamBroken) and error.__cause__.error is not None:
            self._tell_stream_failed(error.__cause__)
        self._stop_keepalive()
        self.wire.interrupt()
        self.step(con.Lost(reason=error.reason, jitter=random.random()))

    # -- effects

    def _abort(self, _: con.Abort) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
        if self.wire.stream is not None:
            self.wire.stream.abort()
            self.wire.stream = None

    def _close_stream(self, _: con.CloseStream) -> None:
        self._stop_keepalive()
        self.wire.farewell()
        stream = self.wire.stream
        assert stream is not None
        stream.close()
        self._closing = self.wire.loop.create_task(self._close(stream), name="connectycube close")

    async def _close(self, stream: Stream) -> None:
        await stream.closed(min(CLOSING_TIME, self.wire.settings.timeout))
        self.wire.stream = None
        self.step(con.Closed())

    def _start_stable(self, _: con.StartStable) -> None:
        self._timer = self.wire.loop.call_later(self.wire.settings.stable_after, self.step, con.Stable())

    def _stop_timers(self, _: con.StopTimers) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.retry_at = None

    def _wait(self, effect: con.Wait) -> None:
        error = self.error
        assert error is not None
        self.retry_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=effect.seconds)
        self._timer = self.wire.loop.call_later(effect.seconds, self.step, con.WaitOver())
        logger.info("the chat connects again in %.1f s (attempt %d): %s", effect.seconds, effect.attempt, error)
        self._tell(
            events.Reconnecting(error=error, attempt=effect.attempt, delay=effect.seconds, retry_at=self.retry_at)
        )

    def _restore(self, _: con.Restore) -> None:
        self._again = True

    def _tell(self, event: events.Event) -> None:
        """Tell it once all that follows from it is done."""
        self._told.append(event)

    def _tell_stream_failed(self, error: StreamBroken) -> None:
        assert error.error is not None
        self._tell(events.StreamFailed(condition=condition_of(error.error), text=error.error.text or ""))

    def _tell_connected(self, _: con.TellConnected) -> None:
        self._again = False
        self._tell(events.Connected(jid=self.wire.jid))

    def _tell_reconnected(self, effect: con.TellReconnected) -> None:
        self._tell(events.Reconnected(resumed=effect.resumed))

    def _tell_gave_up(self, _: con.TellGaveUp) -> None:
        error = self.error
        assert error is not None
        self._end(f"the connection is lost: {error}", events.ConnectionFailed(error=error))

    def _tell_disconnected(self, _: con.TellDisconnected) -> None:
        left, self._left = self._left, ()
        self._end("the chat was disconnected", events.Disconnected(unacknowledged=left))

    def _end(self, problem: str, last: events.Event) -> None:
        """Nothing comes after this but a new `connect`."""
        self._stop_keepalive()
        self._lose_session()
        self.wire.session.ended()
        self.wire.end(problem)
        for event in (*self._told, last):
            self.wire.bus.tell(event)
        self._told.clear()
        self.wire.bus.close()

    def _lose_session(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
        self.wire.session.lost()

    def _forget(self) -> None:
        """The loop was closed over the connection: nothing of it can be used or closed any more."""
        self._machine = self._new_machine()
        self.wire.reset()
        self.wire.stream = self._attempt = self._beginning = self._closing = self._timer = self._keepalive = None
        self.wire.session.lost()
        self.wire.session.ended()

    # -- keep-alive

    def _start_keepalive(self) -> None:
        """Ping a server that has said nothing for an interval; give it up after a second one (U-39)."""
        if self.wire.settings.keepalive is not None:
            self._pinged = None
            self._keepalive = self.wire.loop.call_later(self.wire.settings.keepalive, self._look)

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _look(self) -> None:
        wire, interval = self.wire, self.wire.settings.keepalive
        if interval is None or wire.stream is None or not wire.online:
            return
        now = wire.loop.time()
        idle = now - wire.stream.last_data
        if idle < interval:
            self._pinged = None
            delay = interval - idle
        else:
            if self._pinged is None:
                self._pinged = now
                wire.post(PingRequest(id=wire.ids.request(), to=wire.settings.host, ping=Ping()))
            # A loop that was blocked asks late: the answer needs its time then, too.
            delay = max(2 * interval - idle, self._pinged + interval / 2 - now)
            if delay <= 0:
                problem = f"{self._server} has not answered for {idle:.0f} seconds"
                self._lost(connect_error(Reason.TIMEOUT, problem))
                return
        self._keepalive = wire.loop.call_later(max(delay, 0.001), self._look)
