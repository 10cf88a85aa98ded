"""One attempt to connect, from the socket to the session, and the classification of its failures."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import StreamError

from ..errors import ConnectError, connect_error
from ..machines import connection as con
from ..machines.connection import Reason
from . import tls as _tls
from .negotiation import Login, Refusal, negotiate, reason_of
from .stream import Stream, StreamBroken
from .traffic import Traffic

__all__ = ["attempt", "broken", "condition_of"]


async def attempt(traffic: Traffic, step: Callable[[con.Event], None], *, known: bool) -> tuple[Stream, str | None]:
    """Connect and negotiate. The traffic has the stream as soon as it is open.

    :param step: called with each event of the connection machine.
    :param known: whether an earlier connection succeeded, so that TLS is known to work.
    :returns: the stream, and the full JID of a new session or `None` if the old one was resumed.
    :raises ConnectError: if anything fails.
    """
    settings = traffic.settings
    addresses = settings.addresses
    server = f"{addresses.host}:{settings.port}"
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
            stream = traffic.stream = await _open(traffic)
            step(con.Opened(starttls=settings.tls == "starttls"))
            return stream, await negotiate(stream, login, traffic, step)
    except TimeoutError as error:
        problem = f"{server} did not answer within {settings.timeout:g} seconds"
        raise connect_error(Reason.TIMEOUT, problem) from error
    except Refusal as error:
        raise connect_error(error.reason, str(error), error.condition) from error
    except StreamBroken as error:
        raise broken(error, server) from error
    except OSError as error:
        raise _of_socket(error, server, known) from error
    except ConnectyCubeError as error:
        raise connect_error(Reason.AUTHENTICATION, f"there is nothing to log in with: {error}") from error


async def _open(traffic: Traffic) -> Stream:
    """Open the TCP connection, and TLS if it comes first."""
    settings, loop = traffic.settings, traffic.loop
    stream = Stream(loop, settings.context, settings.addresses.host)
    # An IPv6 address has brackets in a JID (RFC 7622 section 3.2), but not where a socket is opened.
    host = settings.addresses.host.strip("[]")
    if settings.tls == "direct" and settings.context is not None:
        await _tls.connect(loop, stream, host, settings.port, settings.context)
    else:
        await loop.create_connection(lambda: stream, host, settings.port)
    return stream


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


def _of_socket(error: OSError, server: str, known: bool) -> ConnectError:
    """Return the error for a failure of the socket or of TLS.

    Where TLS has worked before, only a certificate that is no longer trusted is permanent. Anything else may be the
    network's fault, such as corrupted data, and a reconnecting chat must not give up over it.
    """
    reason = Reason.NETWORK
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = Reason.TLS
    elif isinstance(error, ssl.SSLError) and not known:
        broke_off = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        reason = Reason.NETWORK if broke_off else Reason.TLS
    words = getattr(error, "verify_message", "") or error.strerror or str(error) or type(error).__name__
    return connect_error(reason, f"no connection to {server}: {words}")
