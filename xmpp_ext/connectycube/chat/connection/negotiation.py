"""From a TCP connection to a session: STARTTLS, SASL, resumption or binding, stream management (RFC 6120 section 4.3).

Straight-line code over `Stream.next`; what it learns goes to the machines through `Steps`.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from attrs import field, frozen

from connectycube.stanzas import (
    Auth,
    Bind,
    BindRequest,
    BindResult,
    Challenge,
    Enabled,
    Failed,
    Failure,
    IqError,
    IqResult,
    Proceed,
    Response,
    Resumed,
    Session,
    SessionRequest,
    Stanza,
    StanzaError,
    StartTls,
    StreamError,
    StreamFeatures,
    Success,
)

from ..machines import connection
from ..machines import stream_management as sm
from ..machines.connection import Reason
from .sasl import MechanismError, choose
from .stream import Stream

__all__ = ["Login", "Refusal", "negotiate", "reason_of"]

S = TypeVar("S", bound=Stanza)

STREAM_REASONS: Final[dict[str, Reason]] = {
    "conflict": Reason.CONFLICT,
    "not-authorized": Reason.AUTHENTICATION,
    "policy-violation": Reason.POLICY,
    "host-unknown": Reason.PROTOCOL,
    "host-gone": Reason.PROTOCOL,
    "improper-addressing": Reason.PROTOCOL,
    "invalid-namespace": Reason.PROTOCOL,
    "unsupported-encoding": Reason.PROTOCOL,
    "unsupported-feature": Reason.PROTOCOL,
    "unsupported-stanza-type": Reason.PROTOCOL,
    "unsupported-version": Reason.PROTOCOL,
}
"""Stream errors that would come again (RFC 6120 section 4.9.3); all others may pass and are tried again."""


class Refusal(Exception):
    """The server refused, or there is no way that this client may go.

    :ivar reason: what kind of failure it is.
    :ivar condition: the server's word for it.
    """

    def __init__(self, reason: Reason, problem: str, condition: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.condition = condition


@frozen(kw_only=True)
class Login:
    """What to log in with.

    :ivar username: the local part of the user's address.
    :ivar secret: gives the password or token as it is now.
    :ivar renew: tries to get another one where that is refused; tells whether there is one.
    :ivar resource: the name of this device; `None` lets the server make one.
    :ivar starttls: the TLS context of STARTTLS; `None` does without it.
    :ivar plain: the password may be shown to the server.
    """

    username: str
    secret: Callable[[], str] = field(repr=False)
    renew: Callable[[], Awaitable[bool]] = field(repr=False)
    resource: str | None
    starttls: ssl.SSLContext | None
    plain: bool


class Steps(Protocol):
    """Where the negotiation tells how far it is."""

    managed: bool
    """The user wants stream management."""

    @property
    def acks(self) -> sm.StreamManagement:
        """The machine of stream management."""
        ...

    def step(self, event: connection.Event) -> None:
        """Tell the connection machine."""

    def acknowledge(self, event: sm.Event) -> None:
        """Tell the machine of stream management and do what it wants."""


def reason_of(error: StreamError | None) -> Reason:
    """What kind of failure a stream error is; without one the network's."""
    return Reason.NETWORK if error is None else STREAM_REASONS.get(str(error.condition or ""), Reason.STREAM)


async def negotiate(stream: Stream, login: Login, steps: Steps, request_id: Callable[[], str]) -> str | None:
    """Negotiate a stream up to the session.

    :returns: the full JID of a new session, `None` if the old one was resumed.
    :raises Refusal: if the server refuses.
    :raises StreamBroken: if the stream ends before.
    :raises OSError: if the TLS handshake fails.
    """
    features = await _expect(stream, StreamFeatures)
    if login.starttls is not None:
        features = await _secure(stream, features, login.starttls)
        steps.step(connection.Secured())
    if features.mechanisms is None:
        raise Refusal(Reason.PROTOCOL, "the server offers no way to authenticate")
    await _authenticate(stream, features.mechanisms.mechanisms, login)
    steps.step(connection.Authenticated())
    features = await _expect(stream, StreamFeatures)
    offered = features.sm is not None and steps.managed
    if steps.acks.state is sm.State.SUSPENDED and offered and await _resume(stream, steps):
        return None
    jid = await _bind(stream, features, login, request_id)
    steps.acknowledge(sm.Start(managed=offered, resume=True))
    if offered:
        await _enable(stream, steps)
    return jid


async def _expect(stream: Stream, cls: type[S]) -> S:
    found = await _next(stream)
    if not isinstance(found, cls):
        raise Refusal(Reason.PROTOCOL, f"the server sent {type(found).__name__} in place of {cls.__name__}")
    return found


async def _next(stream: Stream) -> Stanza:
    try:
        return await stream.next()
    except StanzaError as error:
        raise Refusal(Reason.PROTOCOL, f"the server sent what can't be read: {error}") from error


