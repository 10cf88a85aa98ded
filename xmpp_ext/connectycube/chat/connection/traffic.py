"""The traffic of a chat across all its streams: what is written, counted, acknowledged and answered.

Everything written in one turn of the event loop goes out in batches, and a batch is followed by a request for
acknowledgement unless one is outstanding (XEP-0198 section 4). State changes first, then the side effects run, and
events are emitted last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final
from xml.etree.ElementTree import Element, tostring

from connectycube.rest import InvalidArgument
from connectycube.stanzas import (
    Ack,
    AckRequest,
    Enable,
    IqError,
    Ping,
    PingRequest,
    Resume,
    Stanza,
    StanzaError,
    StanzaFault,
    StreamLimits,
    parse,
)

from .. import events
from .._bus import STANZAS, Bus
from .._ids import IdMaker
from .._settings import Credentials, Settings
from ..errors import ChatError, MessageRefused, MessageTooLong, NotConnected, RequestRefused
from ..machines import stream_management as sm
from .inbox import Inbox
from .outbox import Outbox, Outgoing, xml_of
from .parser import readable_part
from .requests import Requests
from .stream import Stream

__all__ = ["OVER_A_STANZA", "Traffic"]

logger = logging.getLogger("connectycube.chat")

IQ: Final = "{jabber:client}iq"
ACK_REQUEST: Final = AckRequest.tag
REQUEST_XML: Final = AckRequest().to_xml()
BATCH: Final = 50
"""Stanzas after which a burst starts to go out, so that the server has work while the rest is still being built."""
SEGMENT: Final = 8 * 1024
"""Bytes after which a further request for acknowledgement follows, so that a slow line shows its progress."""
LEAST_MAXIMUM: Final = 10_000
MOST_UNACKNOWLEDGED: Final = 20_000
"""Stanzas that nobody waits for, such as answers: a server that acknowledges none would make their queue grow."""
OVER_A_STANZA: Final = frozenset(
    {
        "bad-format",
        "bad-namespace-prefix",
        "improper-addressing",
        "invalid-from",
        "invalid-namespace",
        "invalid-xml",
        "not-well-formed",
        "policy-violation",
        "resource-constraint",
        "restricted-xml",
        "unsupported-stanza-type",
    }
)
"""Conditions by which a server may end a stream because of a single stanza (RFC 6120 section 4.9.3)."""
OFFLINE: Final = "the chat is not connected: call connect() first, or wait for Reconnected"


class Traffic:
    """Sends and receives stanzas. All parts of a chat share it.

    :ivar receive: called with each stanza that does not answer a request.
    :ivar inbox: counts the stanzas that arrive.
    :ivar jid: the full JID; empty before the first session.
    :ivar stream: the current stream.
    :ivar online: whether there is a session that can be written to.
    :ivar ready: whether the session has everything a message may need, such as its rooms.
    :ivar alive: whether there is a session, or one is being established.
    :ivar scram: whether the server has authenticated the user by SCRAM.
    :ivar max_size: bytes that a stanza may have, as configured or announced by the server.
    :ivar on_asked: called with the time when the server begins to owe an answer.
    :ivar asked_at: since when the server owes an answer, or when it last gave one of several; `None` if it owes none.
    :ivar may_write: the fence: asked before each write to the socket.
    :ivar burden: the most bytes ahead of such a question.
    :ivar unanswered_resumptions: how many attempts in a row to resume the session got no answer.
    """

    def __init__(self, settings: Settings, credentials: Credentials, bus: Bus) -> None:
        self.settings = settings
        self.credentials = credentials
        self.bus = bus
        self.receive: Callable[[Stanza], None] = _ignore
        self.inbox = Inbox(self.manage)
        self.on_asked: Callable[[float], None] = _ignore
        self.may_write: Callable[[], bool] | None = None
        self.max_size = settings.max_stanza_size
        self.scram = False
        self.ids = IdMaker()
        self.jid = ""
        self.stream: Stream | None = None
        self.alive = False
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
        """Forget everything that is on its way."""
        self.outbox = Outbox(self.settings.send_timeout)
        self.requests = Requests()
        self.acks = sm.StreamManagement()
        self.inbox.reset(self.acks)
        self.unanswered_resumptions = 0
        self._written: list[str] = []
        self._unasked = 0
        self._forget_questions()
        self.online = self.ready = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the connection belongs to.

        :raises NotConnected: if there never was one.
        """
        if self._loop is None:
            raise NotConnected(OFFLINE)
        return self._loop

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    # -- for the features

    def post(self, stanza: Stanza) -> None:
        """Write a stanza without waiting for anything.

        :raises NotConnected: if there is no connection.
        :raises InvalidArgument: if it can't be written.
        """
        self._check_online()
        self.write(Outgoing(self._checked(stanza)))

    def _checked(self, stanza: Stanza) -> str:
        xml = xml_of(stanza)
        if size := self._too_long(xml):
            raise InvalidArgument("stanza", f"takes {size} bytes, but may have at most {self.max_size}")
        return xml

    async def post_and_wait(self, stanza: Stanza) -> None:
        """Write a stanza and wait until the server has it. It does not survive the loss of the session.

        :raises NotConnected: if there is no connection, or it is lost first.
        :raises InvalidArgument: if it can't be written.
        """
        self._check_online()
        future: asyncio.Future[None] = self.loop.create_future()

        def settled(error: ChatError | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        self.write(Outgoing(self._checked(stanza), on_result=settled))
        await future

    def request(
        self,
        stanza: Any,
        what: str,
        timeout: float | None = None,
        then: Callable[[Stanza], None] | None = None,
        refusal: type[RequestRefused] = RequestRefused,
    ) -> Awaitable[Stanza]:
        """Write a request at once, and return an awaitable for the answer.

        :param what: what is requested, for error messages.
        :param timeout: seconds; default: the chat's.
        :param then: called with the answer before the next stanza is processed.
        :param refusal: what to raise if the answer is an error.
        :raises RequestRefused: if the answer is an error.
        :raises RequestUnanswered: if no answer arrives in time.
        :raises DecodeError: if the answer can't be read.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        pending = self.requests.add(stanza, what, self.loop, then)
        try:
            self.post(stanza)
        except BaseException:
            self.requests.drop(stanza.id)
            raise
        seconds = self.settings.timeout if timeout is None else timeout
        return self.requests.answer(stanza, pending, seconds, refusal)

    def submit(self, item: Outgoing) -> None:
        """Send an item with an id now, or as soon as there is a session again.

        :raises NotConnected: if there is no session and none is being established.
        :raises InvalidArgument: if an item with the same id is on its way already.
        :raises MessageTooLong: if it is larger than a stanza may be.
        :raises OutboxFull: if too many items are on their way.
        """
        if not self.alive or self.loop.is_closed():
            raise NotConnected("the chat is not connected: call connect() first")
        if size := self._too_long(item.xml):
            raise MessageTooLong(item.message_id or "", size, self.max_size or 0)
        self.outbox.add(item, self.loop)
        self._pump()

    def _pump(self) -> None:
        """Write what waits, as long as the socket takes it."""
        while self.online and self.ready and self.stream is not None and self.stream.writable:
            item = self.outbox.next()
            if item is None:
                return
            self.write(item)

    def _too_long(self, xml: str) -> int:
        """Return the bytes of a stanza if they are more than it may have, otherwise 0."""
        limit = self.max_size
        if limit is None or len(xml) * 4 <= limit:  # UTF-8 takes at most four bytes for a character.
            return 0
        size = len(xml.encode())
        return size if size > limit else 0

    def reject(self, problem: str, element: Element | Stanza) -> None:
        """Report a stanza that is not trusted or can't be read. The connection is kept."""
        try:
            xml = element.to_xml() if isinstance(element, Stanza) else tostring(element, encoding="unicode")
        except RecursionError:
            xml = f"<{element.tag}>, which nests too deep"
        self.bus.emit(events.StanzaRejected(problem=problem, xml=xml[:1000]))

    def _check_online(self) -> None:
        if not self.online or self.loop.is_closed():
            raise NotConnected(OFFLINE)

    # -- for the driver

    @property
    def fenced(self) -> bool:
        """Whether nothing may be written any more."""
        return self.may_write is not None and not self.may_write()

    def learn(self, limits: StreamLimits | None) -> None:
        """Respect the limits that the server announces (XEP-0478)."""
        sizes = [self.settings.max_stanza_size, limits.max_bytes if limits is not None else None]
        # RFC 6120 section 13.12: a server must not set a lower limit than this.
        sizes[1] = max(sizes[1], LEAST_MAXIMUM) if sizes[1] is not None else None
        self.max_size = min((size for size in sizes if size is not None), default=None)

    def manage(self, event: sm.Event) -> None:
        """Pass an event to the stream management machine, and run its effects."""
        for effect in self.acks.handle(event):
            self._effects[type(effect)](effect)

    def resume_writing(self) -> None:
        """Write the items that waited for the session."""
        self.ready = True
        if self.stream is not None:
            self.stream.on_writable = self._pump
        self._pump()

    def interrupt(self) -> None:
        """Stop writing: the connection is lost. The session may still be resumed."""
        self.inbox.read_over()
        self.inbox.forget()
        self.online = False
        self._clear_batch()
        self._forget_questions()
        condition = self.stream.refused if self.stream is not None else ""
        if condition in OVER_A_STANZA:
            # A resumed session would begin with what ended this one.
            culprit = self.outbox.suspect(tuple(self.acks.queue))
            self.manage(sm.Stop())
            if culprit:
                logger.warning("the server closes the stream over message %s: %s", culprit, condition)
                fault = StanzaFault(type="modify", condition=condition, text="the server closes the stream over it")
                self.outbox.refuse(culprit, MessageRefused(culprit, fault))
        elif self._neglected:
            self.manage(sm.Stop())
        elif self.acks.state is not sm.State.OFF:
            self.manage(sm.Suspended())

    def farewell(self) -> None:
        """Write what is left and acknowledge what was received, before the stream is closed.

        The server would send again what it does not know to be received (XEP-0198 section 4).
        """
        self.flush()
        if self.acks.state is sm.State.ON:
            self.manage(sm.ASKED)
        self.online = False

    def begin(self, jid: str) -> None:
        """Begin a new session. Requests of the previous one will never be answered."""
        self.inbox.forget()
        self.ready = False
        self.unanswered_resumptions = 0
        self.jid = jid
        self.requests.fail()
        self.requests.own = frozenset(("", jid, jid.partition("/")[0], self.settings.addresses.host))

    def end(self, problem: str) -> None:
        """Fail everything that is on its way: there will be no further session."""
        self.alive = self.online = self.ready = False
        self._clear_batch()
        self._forget_questions()
        self.manage(sm.Stop())
        self.requests.fail()
        self.outbox.fail(NotConnected(problem))

    # -- inbound

    def element(self, element: Element) -> None:
        """Process an element of a session."""
        tag = element.tag
        if tag in STANZAS:  # Only these count (XEP-0198 section 4).
            self.inbox.count()
        elif tag == ACK_REQUEST:
            self.inbox.answer()
            return
        self.dispatch(element)

    def dispatch(self, element: Element) -> None:
        """Process an element that is not counted, or has been."""
        try:
            stanza = parse(element)
        except StanzaError as error:
            self._unreadable(str(error), element)
            rest = readable_part(element, error)
            if rest is not None:
                self.dispatch(rest)
            return
        if isinstance(stanza, Ack):
            if self.acks.state is sm.State.ON:
                self.manage(sm.Acked(h=stanza.h))
            return
        try:
            if element.tag != IQ or not self.requests.take(element, stanza):
                self.receive(stanza)
        except Exception:
            # A bug in our code for one stanza must not cost the connection, and all other stanzas with it.
            logger.exception("a %s could not be handled", type(stanza).__name__)
        if self.bus.stanzas and element.tag in STANZAS:
            self.bus.emit(stanza)

    def _unreadable(self, problem: str, element: Element) -> None:
        """Report it. Even an unreadable request must be answered (RFC 6120 section 8.3.3.1)."""
        request_id = element.get("id")
        if element.tag == IQ:
            self.requests.unreadable(element, problem)
        if element.tag == IQ and element.get("type") in ("get", "set") and request_id:
            fault = StanzaFault(type="modify", condition="bad-request")
            self.post(IqError(id=request_id, to=element.get("from"), error=fault))
        self.reject(problem, element)

    # -- outbound

    def write(self, item: Outgoing) -> None:
        """Write an item with the next batch."""
        if not self._written:
            self.loop.call_soon(self.flush)
        item.written = True
        self.acks.handle(sm.Sent(item))
        self._append(item)

    def _append(self, item: Outgoing) -> None:
        self._written.append(item.xml)
        self._unasked += len(item.xml)
        if len(self._written) >= BATCH or self._unasked >= SEGMENT:
            self.flush()

    def flush(self) -> None:
        """Pass the batch to the socket, and ask for its acknowledgement."""
        written = self._written
        if not written or self.stream is None:
            return
        self.manage(sm.FLUSHED)
        if self._unasked >= SEGMENT and self.acks.state is sm.State.ON:
            self._write_request(None)
        text = "".join(written)
        written.clear()
        self.stream.send_raw(text)
        if self._neglected:
            logger.warning("the server leaves more than %d stanzas unacknowledged", MOST_UNACKNOWLEDGED)
            self.stream.fail("resource-constraint")

    @property
    def _neglected(self) -> bool:
        return len(self.acks.queue) - len(self.outbox.pending) > MOST_UNACKNOWLEDGED

    def _clear_batch(self) -> None:
        self._written.clear()
        self._unasked = 0

    def _forget_questions(self) -> None:
        self.asked_at: float | None = None
        self.burden = 0

    def _ask(self) -> None:
        """Note that the server was asked something that it answers when it has read what was written so far."""
        self.burden = max(self.burden, self._unasked)
        self._unasked = 0
        if self.asked_at is None:
            self.asked_at = self.loop.time()
            self.on_asked(self.asked_at)

    def _raw(self, xml: str) -> None:
        """Write what is not counted, behind the current batch if there is one."""
        if self._written:
            self._written.append(xml)
        elif self.stream is not None:
            self.stream.send_raw(xml)

    # -- effects of the stream management machine

    def _write_enable(self, effect: sm.WriteEnable) -> None:
        self._raw(Enable(resume=effect.resume).to_xml())

    def _write_resume(self, effect: sm.WriteResume) -> None:
        self._raw(Resume(previd=effect.previous, h=effect.h).to_xml())

    def _write_answer(self, effect: sm.WriteAnswer) -> None:
        self._raw(Ack(h=effect.h).to_xml())

    def _write_request(self, _: sm.WriteRequest | None) -> None:
        self._ask()
        self._raw(REQUEST_XML)

    def _write_ping(self, effect: sm.WritePing) -> None:
        """Ping the server in place of a request for acknowledgement.

        A server processes a stream in order (RFC 6120 section 10.1), so any answer, even an error, proves that
        everything before the ping was handled.
        """
        ping = PingRequest(id=self.ids.request(), to=self.settings.addresses.host, ping=Ping())

        def answered(done: asyncio.Future[Stanza]) -> None:
            self.requests.drop(ping.id)
            if not done.cancelled() and done.exception() is None and self.acks.state is sm.State.PINGING:
                self.manage(sm.Acked(h=effect.h))

        self._ask()
        self.requests.add(ping, "a ping", self.loop).future.add_done_callback(answered)
        self._raw(ping.to_xml())

    def _acknowledged(self, effect: sm.Acknowledged) -> None:
        now = self.loop.time()
        if self.acks.queue:
            self.asked_at = now
        else:
            self._forget_questions()
        self.outbox.acknowledged(effect.items, now)
        self._pump()

    def _resend(self, effect: sm.Resend) -> None:
        for item in effect.items:
            if isinstance(item, Outgoing):
                self._append(item)
        self.flush()

    def _requeue(self, effect: sm.Requeue) -> None:
        self.outbox.requeue(effect.items)

    def _violated(self, effect: sm.Violated) -> None:
        logger.warning("the server acknowledged stanza %d, but only %d were sent", effect.h, effect.sent)
        if self.stream is not None and self.online:
            # XEP-0198 section 4 asks for undefined-condition with a condition of its own that says what is wrong.
            self.stream.fail("undefined-condition", "<handled-count-too-high xmlns='urn:xmpp:sm:3'/>")


def _ignore(_: object) -> None:
    """Nothing is received before the features are attached."""
