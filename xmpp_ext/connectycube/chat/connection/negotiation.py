"""From a TCP connection to a session: STARTTLS, SASL, resumption or binding, stream management (RFC 6120 section 4.3).

Straight-line code over `Stream.next`. Each step is reported to the machines, which own the state.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from attrs import field, frozen

from connectycube.rest import ConfigurationError, ConnectyCubeError
from connectycube.stanzas import (
    AckRequest,
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
from .sasl import HASHES, MechanismError, choose
from .stream import Refusal, Stream, StreamBroken
from .traffic import Traffic

__all__ = ["Login", "negotiate", "reason_of"]

S = TypeVar("S", bound=Stanza)

STREAM_REASONS: Final[dict[str, Reason]] = {
    "conflict": Reason.CONFLICT,
    "not-authorized": Reason.LOGIN,
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
"""Stream errors that are likely to recur on a first attempt (RFC 6120 section 4.9.3). All others may be temporary.

`not-authorized` is not about credentials, but servers also send it when an account is removed: the next login tells.
"""

BAD_CREDENTIALS: Final = frozenset(("account-disabled", "credentials-expired", "not-authorized"))
"""The failures that are about the user (RFC 6120 section 6.5). Others are about the mechanism, or the server."""

MOST_RESUMPTIONS: Final = 5
"""After as many resumptions in a row that got no answer, a new session begins: the old one may be what fails."""


@frozen(kw_only=True)
class Login:
    """What to log in with.

    :ivar username: the local part of the user's address.
    :ivar secret: returns the password or the current token.
    :ivar renew: tries to replace a refused token, and returns whether it did; raises `ConnectyCubeError` if the answer
        isn't known yet.
    :ivar resource: the name of this device; `None` lets the server choose one.
    :ivar starttls: the TLS context for STARTTLS; `None` to do without it.
    :ivar plain: whether the password may be revealed to the server.
    """

    username: str
    secret: Callable[[], str] = field(repr=False)
    renew: Callable[[str], Awaitable[bool]] = field(repr=False)
    resource: str | None
    starttls: ssl.SSLContext | None
    plain: bool


def reason_of(error: StreamError | None) -> Reason:
    """Return the reason for a stream error, or for its absence: the network."""
    return Reason.NETWORK if error is None else STREAM_REASONS.get(str(error.condition or ""), Reason.STREAM)


async def negotiate(
    stream: Stream, login: Login, traffic: Traffic, step: Callable[[connection.Event], None]
) -> str | None:
    """Negotiate a stream up to the session.

    :param step: called with each event of the connection machine.
    :returns: the full JID of a new session, or `None` if the old one was resumed.
    :raises Refusal: if the server refuses.
    :raises StreamBroken: if the stream ends first.
    :raises OSError: if the TLS handshake fails.
    """
    features = await _expect(stream, StreamFeatures)
    if login.starttls is not None:
        features = await _secure(stream, features, login.starttls)
        step(connection.Secured())
    if features.mechanisms is None:
        raise Refusal(Reason.PROTOCOL, "the server offers no way to authenticate")
    await _authenticate(stream, features.mechanisms.mechanisms, login, traffic)
    step(connection.Authenticated())
    features = await _expect(stream, StreamFeatures)
    traffic.learn(features.limits)
    offered = features.sm is not None and traffic.settings.stream_management
    if traffic.acks.state is sm.State.SUSPENDED and offered and traffic.unanswered_resumptions < MOST_RESUMPTIONS:
        traffic.unanswered_resumptions += 1
        resumed = await _resume(stream, traffic)
        traffic.unanswered_resumptions = 0
        if resumed:
            return None
    jid = await _bind(stream, features, login, traffic.ids.request)
    traffic.manage(sm.Start(managed=offered, resume=True))
    if offered:
        await _enable(stream, traffic)
    return jid


async def _expect(stream: Stream, cls: type[S]) -> S:
    found = await _next(stream)
    if not isinstance(found, cls):
        raise Refusal(Reason.PROTOCOL, f"the server sent {type(found).__name__} instead of {cls.__name__}")
    return found


async def _next(stream: Stream) -> Stanza:
    try:
        return await stream.next()
    except StanzaError as error:
        raise Refusal(Reason.PROTOCOL, f"the server sent something unreadable: {error}") from error


def _write(stream: Stream, stanza: Stanza) -> None:
    stream.send_raw(stanza.to_xml())


async def _secure(stream: Stream, features: StreamFeatures, context: ssl.SSLContext) -> StreamFeatures:
    """Negotiate STARTTLS (RFC 6120 section 5).

    A missing offer is an error: an attacker in the middle may have removed it.
    """
    if features.starttls is None:
        raise Refusal(Reason.TLS, "the server does not offer STARTTLS")
    _write(stream, StartTls())
    answer = await _next(stream)
    if not isinstance(answer, Proceed):  # Such as a TlsFailure.
        raise Refusal(Reason.TLS, "the server refused STARTTLS")
    await stream.upgrade(context)
    return await _expect(stream, StreamFeatures)


async def _authenticate(stream: Stream, offered: tuple[str, ...], login: Login, traffic: Traffic) -> None:
    """Authenticate (RFC 6120 section 6).

    After a refusal, a renewed token is tried on the same stream: RFC 6120 section 6.4.5 allows a second attempt.
    """
    secret = login.secret()
    failure = await _log_in(stream, offered, login, secret, traffic)
    if failure is not None and failure.condition != "temporary-auth-failure":
        try:
            renewed = await login.renew(secret)
        except ConfigurationError:
            raise  # There will be no fresh token.
        except ConnectyCubeError as error:
            # Whether the user may log in is not known before there is a fresh token.
            raise Refusal(Reason.NETWORK, f"the session of the REST client could not be renewed: {error}") from error
        if renewed:
            failure = await _log_in(stream, offered, login, login.secret(), traffic)
    if failure is not None:
        raise _sasl_refusal(failure, login.username)
    stream.restart()


async def _log_in(
    stream: Stream, offered: tuple[str, ...], login: Login, secret: str, traffic: Traffic
) -> Failure | None:
    """Run a mechanism, and return the server's refusal if there is one."""
    try:
        mechanism = choose(offered, login.username, secret, plain=login.plain, proven=traffic.scram)
        _write(stream, Auth(mechanism=mechanism.name, data=mechanism.step(None)))
        while True:
            answer = await _next(stream)
            if isinstance(answer, Challenge):
                # The key derivation would hold up the loop.
                _write(stream, Response(data=await asyncio.to_thread(mechanism.step, answer.data)))
            elif isinstance(answer, Success):
                mechanism.end(answer.data)
                traffic.scram = traffic.scram or mechanism.name in HASHES
                return None
            elif isinstance(answer, Failure):
                return answer
            else:
                raise Refusal(Reason.PROTOCOL, f"the server sent {type(answer).__name__} while authenticating")
    except MechanismError as error:
        raise Refusal(Reason.LOGIN, str(error)) from error