def _write(stream: Stream, stanza: Stanza) -> None:
    stream.send_raw(stanza.to_xml())


async def _secure(stream: Stream, features: StreamFeatures, context: ssl.SSLContext) -> StreamFeatures:
    """STARTTLS (RFC 6120 section 5). A server that does not offer it may be someone in between who took it out."""
    if features.starttls is None:
        raise Refusal(Reason.TLS, "the server offers no STARTTLS")
    _write(stream, StartTls())
    answer = await _next(stream)
    if not isinstance(answer, Proceed):  # Such as a TlsFailure.
        raise Refusal(Reason.TLS, "the server refused STARTTLS")
    await stream.secure(context)
    return await _expect(stream, StreamFeatures)


async def _authenticate(stream: Stream, offered: tuple[str, ...], login: Login) -> None:
    """SASL (RFC 6120 section 6). After a refusal a token that has been renewed is tried, on the same stream."""
    try:
        await _log_in(stream, offered, login)
    except Refusal as error:
        if error.reason is not Reason.AUTHENTICATION or not error.condition or not await login.renew():
            raise
        await _log_in(stream, offered, login)
    stream.restart()


async def _log_in(stream: Stream, offered: tuple[str, ...], login: Login) -> None:
    try:
        mechanism = choose(offered, login.username, login.secret(), plain=login.plain)
        _write(stream, Auth(mechanism=mechanism.name, data=mechanism.step(None)))
        while True:
            answer = await _next(stream)
            if isinstance(answer, Challenge):
                _write(stream, Response(data=mechanism.step(answer.data)))
            elif isinstance(answer, Success):
                mechanism.end(answer.data)
                return
            elif isinstance(answer, Failure):
                raise _sasl_refusal(answer, login.username)
            else:
                raise Refusal(Reason.PROTOCOL, f"the server sent {type(answer).__name__} while authenticating")
    except MechanismError as error:
        raise Refusal(Reason.AUTHENTICATION, str(error)) from error


def _sasl_refusal(failure: Failure, username: str) -> Refusal:
    condition = str(failure.condition or "not-authorized")
    # RFC 6120 section 6.5.10: the one failure that passes.
    reason = Reason.STREAM if condition == "temporary-auth-failure" else Reason.AUTHENTICATION
    words = f"{condition} ({failure.text})" if failure.text else condition
    return Refusal(reason, f"the server refused user {username}: {words}", condition)


async def _resume(stream: Stream, steps: Steps) -> bool:
    """Take up the old session (XEP-0198 section 5)."""
    steps.acknowledge(sm.Resume())
    answer = await _next(stream)
    if isinstance(answer, Resumed):
        steps.acknowledge(sm.Resumed(h=answer.h))
        if steps.acks.state is not sm.State.ON:
            raise Refusal(Reason.STREAM, "the server acknowledged more than was sent")
        return True
    if not isinstance(answer, Failed):
        raise Refusal(Reason.PROTOCOL, f"the server sent {type(answer).__name__} in answer to a resumption")
    steps.acknowledge(sm.Failed(h=answer.h))
    return False


async def _bind(stream: Stream, features: StreamFeatures, login: Login, request_id: Callable[[], str]) -> str:
    """Bind a resource (RFC 6120 section 7) and, where an older server insists on it, begin a session (K-06)."""
    number = request_id()
    _write(stream, BindRequest(id=number, bind=Bind(resource=login.resource)))
    answer: Any = await _answer(stream, number)
    if not isinstance(answer, BindResult):
        raise Refusal(Reason.PROTOCOL, "the server bound no resource")
    if features.session is not None and not features.session.optional:
        number = request_id()
        _write(stream, SessionRequest(id=number, session=Session()))
        await _answer(stream, number)
    return answer.bind.jid


async def _answer(stream: Stream, number: str) -> Stanza:
    while True:
        answer = await _next(stream)
        if isinstance(answer, IqError) and answer.id == number:
            condition = str(answer.error.condition or "") if answer.error is not None else ""
            # RFC 6120 section 7.7.2.1: too many resources, which may pass.
            reason = {"conflict": Reason.CONFLICT, "resource-constraint": Reason.STREAM}.get(condition, Reason.POLICY)
            raise Refusal(reason, f"the server bound no resource: {condition or 'no reason given'}", condition)
        if isinstance(answer, (BindResult, IqResult)) and answer.id == number:
            return answer
        stream.put_back()


async def _enable(stream: Stream, steps: Steps) -> None:
    """Switch stream management on (XEP-0198 section 3)."""
    while True:
        answer = await _next(stream)
        if isinstance(answer, Enabled):
            resumable = answer.id if answer.resume else None
            steps.acknowledge(sm.Enabled(resume_id=resumable))
            return
        if isinstance(answer, Failed):
            steps.acknowledge(sm.Failed(h=None))
            return
        stream.put_back()
