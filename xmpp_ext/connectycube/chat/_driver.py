"""The driver: the one place where the machines meet sockets, clocks and randomness.

It makes and remakes the connection as the connection machine says, and numbers, repeats and settles what is sent as
the machine of stream management says. State changes first; then what follows from it is done, and at last it is told.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol
from xml.etree.ElementTree import Element, tostring

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import Ack, AckRequest, Enable, Ping, PingRequest, Resume, Stanza, StanzaError, parse

from . import events
from ._bus import Bus
from ._ids import IdMaker
from ._negotiation import Login, Refusal, negotiate, reason_of
from ._outbound import xml_of
from ._outbox import Outbox, Outgoing
from ._requests import Requests
from ._settings import Credentials, Settings
from ._stream import Stream, StreamBroken
from .errors import ConnectFailed, MessageNotSent, NotConnected, connect_error
from .machines import connection as con
from .machines import stream_management as sm
from .machines.connection import Reason, State
from .models import ChatState

__all__ = ["Driver", "Session"]

logger = logging.getLogger("connectycube.chat")

OFFLINE: Final = "the chat is not connected: call connect() first, or wait for Reconnected"
COUNTED: Final = frozenset(f"{{jabber:client}}{name}" for name in ("message", "presence", "iq"))
ACK_REQUEST: Final = "{urn:xmpp:sm:3}r"
REQUEST_XML: Final = AckRequest().to_xml()


class Session(Protocol):
    """What the chat does with a session."""

    def received(self, stanza: Stanza) -> None:
        """A stanza came in that answers nothing."""

    async def begin(self, again: bool) -> None:
        """A new session is there: say who is here, and restore what the last one had."""

    def announce(self) -> None:
        """Say again that the user is here."""

    def lost(self) -> None:
        """The session is gone for good, and with it what the server knew of it."""


class Driver:
    """One chat's connection, over all its streams.

    :ivar jid: the full JID; empty before the first session.
    """

    def __init__(self, settings: Settings, credentials: Credentials, bus: Bus, session: Session) -> None:
        self.settings = settings
        self.credentials = credentials
        self.bus = bus
        self.session = session
        self.ids = IdMaker()
        self.outbox = Outbox(bus)
        self.machine = con.Connection(automatic=settings.auto_reconnect, backoff=settings.backoff)
        self.acks = sm.StreamManagement()
        self.managed = settings.stream_management
        self.jid = ""
        self.error: ConnectFailed | None = None
        self.retry_at: dt.datetime | None = None
        self.stream: Stream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.requests = Requests()
        self._written: list[str] = []
        self._attempt: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self._pinged = False
        self._changed = asyncio.Event()
        self._again = False
        self._furnished = False
        self._left: tuple[str, ...] = ()
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
            sm.WriteEnable: self._write_enable,
            sm.WriteResume: self._write_resume,
            sm.WriteAnswer: self._write_answer,
            sm.WriteRequest: self._write_request,
            sm.WritePing: self._write_ping,
            sm.Acknowledged: self._acknowledged,
            sm.Resend: self._resend,
            sm.Requeue: self._requeue,
            sm.Violated: self._violated,
        }

    # -- what the chat asks for

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the connection belongs to."""
        if self._loop is None:
            raise NotConnected("the chat is not connected: call connect() first")
        return self._loop

    @property
    def online(self) -> bool:
        """Whether there is a session that can be written to."""
        return self.machine.state is State.ONLINE

    @property
    def state(self) -> ChatState:
        """Where the connection stands."""
        machine = self.machine
        return ChatState(name=machine.state, attempt=machine.attempt, error=self.error, retry_at=self.retry_at)

    async def connect(self, timeout: float) -> None:
        """Connect and begin a session.

        :raises ConnectFailed: if that fails, or is not done in time.
        """
        loop = asyncio.get_running_loop()
        if self.machine.state is State.OFFLINE:
            self._loop = loop
            self.error = None
            self.step(con.Connect())
        elif self._loop is not loop:
            if self.loop.is_closed():
                self._forget()
                return await self.connect(timeout)
            raise NotConnected("the chat is connected in another event loop: disconnect it there first")
        elif self.machine.state is State.WAITING:
            self.step(con.Connect())
        elif self.machine.state is State.CLOSING:
            raise NotConnected("the chat is just being disconnected")
        try:
            async with asyncio.timeout(timeout):
                while not (self.online and self._beginning is None):
                    if self.machine.state is State.OFFLINE:
                        raise self.error or NotConnected("the chat was disconnected while it connected")
                    await self._changed.wait()
        except TimeoutError:
            error = self.error
            await self.disconnect(0)
            problem = f"no connection to {self._server} within {timeout:g} seconds"
            reason = Reason.TIMEOUT if error is None else error.reason
            raise connect_error(reason, problem if error is None else f"{problem}: {error}") from error
        except asyncio.CancelledError:
            await self.disconnect(0)
            raise

    async def disconnect(self, timeout: float) -> tuple[str, ...]:
        """Wait for the acknowledgement of what was sent, then close.

        :returns: ids of the messages that were not acknowledged.
        """
        if self._loop is None:
            return ()
        if timeout > 0 and self.outbox.pending and self.online:
            try:
                async with asyncio.timeout(timeout):
                    while self.outbox.pending and self.online:
                        await self.outbox.settled()
            except TimeoutError:
                pass  # What is left is told below.
        left = self.outbox.waiting()
        if self.machine.state is not State.OFFLINE:
            self._left = left
            self.step(con.Disconnect())
        current = asyncio.current_task()
        for task in (self._attempt, self._beginning, self._closing):
            if task is not None and task is not current:
                await asyncio.wait([task])
        return left

    def post(self, stanza: Stanza) -> None:
        """Write a stanza that nobody waits for.

        :raises NotConnected: if there is no connection.
        :raises InvalidArgument: if it can't be written.
        """
        if not self.online:
            raise NotConnected(OFFLINE)
        self.write(Outgoing(xml_of(stanza)))

    def ask(self, stanza: Any, what: str, timeout: float | None = None) -> Awaitable[Stanza]:
        """Write a request at once; what comes back waits for its answer.

        :param what: what is asked, for errors.
        :param timeout: seconds; default: the chat's.
        :raises RequestRefused: if the answer is an error.
        :raises RequestTimedOut: if there is no answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        future = self.requests.add(stanza, what, self.loop)
        try:
            self.post(stanza)
        except BaseException:
            self.requests.drop(stanza.id)
            raise
        return self.requests.answer(stanza, future, what, timeout or self.settings.timeout)

    async def request(self, stanza: Any, what: str, timeout: float | None = None) -> Stanza:
        """Write a request and wait for its answer. It raises what `ask` does."""
        return await self.ask(stanza, what, timeout)

    async def deliver(self, stanza: Stanza) -> None:
        """Write a stanza and wait until the server has it. It does not outlive the session.

        :raises NotConnected: if there is no connection, or it is lost before.
        """
        item = Outgoing(xml_of(stanza))
        item.future = self.loop.create_future()
        if not self.online:
            raise NotConnected(OFFLINE)
        self.write(item)
        await item.future

    async def settle(self, item: Outgoing) -> None:
        """Send a message and wait until the server has it, over as many sessions as it takes.

        :raises MessageNotSent: if that fails, or takes too long.
        :raises NotConnected: if there is no connection and none is being made.
        :raises InvalidArgument: if a message with this id is on its way already.
        """
        item.future = self.loop.create_future()
        self.submit(item)
        seconds = self.settings.send_timeout
        try:
            async with asyncio.timeout(seconds):
                await item.future
        except TimeoutError:
            problem = f"the server did not acknowledge it within {seconds:g} seconds"
            raise MessageNotSent(item.message_id or "", problem) from None
        finally:
            if not item.future.done() or item.future.cancelled():
                self.outbox.give_up(item)

    def submit(self, item: Outgoing) -> None:
        """Send a message now, or as soon as there is a session again.

        :raises NotConnected: if there is none and none is being made.
        :raises InvalidArgument: if a message with this id is on its way already.
        """
        if self.machine.state in (State.OFFLINE, State.CLOSING):
            raise NotConnected("the chat is not connected: call connect() first")
        self.outbox.add(item)
        if self.online and self._beginning is None:
            self.write(item)

    # -- the machines

    def step(self, event: con.Event) -> None:
        """Tell the connection machine, do what it wants, and let waiters look again."""
        self._do(self.machine.handle(event))
        self._wake()
        self._tell_all()

    def acknowledge(self, event: sm.Event) -> None:
        """Tell the machine of stream management and do what it wants."""
        effects = self.acks.handle(event)
        if effects:
            self._do(effects)
            self._tell_all()

    def _do(self, effects: tuple[Any, ...]) -> None:
        for effect in effects:
            self._effects[type(effect)](effect)

    def _tell(self, event: events.Event) -> None:
        self._told.append(event)

    def _tell_all(self) -> None:
        """Tell what has happened, once all that follows from it is done."""
        while self._told:
            self.bus.tell(self._told.pop(0))

    def _wake(self) -> None:
        """Let whoever waits for a change look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    # -- the connection

    @property
    def _server(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def _open(self, _: con.Open) -> None:
        self.retry_at = None
        self._attempt = self.loop.create_task(self._connect(), name="connectycube connect")

    async def _connect(self) -> None:
        """One attempt: from the socket to the session."""
        stream: Stream | None = None
        try:
            async with asyncio.timeout(self.settings.timeout):
                stream = await self._open_stream()
                jid = await self._negotiate(stream)
        except asyncio.CancelledError:
            # Only `_abort` cancels, and it has seen to the stream.
            if stream is not None:
                stream.abort()
            raise
        except TimeoutError:
            problem = f"{self._server} did not answer within {self.settings.timeout:g} seconds"
            self._fail(stream, connect_error(Reason.TIMEOUT, problem))
        except Refusal as error:
            self._fail(stream, connect_error(error.reason, str(error), error.condition), error)
        except StreamBroken as error:
            self._fail(stream, self._broken(error), error)
        except OSError as error:
            self._fail(stream, self._os_error(error), error)
        except ConnectyCubeError as error:
            self._fail(stream, connect_error(Reason.AUTHENTICATION, f"no credentials: {error}"), error)
        else:
            self._attempt = None
            self._established(stream, jid)

    async def _open_stream(self) -> Stream:
        use, loop = self.settings, self.loop
        direct = use.tls == "direct"
        made: list[Stream] = []

        def factory() -> Stream:
            made.append(Stream(loop, use.context, use.host))
            return made[0]

        host = use.host.strip("[]")
        await loop.create_connection(
            factory, host, use.port, ssl=use.context if direct else None, server_hostname=host if direct else None
        )
        self.stream = made[0]
        self.step(con.Opened(starttls=use.tls == "starttls"))
        return made[0]

    async def _negotiate(self, stream: Stream) -> str | None:
        """Log in, by the token that the session has now (U-11)."""
        use = self.settings
        login = Login(
            username=f"{self.credentials.user_id}-{use.app_id}",
            secret=self.credentials.secret,
            renew=self.credentials.renew,
            resource=use.resource,
            starttls=use.context if use.tls == "starttls" else None,
            plain=use.tls != "none" or use.allow_insecure,
        )
        return await negotiate(stream, login, self, self.ids.request)

    def _fail(self, stream: Stream | None, error: ConnectFailed, cause: BaseException | None = None) -> None:
        """The attempt has failed."""
        if stream is not None:
            stream.abort()
        error.__cause__ = cause
        self._attempt = None
        self._lost(error)

    def _lost(self, error: ConnectFailed) -> None:
        """The connection, or the attempt to make one, is over."""
        self.error = error
        self._stop_keepalive()
        self._written.clear()
        if self.acks.state is not sm.State.OFF:
            self.acknowledge(sm.Suspended())
        self.step(con.Lost(reason=error.reason, jitter=random.random()))

    def _established(self, stream: Stream, jid: str | None) -> None:
        """The session is there, or there again."""
        self.error = None
        if jid is not None:
            self.jid = jid
            self.requests.own = frozenset(("", jid, jid.partition("/")[0], self.settings.host))
            self._lose_session()
            self._furnish()
            self.step(con.Bound())
        else:
            if not self._furnished and self._beginning is None:
                self._furnish()
            self.step(con.Resumed())
            if self._beginning is None:
                for item in self.outbox.unwritten():
                    self.write(item)
        for element in stream.deferred:
            self._dispatch(element)
        stream.deferred.clear()
        stream.take_over(self._element, self._ended)
        if self.online:
            self._start_keepalive()

    def _furnish(self) -> None:
        """Begin a new session. Messages wait meanwhile: rooms must be joined before one can write to them."""
        self._beginning = self.loop.create_task(self._begin(), name="connectycube begin")

    async def _begin(self) -> None:
        try:
            await self.session.begin(self._again)
            self._furnished = True
        except NotConnected as error:
            logger.debug("the session ended before it was furnished: %s", error)
        except ConnectyCubeError as error:
            logger.warning("the session could not be furnished: %s", error)
        finally:
            if self._beginning is asyncio.current_task():
                self._beginning = None
                if self.online:
                    for item in self.outbox.unwritten():
                        self.write(item)
                self._wake()

    def _ended(self, error: StreamBroken) -> None:
        """The stream of a session is over."""
        if self.machine.state is State.ONLINE:
            self._lost(self._broken(error))

    def _broken(self, error: StreamBroken) -> ConnectFailed:
        condition = "" if error.error is None else str(error.error.condition or "see-other-host")
        text = "" if error.error is None else error.error.text or ""
        problem = f"{self._server}: {error}"
        if condition:
            problem += f": {condition}{f' ({text})' if text else ''}"
            self._tell(events.StreamFailed(condition=condition, text=text))
        return connect_error(reason_of(error.error), problem, condition)

    def _os_error(self, error: OSError) -> ConnectFailed:
        """What a socket or TLS says. Once a connection has stood, TLS is known to work: then only a certificate that
        is not trusted any more is worth giving up for."""
        reason = Reason.NETWORK
        if isinstance(error, ssl.SSLError) and (
            isinstance(error, ssl.SSLCertVerificationError) or not self.machine.been_online
        ):
            reason = Reason.NETWORK if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) else Reason.TLS
        words = getattr(error, "verify_message", "") or error.strerror or str(error) or type(error).__name__
        return connect_error(reason, f"no connection to {self._server}: {words}")

    # -- effects of the connection machine

    def _abort(self, _: con.Abort) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None and attempt is not asyncio.current_task():
            attempt.cancel()
            self._attempt = attempt  # `disconnect` waits for it.
        if self.stream is not None:
            self.stream.abort()
            self.stream = None

    def _close_stream(self, _: con.CloseStream) -> None:
        self._stop_keepalive()
        self._flush()
        self._closing = self.loop.create_task(self._close(self.stream), name="connectycube close")

    async def _close(self, stream: Stream | None) -> None:
        if stream is not None:
            await stream.close(min(2.0, self.settings.timeout))
        self.stream = None
        self._closing = None
        self.step(con.Closed())

    def _start_stable(self, _: con.StartStable) -> None:
        self._timer = self.loop.call_later(self.settings.stable_after, self.step, con.Stable())

    def _stop_timers(self, _: con.StopTimers) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.retry_at = None

    def _wait(self, effect: con.Wait) -> None:
        error = self.error
        assert error is not None
        self.retry_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=effect.seconds)
        self._timer = self.loop.call_later(effect.seconds, self.step, con.WaitOver())
        logger.info("the chat connects again in %.1f s (attempt %d): %s", effect.seconds, effect.attempt, error)
        self._tell(
            events.Reconnecting(error=error, attempt=effect.attempt, delay=effect.seconds, retry_at=self.retry_at)
        )

    def _restore(self, _: con.Restore) -> None:
        self._again = True

    def _tell_connected(self, _: con.TellConnected) -> None:
        self._again = False
        self._tell(events.Connected(jid=self.jid))

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
        self._written.clear()
        self.acknowledge(sm.Stop())
        self._lose_session()
        self.outbox.fail(problem)
        self._tell(last)
        self._tell_all()
        self.bus.close()

    def _lose_session(self) -> None:
        """What was asked of the old session is never answered."""
        if self._beginning is not None:
            self._beginning.cancel()
        self._furnished = False
        self.requests.fail()
        self.session.lost()

    def _forget(self) -> None:
        """The loop of the old connection was closed over it: nothing of it can be used or closed any more."""
        self.machine = con.Connection(automatic=self.settings.auto_reconnect, backoff=self.settings.backoff)
        self.acks = sm.StreamManagement()
        self.stream = self._attempt = self._beginning = self._closing = self._timer = self._keepalive = None
        self.requests, self.outbox = Requests(), Outbox(self.bus)
        self.session.lost()

    # -- what comes in

    def _element(self, element: Element) -> None:
        """An element of a session."""
        tag = element.tag
        if tag in COUNTED:
            self.acks.handle(sm.RECEIVED)
            self._dispatch(element)
        elif tag == ACK_REQUEST:
            if self.acks.state is sm.State.ON:
                self._do(self.acks.handle(sm.ASKED))
        else:
            self._dispatch(element)

    def _dispatch(self, element: Element) -> None:
        if self.requests.take(element, lambda problem: self.reject(problem, element)):
            return
        try:
            stanza = parse(element)
        except StanzaError as error:
            self.reject(str(error), element)
            return
        if not isinstance(stanza, Ack):
            self.session.received(stanza)
        elif self.acks.state is sm.State.ON:
            self.acknowledge(sm.Acked(h=stanza.h))

    def reject(self, problem: str, element: Element | Stanza) -> None:
        """Tell that a stanza was not believed or can't be read. The connection is kept."""
        xml = element.to_xml() if isinstance(element, Stanza) else tostring(element, encoding="unicode")
        self._tell(events.StanzaRejected(problem=problem, xml=xml[:1000]))
        self._tell_all()

    # -- what goes out

    def write(self, item: Outgoing) -> None:
        """Write a stanza; what is written in one turn of the loop goes out together, and is asked about once."""
        if not self._written:
            self.loop.call_soon(self._flush)
        self._written.append(item.xml)
        item.written = True
        self.acks.handle(sm.Sent(item))

    def _flush(self) -> None:
        written = self._written
        if not written or self.stream is None:
            return
        self._do(self.acks.handle(sm.FLUSHED))
        self.stream.send_raw("".join(written))
        written.clear()

    def _raw(self, stanza: Stanza) -> None:
        """Write what is not counted, behind what waits to be written."""
        if self._written:
            self._written.append(stanza.to_xml())
        elif self.stream is not None:
            self.stream.send_raw(stanza.to_xml())

    def _write_enable(self, effect: sm.WriteEnable) -> None:
        self._raw(Enable(resume=effect.resume))

    def _write_resume(self, effect: sm.WriteResume) -> None:
        self._raw(Resume(previd=effect.previous, h=effect.h))

    def _write_answer(self, effect: sm.WriteAnswer) -> None:
        self._raw(Ack(h=effect.h))

    def _write_request(self, _: sm.WriteRequest) -> None:
        if self._written:
            self._written.append(REQUEST_XML)
        elif self.stream is not None:
            self.stream.send_raw(REQUEST_XML)

    def _write_ping(self, effect: sm.WritePing) -> None:
        """Without stream management the answer to a ping, be it an error, proves that all before it was handled."""
        ping = PingRequest(id=self.ids.request(), to=self.settings.host, ping=Ping())

        def answered(done: asyncio.Future[Stanza]) -> None:
            self.requests.drop(ping.id)
            if not done.cancelled() and done.exception() is None and self.acks.state is sm.State.PINGING:
                self.acknowledge(sm.Acked(h=effect.h))

        self.requests.add(ping, "a ping", self.loop).add_done_callback(answered)
        self._raw(ping)

    def _acknowledged(self, effect: sm.Acknowledged) -> None:
        self.outbox.acknowledged(effect.items)

    def _resend(self, effect: sm.Resend) -> None:
        if self.stream is not None:
            self.stream.send_raw("".join(item.xml for item in effect.items if isinstance(item, Outgoing)))

    def _requeue(self, effect: sm.Requeue) -> None:
        self.outbox.requeue(effect.items)

    def _violated(self, effect: sm.Violated) -> None:
        logger.warning("the server acknowledged %d stanzas of %d", effect.h, effect.sent)
        if self.stream is not None and self.machine.state is State.ONLINE:
            self.stream.fail("undefined-condition")

    # -- keep-alive

    def _start_keepalive(self) -> None:
        """Ping a server that has said nothing for an interval; give it up after a second one (U-39)."""
        if self.settings.keepalive is not None:
            self._pinged = False
            self._keepalive = self.loop.call_later(self.settings.keepalive, self._look)

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _look(self) -> None:
        interval = self.settings.keepalive
        if interval is None or self.stream is None or not self.online:
            return
        idle = self.loop.time() - self.stream.last_data
        if idle >= 2 * interval:
            problem = f"{self._server} has not answered for {idle:.0f} seconds"
            self._lost(connect_error(Reason.TIMEOUT, problem))
            return
        if idle < interval:
            self._pinged = False
            delay = interval - idle
        else:
            if not self._pinged:
                self._pinged = True
                self.post(PingRequest(id=self.ids.request(), to=self.settings.host, ping=Ping()))
            delay = 2 * interval - idle
        self._keepalive = self.loop.call_later(max(delay, 0.001), self._look)
