"""How a stream begins and ends: header, TLS, login, resource, stream management, errors (RFC 6120 sections 4 to 7).

A table at the end of the class says which element is accepted in which phase. Any other element ends the stream.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar
from xml.etree.ElementTree import Element as XMLElement

from attrs import define, field

from connectycube.stanzas import (
    Abort,
    Ack,
    AckRequest,
    Auth,
    Bind,
    BindRequest,
    BindResult,
    BoundResource,
    Challenge,
    Element,
    Enable,
    Failed,
    Failure,
    Mechanisms,
    Proceed,
    Response,
    Resume,
    RosterVersioning,
    Session,
    SmFeature,
    Stanza,
    StanzaError,
    StartTls,
    StreamError,
    StreamFeatures,
    StreamLimits,
    Success,
    parse,
    raw,
)

from ..addresses import Addresses
from ..config import Limits
from ..faults import Faults
from ..journal import Journal
from . import sasl
from .chat import Chat
from .faults import StanzaRefused, error_to
from .links import Link
from .management import TooHigh
from .session import Session as Resource
from .xmlstream import CLIENT, Event, Header, StreamClosed, StreamFault

__all__ = ["Phase", "Stream"]

STANZAS = frozenset(f"{{{CLIENT}}}{name}" for name in ("message", "presence", "iq"))
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
SM = "{urn:xmpp:sm:3}"


class Phase(Enum):
    """How far a stream has got."""

    CONNECTED = "waiting for the header"
    OPEN = "waiting for a login"
    LOGGED_IN = "waiting for the header after the login"
    BINDING = "waiting for a resource"
    BOUND = "exchanging stanzas"
    CLOSED = "closed"


@define(eq=False)
class Stream:
    """One connection's stream."""

    _chat: Chat
    _logins: sasl.Logins
    _addresses: Addresses
    _limits: Limits
    _faults: Faults
    _journal: Journal
    _link: Link
    phase: Phase = field(default=Phase.CONNECTED, init=False)
    user_id: int | None = field(default=None, init=False)
    resource: Resource | None = field(default=None, init=False)
    _login: sasl.Login | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _answered: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._chat.streams.add(self)

    # -- sending

    @property
    def has_room(self) -> bool:
        """Whether the client has read most of what it was sent."""
        return self._link.has_room

    def send(self, element: Element) -> None:
        """Send a stanza or another element."""
        xml = element.to_xml()
        if self._link.open:
            self._note("out", xml)
            self._link.send(xml)

    def fail(self, condition: str, text: str | None = None, *details: str) -> None:
        """End with an error (RFC 6120 section 4.9)."""
        if self.phase is Phase.CLOSED:
            return
        if not self._answered:
            self._send_header()
        self.send(StreamError(condition=condition, text=text, unknown=details))
        self._end()

    def abort(self) -> None:
        """Break the connection without closing the stream, which may be resumed."""
        self._link.abort()

    def replaced(self) -> None:
        """End because another connection took the resource."""
        self.resource = None
        self.fail("conflict", "Replaced by a new connection")

    def _end(self) -> None:
        self.phase = Phase.CLOSED
        self._link.close()
        self._chat.streams.discard(self)
        resource, self.resource = self.resource, None
        if resource is not None:
            # A closed stream can't be resumed (XEP-0198 section 5).
            resource.stream = None
            self._chat.end(resource)

    def _send_header(self) -> None:
        self._answered = True
        self._note("out", self._link.send_header(self._addresses.host, secrets.token_urlsafe(12)))

    def _note(self, direction: Any, xml: str) -> None:
        name = None if self.resource is None else self.resource.resource
        self._journal.stanza(direction, xml, user_id=self.user_id, resource=name)

    # -- the link's side

    def handle(self, event: Event) -> None:
        """Handle what the client sent."""
        if self.phase is Phase.CLOSED:
            return
        match event:
            case Header():
                self._opened(event)
            case StreamClosed():
                self._end()
            case StreamFault(condition, text):
                self.fail(condition, text)
            case _:
                self._element(event)

    def _opened(self, header: Header) -> None:
        self._note("in", header.xml)
        self._send_header()
        version = (header.version or "").partition(".")[0]
        if header.fault is not None:
            self.fail(header.fault)
        elif self.phase not in (Phase.CONNECTED, Phase.LOGGED_IN):
            self.fail("bad-format", "the stream is already open")
        elif header.to is not None and header.to.lower() != self._addresses.host:
            self.fail("host-unknown")
        elif version != "1":
            self.fail("unsupported-version")
        else:
            self.phase = Phase.OPEN if self.phase is Phase.CONNECTED else Phase.BINDING
            self.send(self._features())

    def _features(self) -> StreamFeatures:
        if self.phase is Phase.OPEN:
            tls = None if self._link.start_tls is None or self._link.secure else StartTls()
            return StreamFeatures(mechanisms=Mechanisms(mechanisms=sasl.MECHANISMS), starttls=tls)
        # Compression is never offered (U-54).
        return StreamFeatures(
            sm=SmFeature(),
            rosterver=RosterVersioning(),
            bind=Bind(),
            session=Session(optional=True),
            limits=StreamLimits(max_bytes=self._limits.stanza_bytes),
        )

    def _element(self, element: XMLElement) -> None:
        is_stanza = element.tag in STANZAS
        if is_stanza and self._faults.take_chat("drop_next"):
            self.abort()
            return
        self._note("in", raw(_flat(element) if element.tag.startswith(SASL) else element))
        if is_stanza and self.resource is not None:
            self._chat.receive(self.resource, element)
            return
        try:
            stanza = parse(element)
        except StanzaError:
            self._malformed(element)
            return
        step = self._steps.get((self.phase, type(stanza)))
        if step is not None:
            step(self, stanza)
        else:
            self._unwelcome(element)

    def drained(self) -> None:
        """Send more, if more waits and there is room."""
        if self.resource is not None:
            self.resource.go_on()

    def lost(self) -> None:
        """Handle the loss of the connection."""
        self.phase = Phase.CLOSED
        self._chat.streams.discard(self)
        resource, self.resource = self.resource, None
        if resource is not None:
            resource.detach()

    # -- elements that are not accepted

    def _malformed(self, element: XMLElement) -> None:
        if element.tag.startswith(SASL) and self.phase is Phase.OPEN:
            self._login_failed("incorrect-encoding" if element.get("mechanism") else "malformed-request")
        elif element.tag in STANZAS and self.phase is Phase.BINDING:
            self._refuse(element, StanzaRefused("bad-request"))
        elif element.tag.startswith(SM):
            self.send(Failed(condition="bad-request"))
        else:
            self._unwelcome(element)

    def _refuse(self, element: XMLElement, refused: StanzaRefused) -> None:
        """Answer a stanza that came before the resource was bound."""
        assert self.user_id is not None
        answer = error_to(element, self._addresses.user(self.user_id), refused)
        if answer is not None:
            self.send(answer)

    def _unwelcome(self, element: XMLElement) -> None:
        if element.tag in (f"{SM}enable", f"{SM}resume"):
            self.send(Failed(condition="unexpected-request"))
        elif element.tag in STANZAS:
            self.fail("not-authorized")
        elif element.tag.rpartition("}")[2] in ("message", "presence", "iq"):
            self.fail("invalid-namespace")
        elif self.phase is Phase.CONNECTED:
            self.fail("bad-format", "the stream is not open")
        else:
            self.fail("unsupported-stanza-type")

    # -- TLS and login

    def _start_tls(self, wish: StartTls) -> None:
        start = self._link.start_tls
        if start is None or self._link.secure:
            self.fail("unsupported-stanza-type")
            return
        self.send(Proceed())
        self.phase = Phase.CONNECTED
        self._answered = False
        self._login = None
        start()

    def _begin_login(self, auth: Auth) -> None:
        if self._faults.take_chat("refuse_auth"):
            self._login_failed("not-authorized")
            return
        try:
            self._login = self._logins.begin(auth.mechanism)
        except sasl.LoginFailed as failed:
            self._login_failed(failed.condition)
            return
        if auth.data is None:
            self.send(Challenge())
        else:
            self._go_on(auth.data)

    def _respond(self, response: Response) -> None:
        if self._login is None:
            self._login_failed("malformed-request")
        else:
            self._go_on(response.data or b"")

    def _go_on(self, data: bytes) -> None:
        assert self._login is not None
        try:
            step = self._login(data)
        except sasl.LoginFailed as failed:
            self._login_failed(failed.condition)
            return
        if isinstance(step, bytes):
            self.send(Challenge(data=step))
            return
        self._login = None
        self.user_id = step.user_id
        self.send(Success(data=step.data))
        self.phase = Phase.LOGGED_IN
        self._answered = False
        self._link.restart()

    def _abort_login(self, abort: Abort) -> None:
        self._login_failed("aborted")

    def _login_failed(self, condition: str) -> None:
        self._login = None
        self._failures += 1
        self.send(Failure(condition=condition))
        if self._failures >= self._limits.sasl_failures:
            self.fail("policy-violation", "too many failed logins")

    # -- resource and management

    def _bind(self, request: BindRequest) -> None:
        assert self.user_id is not None
        try:
            resource = self._chat.bind(self, self.user_id, request.bind.resource)
        except StanzaRefused as refused:
            self._refuse(request.to_element(), refused)
            return
        self.resource = resource
        self.phase = Phase.BOUND
        self.send(BindResult(id=request.id, to=resource.jid, bind=BoundResource(jid=resource.jid)))

    def _enable(self, wish: Enable) -> None:
        assert self.resource is not None
        if self.resource.management is not None:
            self.send(Failed(condition="unexpected-request"))
        else:
            self.send(self.resource.enable(wish.resume, wish.max))

    def _resume(self, wish: Resume) -> None:
        assert self.user_id is not None
        resource = self._chat.router.managed(self.user_id, wish.previd)
        if resource is None:
            self.send(Failed(condition="item-not-found"))
            return
        if self._faults.take_chat("refuse_resume"):
            handled = None if resource.management is None else resource.management.handled
            old = resource.stream
            self._chat.end(resource)
            if old is not None:
                old.abort()
            self.send(Failed(condition="item-not-found", h=handled))
            return
        self.resource = resource
        self.phase = Phase.BOUND
        try:
            resource.attach(self, wish.h)
        except TooHigh as error:
            self.resource = None
            self._too_high(error)

    def _confirm(self, ack: Ack) -> None:
        assert self.resource is not None
        try:
            self.resource.acknowledged(ack.h)
        except TooHigh as error:
            self._too_high(error)

    def _too_high(self, error: TooHigh) -> None:
        detail = f'<handled-count-too-high xmlns="urn:xmpp:sm:3" h="{error.h}" send-count="{error.sent}"/>'
        self.fail("undefined-condition", None, detail)

    def _answer(self, request: AckRequest) -> None:
        assert self.resource is not None
        if self.resource.management is not None:
            self.send(Ack(h=self.resource.management.handled))

    _steps: ClassVar[dict[tuple[Phase, type[Stanza]], Callable[[Stream, Any], None]]] = {
        (Phase.OPEN, StartTls): _start_tls,
        (Phase.OPEN, Auth): _begin_login,
        (Phase.OPEN, Response): _respond,
        (Phase.OPEN, Abort): _abort_login,
        (Phase.BINDING, BindRequest): _bind,
        (Phase.BINDING, Resume): _resume,
        (Phase.BOUND, Enable): _enable,
        (Phase.BOUND, AckRequest): _answer,
        (Phase.BOUND, Ack): _confirm,
    }
    """What is accepted when. The stanzas of a bound stream go to the chat."""


def _flat(element: XMLElement) -> XMLElement:
    """Return a login's element without children, so that the journal finds the secret to mask."""
    flat = XMLElement(element.tag, element.attrib)
    flat.text = element.text
    return flat
