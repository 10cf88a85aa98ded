"""One attempt to connect, from the socket to the session, and the classification of its failures."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import StreamError

from .._settings import Settings
from ..errors import ConnectError, connect_error
from ..machines import connection as con
from ..machines.connection import Reason
from . import tls as _tls
from .dialing import Dialer, FencedSocket
from .negotiation import Login, negotiate, reason_of
from .stream import Refusal, Stream, StreamBroken
from .traffic import Traffic

__all__ = ["attempt", "broken", "condition_of"]

UNTRUSTED: Final = (18, 19, 20, 21)
"""OpenSSL's codes for a certificate from an unknown authority."""


async def attempt(traffic: Traffic, dialer: Dialer, step: Callable[[con.Event], None]) -> tuple[Stream, str | None]:
    """Connect and negotiate. The traffic has the stream as soon as it is open.

    :param dialer: opens the socket, and hears how the attempt ended.
    :param step: called with each event of the connection machine.
    :returns: the stream, and the full JID of a new session or `None` if the old one was resumed.
    :raises ConnectError: if anything fails.
    """
    settings = traffic.settings
    addresses = settings.addresses
    server = settings.server
    try:
        # The user must be known before anything is dialled: without a session there is nothing to log in with.
        login = Login(
            username=f"{traffic.credentials.fix()}-{addresses.app_id}",
            secret=traffic.credentials.secret,
            renew=traffic.credentials.renew,
            resource=settings.resource,
            starttls=settings.context if settings.tls == "starttls" else None,
            plain=settings.tls != "none" or settings.allow_insecure,
        )
        async with asyncio.timeout(settings.timeout):
            stream = traffic.stream = await _open(traffic, dialer)
            step(con.Opened(starttls=settings.tls == "starttls"))
            jid = await negotiate(stream, login, traffic, step)
            dialer.succeeded()
            return stream, jid
    except TimeoutError as error:
        dialer.failed()
        problem = f"{server} did not answer within {settings.timeout:g} seconds"
        raise connect_error(Reason.TIMEOUT, problem) from error
    except Refusal as error:
        dialer.failed()
        raise connect_error(error.reason, str(error), error.condition) from error
    except StreamBroken as error:
        dialer.failed()
        if error.error is not None and error.error.see_other_host is not None:
            dialer.redirect(error.error, secure=traffic.stream is not None and traffic.stream.secure)
        raise broken(error, server) from error
    except OSError as error:
        dialer.failed()
        raise _of_socket(error, settings) from error
    except ConnectyCubeError as error:
        raise connect_error(Reason.AUTHENTICATION, f"there is nothing to log in with: {error}") from error


async def _open(traffic: Traffic, dialer: Dialer) -> Stream:
    """Open the connection: TCP, TLS if it comes first, and the WebSocket if there is one."""
    settings, loop = traffic.settings, traffic.loop
    if traffic.fenced:
        raise ConnectionAbortedError("the fence is closed")
    sock = await dialer.dial()
    stream = Stream(loop, settings.context, settings.addresses.host, settings.certified)
    if traffic.may_write is not None:
        stream.may_write = traffic.may_write
        sock = FencedSocket(sock, traffic.may_write)
    if settings.url is None:
        await _start(traffic, stream, sock)
        return stream
    from .websocket import WebSocket  # Only now: most chats do without the library.

    websocket = WebSocket(stream, settings.url)
    try:
        await _start(traffic, websocket, sock)
        await websocket.opened
    except BaseException:
        websocket.abort()
        raise
    return stream


async def _start(traffic: Traffic, protocol: asyncio.BaseProtocol, sock: socket.socket) -> None:
    """Use a connected socket for a protocol, with TLS if that comes first."""
    settings, loop = traffic.settings, traffic.loop
    if settings.tls == "direct" and settings.context is not None:
        await _tls.connect(loop, protocol, settings.certified, sock, settings.context)
    else:
        await loop.create_connection(lambda: protocol, sock=sock)


def broken(error: StreamBroken, server: str) -> ConnectError:
    """Return the error for a stream that ended."""
    condition = words = ""
    if error.error is not None:
        condition = condition_of(error.error)
        words = f": {condition} ({error.error.text})" if error.error.text else f": {condition}"
    found = connect_error(reason_of(error.error), f"{server}: {error}{words}", condition)
    found.__cause__ = error
    return found


def condition_of(error: StreamError) -> str:
    """Return the condition of a stream error.

    `see-other-host` is the only one with a value (RFC 6120 section 4.9.3.19), so the stanza has it in another field.
    """
    return str(error.condition or "see-other-host")


def _of_socket(error: OSError, settings: Settings) -> ConnectError:
    """Return the error for a failure of the socket or of TLS."""
    broke_off = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    reason = Reason.TLS if isinstance(error, ssl.SSLError) and not broke_off else Reason.NETWORK
    words = getattr(error, "verify_message", "") or error.strerror or str(error) or type(error).__name__
    if settings.local and getattr(error, "verify_code", 0) in UNTRUSTED:
        words += (
            ". If it is a sandbox, set CONNECTYCUBE_CHAT_CA_FILE to its certificate authority, which is in "
            "`sandbox.ca_file`, or in the file given as `connectycube-sandbox --ca-file`"
        )
    return connect_error(reason, f"no connection to {settings.server}: {words}")