def _sasl_refusal(failure: Failure, username: str) -> Refusal:
    condition = str(failure.condition or "")
    reason = Reason.AUTHENTICATION if condition in BAD_CREDENTIALS else Reason.LOGIN
    if condition == "temporary-auth-failure":  # RFC 6120 section 6.5.10.
        reason = Reason.STREAM
    words = condition or "no reason given"
    if failure.text:
        words += f" ({failure.text})"
    return Refusal(reason, f"the server refused user {username}: {words}", condition)


async def _resume(stream: Stream, traffic: Traffic) -> bool:
    """Try to resume the old session (XEP-0198 section 5)."""
    traffic.manage(sm.Resume())
    try:
        h = await _resumption(stream)
    except (Refusal, StreamBroken) as error:
        # If the connection broke, the session can still be resumed. If the server objected, it would again.
        if isinstance(error, Refusal) or error.error is not None:
            traffic.manage(sm.Failed(h=None))
        raise
    if isinstance(h, Failed):
        traffic.manage(sm.Failed(h=h.h))
        return False
    traffic.manage(sm.Resumed(h=h))
    if traffic.acks.state is not sm.State.ON:
        raise Refusal(Reason.STREAM, "the server acknowledged more than was sent")
    return True


async def _resumption(stream: Stream) -> int | Failed:
    """Wait for the answer to a resumption.

    :returns: how many stanzas the server has handled, or its refusal. A refusal that can't be read in full is one, too.
    """
    while True:
        try:
            answer = await stream.next()
        except StanzaError as error:
            if stream.last_name == "failed":
                return Failed()
            raise Refusal(Reason.PROTOCOL, f"the server's answer to a resumption is unreadable: {error}") from error
        if isinstance(answer, Resumed):
            return answer.h
        if isinstance(answer, Failed):
            return answer
        if stream.last_name in ("iq", "message", "presence"):
            stream.put_back()
        elif not isinstance(answer, AckRequest):
            raise Refusal(Reason.PROTOCOL, f"the server answered a resumption with {type(answer).__name__}")


async def _bind(stream: Stream, features: StreamFeatures, login: Login, request_id: Callable[[], str]) -> str:
    """Bind a resource (RFC 6120 section 7) and, if an older server requires it, establish a session."""
    bind_id = request_id()
    _write(stream, BindRequest(id=bind_id, bind=Bind(resource=login.resource)))
    answer: Any = await _answer(stream, bind_id)
    if not isinstance(answer, BindResult):
        raise Refusal(Reason.PROTOCOL, "the server did not bind a resource")
    # K-06: RFC 3921 had sessions, and RFC 6121 marks them as optional.
    if features.session is not None and not features.session.optional:
        session_id = request_id()
        _write(stream, SessionRequest(id=session_id, session=Session()))
        await _answer(stream, session_id)
    return answer.bind.jid


async def _answer(stream: Stream, request_id: str) -> Stanza:
    """Wait for the answer to a request. Other stanzas are kept for the session: a server may send them early."""
    while True:
        answer = await _next(stream)
        if isinstance(answer, IqError) and answer.id == request_id:
            fault = answer.error
            condition = str(fault.condition or "") if fault is not None else ""
            reason = Reason.CONFLICT if condition == "conflict" else Reason.POLICY
            # RFC 6120 sections 7.6.2.1 and 8.3.2: too many resources, or whatever else may be temporary.
            if condition == "resource-constraint" or (fault is not None and fault.type == "wait"):
                reason = Reason.STREAM
            raise Refusal(reason, f"the server did not bind a resource: {condition or 'no reason given'}", condition)
        if isinstance(answer, (BindResult, IqResult)) and answer.id == request_id:
            return answer
        stream.put_back()


async def _enable(stream: Stream, traffic: Traffic) -> None:
    """Enable stream management (XEP-0198 section 3)."""
    while True:
        answer = await _next(stream)
        if isinstance(answer, Enabled):
            resumable = answer.id if answer.resume else None
            traffic.manage(sm.Enabled(resume_id=resumable))
            return
        if isinstance(answer, Failed):
            traffic.manage(sm.Failed(h=None))
            return
        stream.put_back()
