"""The traffic of a chat, over all its streams: what is written, counted, acknowledged and answered.

What is written in one turn of the loop goes out in batches, with a request for acknowledgement behind one of them while
none is out (XEP-0198 section 4). State changes first; then what follows from it is done, and at last it is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol
from xml.etree.ElementTree import Element, tostring

from connectycube.rest import InvalidArgument
from connectycube.stanzas import (
    Ack,
    AckRequest,
    BuildError,
    Enable,
    IqError,
    Ping,
    PingRequest,
    Resume,
    Stanza,
    StanzaError,
    StanzaFault,
    parse,
)

from .. import events
from .._bus import Bus
from .._ids import IdMaker
from .._settings import Credentials, Settings
from ..errors import MessageNotSent, NotConnected
from ..machines import stream_management as sm
from .outbox import Outbox, Outgoing
from .requests import IQ, Requests
from .stream import Stream

__all__ = ["Session", "Wire", "xml_of"]

logger = logging.getLogger("connectycube.chat")

COUNTED: Final = frozenset((IQ, "{jabber:client}message", "{jabber:client}presence"))
ACK_REQUEST: Final = AckRequest.tag
BATCH: Final = 50
"""Stanzas after which a burst begins to go out, so that the server has work while the rest is still being made."""
REQUEST_XML: Final = AckRequest().to_xml()
OFFLINE: Final = "the chat is not connected: call connect() first, or wait for Reconnected"


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

    def ended(self) -> None:
        """There will be no session after it until the user wants one."""


class Wire:
    """What all parts of a chat write to.

    :ivar jid: the full JID; empty before the first session.
    :ivar stream: the present stream.
    :ivar online: there is a session that can be written to.
    :ivar furnished: it has all that a message may need, such as its rooms.
    :ivar alive: there is a session, or one is being made.
    """

    def __init__(self, settings: Settings, credentials: Credentials, bus: Bus, session: Session) -> None:
        self.settings = settings
        self.credentials = credentials
        self.bus = bus
        self.session = session
        self.ids = IdMaker()
        self.jid = ""
        self.stream: Stream | None = None
        self.online = self.furnished = self.alive = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._effects: dict[type[Any], Callable[[Any], None]] = {
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
        self.reset()

    def reset(self) -> None:
        """Forget all that is on its way."""
        self.outbox = Outbox(self.bus)
        self.requests = Requests()
        self.acks = sm.StreamManagement()
        self._written: list[str] = []
        self.online = self.furnished = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the connection belongs to.

        :raises NotConnected: if there never was one.
        """
        if self._loop is None:
            raise NotConnected(OFFLINE)
        return self._loop

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    # -- what the parts of a chat ask for

    def post(self, stanza: Stanza) -> None:
        """Write a stanza that nobody waits for.

        :raises NotConnected: if there is no connection.
        :raises InvalidArgument: if it can't be written.
        """
        if not self.online or self.loop.is_closed():
            raise NotConnected(OFFLINE)
        self.write(Outgoing(xml_of(stanza)))

    def ask(
        self,
        stanza: Any,
        what: str,
        timeout: float | None = None,
        then: Callable[[Stanza], None] | None = None,
    ) -> Awaitable[Stanza]:
        """Write a request at once; what comes back waits for its answer.

        :param what: what is asked, for errors.
        :param timeout: seconds; default: the chat's.
        :param then: is handed the answer before the next stanza is looked at.
        :raises RequestRefused: if the answer is an error.
        :raises RequestTimedOut: if there is no answer in time.
        :raises DecodeError: if it can't be read.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        future = self.requests.add(stanza, what, self.loop, then)
        try:
            self.post(stanza)
        except BaseException:
            self.requests.drop(stanza.id)
            raise
        seconds = self.settings.timeout if timeout is None else timeout
        return self.requests.answer(stanza, future, what, seconds)

    async def request(self, stanza: Any, what: str, timeout: float | None = None) -> Stanza:
        """Write a request and wait for its answer. It raises what `ask` does."""
        return await self.ask(stanza, what, timeout)

    async def deliver(self, stanza: Stanza) -> None:
        """Write a stanza and wait until the server has it. It does not outlive the session.

        :raises NotConnected: if there is no connection, or it is lost before.
        :raises InvalidArgument: if it can't be written.
        """
        if not self.online or self.loop.is_closed():
            raise NotConnected(OFFLINE)
        item = Outgoing(xml_of(stanza))
        item.future = self.loop.create_future()
        self.write(item)
        await item.future

    def submit(self, item: Outgoing) -> None:
        """Send a message now, or as soon as there is a session again.

        :raises NotConnected: if there is none and none is being made.
        :raises InvalidArgument: if a message with this id is on its way already.
        """
        if not self.alive or self.loop.is_closed():
            raise NotConnected("the chat is not connected: call connect() first")
        self.outbox.add(item)
        if self.online and self.furnished:
            self.write(item)

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

    def reject(self, problem: str, element: Element | Stanza) -> None:
        """Tell that a stanza was not believed or can't be read. The connection is kept."""
        try:
            xml = element.to_xml() if isinstance(element, Stanza) else tostring(element, encoding="unicode")
        except RecursionError:
            xml = f"<{element.tag}>, which nests too deep"
        self.bus.tell(events.StanzaRejected(problem=problem, xml=xml[:1000]))

    # -- what the driver asks for

    def acknowledge(self, event: sm.Event) -> None:
        """Tell the machine of stream management and do what it wants."""
        for effect in self.acks.handle(event):
            self._effects[type(effect)](effect)

    def resume_writing(self) -> None:
        """The session is there, or there again: write the messages that wait for it."""
        self.furnished = True
        for item in self.outbox.unwritten():
            self.write(item)

    def interrupt(self) -> None:
        """The connection is lost; the session may be resumed."""
        self.online = False
        self._written.clear()
        if self.acks.state is not sm.State.OFF:
            self.acknowledge(sm.Suspended())

    def farewell(self) -> None:
        """Write what waits and say what was received: what is not acknowledged would come again (XEP-0198)."""
        self.flush()
        if self.acks.state is sm.State.ON:
            self.acknowledge(sm.ASKED)
        self.online = False

    def begin(self, jid: str) -> None:
        """A new session begins: what was asked of the old one is never answered."""
        self.furnished = False
        self.jid = jid
        self.requests.fail()
        self.requests.own = frozenset(("", jid, jid.partition("/")[0], self.settings.host))

    def end(self, problem: str) -> None:
        """There will be no session any more."""
        self.alive = self.online = self.furnished = False
        self._written.clear()
        self.acknowledge(sm.Stop())
        self.requests.fail()
        self.outbox.fail(problem)

    # -- what comes in

    def element(self, element: Element) -> None:
        """An element of a session."""
        tag = element.tag
        if tag in COUNTED:
            self.acks.handle(sm.RECEIVED)
            self.dispatch(element)
        elif tag != ACK_REQUEST:
            self.dispatch(element)
        elif self.acks.state is sm.State.ON:
            self.acknowledge(sm.ASKED)

    def dispatch(self, element: Element) -> None:
        """An element that is not counted, or has been."""
        if self.requests.take(element, lambda problem: self.reject(problem, element)):
            return
        try:
            stanza = parse(element)
        except StanzaError as error:
            self._unreadable(str(error), element)
            return
        if isinstance(stanza, Ack):
            if self.acks.state is sm.State.ON:
                self.acknowledge(sm.Acked(h=stanza.h))
            return
        try:
            self.session.received(stanza)
        except Exception:
            # A mistake of ours with one stanza must not cost the connection, and all others with it.
            logger.exception("a %s could not be handled", type(stanza).__name__)

    def _unreadable(self, problem: str, element: Element) -> None:
        """Tell of it; a request is answered nevertheless (RFC 6120 section 8.3.3.1)."""
        number = element.get("id")
        if element.tag == IQ and element.get("type") in ("get", "set") and number:
            fault = StanzaFault(type="modify", condition="bad-request")
            self.post(IqError(id=number, to=element.get("from"), error=fault))
        self.reject(problem, element)

    # -- what goes out

    def write(self, item: Outgoing) -> None:
        """Write a stanza."""
        if not self._written:
            self.loop.call_soon(self.flush)
        self._written.append(item.xml)
        item.written = True
        self.acks.handle(sm.Sent(item))
        if len(self._written) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand what was written to the socket, and ask for its acknowledgement."""
        written = self._written
        if not written or self.stream is None:
            return
        self.acknowledge(sm.FLUSHED)
        self.stream.send_raw("".join(written))
        written.clear()

    def _raw(self, xml: str) -> None:
        """Write what is not counted, behind what waits to be written."""
        if self._written:
            self._written.append(xml)
        elif self.stream is not None:
            self.stream.send_raw(xml)

    # -- effects of the machine of stream management

    def _write_enable(self, effect: sm.WriteEnable) -> None:
        self._raw(Enable(resume=effect.resume).to_xml())

    def _write_resume(self, effect: sm.WriteResume) -> None:
        self._raw(Resume(previd=effect.previous, h=effect.h).to_xml())

    def _write_answer(self, effect: sm.WriteAnswer) -> None:
        self._raw(Ack(h=effect.h).to_xml())

    def _write_request(self, _: sm.WriteRequest) -> None:
        self._raw(REQUEST_XML)

    def _write_ping(self, effect: sm.WritePing) -> None:
        """Without stream management the answer to a ping, be it an error, proves that all before it was handled."""
        ping = PingRequest(id=self.ids.request(), to=self.settings.host, ping=Ping())

        def answered(done: asyncio.Future[Stanza]) -> None:
            self.requests.drop(ping.id)
            if not done.cancelled() and done.exception() is None and self.acks.state is sm.State.PINGING:
                self.acknowledge(sm.Acked(h=effect.h))

        self.requests.add(ping, "a ping", self.loop).add_done_callback(answered)
        self._raw(ping.to_xml())

    def _acknowledged(self, effect: sm.Acknowledged) -> None:
        self.outbox.acknowledged(effect.items)

    def _resend(self, effect: sm.Resend) -> None:
        self._raw("".join(item.xml for item in effect.items if isinstance(item, Outgoing)))

    def _requeue(self, effect: sm.Requeue) -> None:
        self.outbox.requeue(effect.items)

    def _violated(self, effect: sm.Violated) -> None:
        logger.warning("the server acknowledged stanza %d, but only %d were sent", effect.h, effect.sent)
        if self.stream is not None and self.online:
            # XEP-0198 section 4: the condition of its own says what is wrong.
            self.stream.fail("undefined-condition", "<handled-count-too-high xmlns='urn:xmpp:sm:3'/>")


def xml_of(stanza: Stanza) -> str:
    """The text of a stanza on the stream.

    :raises InvalidArgument: if an argument holds what XML can't carry.
    """
    try:
        return stanza._write("jabber:client")
    except BuildError as error:
        name = error.path[-1] if error.path else "stanza"
        raise InvalidArgument(name, f"can't be sent: {error.problem}") from error
