"""One attempt to connect: from the socket to the session, and what kind of failure it was."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import StreamError

from ..errors import ConnectFailed, connect_error
from ..machines import connection as con
from ..machines.connection import Reason
from . import tls as _tls
from .negotiation import Login, Refusal, Steps, negotiate, reason_of
from .stream import Stream, StreamBroken

if TYPE_CHECKING:
    from .traffic import Wire

__all__ = ["attempt", "broken", "condition_of"]


async def attempt(
    wire: Wire, steps: Steps, opened: Callable[[Stream], None], *, known: bool
) -> tuple[Stream, str | None]:
    """Connect and negotiate.

    :param opened: is told of the stream as soon as there is one.
    :param known: a connection has stood before, so that TLS is known to work.
    :returns: the stream, and the full JID of a new session or `None` if the old one was resumed.
    :raises ConnectFailed: whatever goes wrong.
    """
    use = wire.settings
    server = f"{use.host}:{use.port}"
    try:
        # Who logs in is known before anything is dialled: without a session there is nothing to wait for.
        login = Login(
            username=f"{wire.credentials.user_id}-{use.app_id}",
            secret=wire.credentials.secret,
            renew=wire.credentials.renew,
            resource=use.resource,
            starttls=use.context if use.tls == "starttls" else None,
            plain=use.tls != "none" or use.allow_insecure,
        )
        async with asyncio.timeout(use.timeout):
            stream = await _open(wire)
            opened(stream)
            steps.step(con.Opened(starttls=use.tls == "starttls"))
            return stream, await negotiate(stream, login, steps, wire.ids.request)
    except TimeoutError as error:
        problem = f"{server} did not answer within {use.timeout:g} seconds"
        raise connect_error(Reason.TIMEOUT, problem) from error
    except Refusal as error:
        raise connect_error(error.reason, str(error), error.condition) from error
    except StreamBroken as error:
        raise broken(error, server) from error
    except OSError as error:
        raise _of_socket(error, server, known) from error
    except ConnectyCubeError as error:
        raise connect_error(Reason.AUTHENTICATION, f"there is nothing to log in with: {error}") from error


async def _open(wire: Wire) -> Stream:
    """The TCP connection, with TLS if it begins with that."""
    use, loop = wire.settings, wire.loop
    stream = Stream(loop, use.context, use.host)
    host = use.host.strip("[]")
    if use.tls == "direct" and use.context is not None:
        await _tls.connect(loop, stream, host, use.port, use.context)
    else:
        await loop.create_connection(lambda: stream, host, use.port)
    return stream


def broken(error: StreamBroken, server: str) -> ConnectFailed:
    """The error of a stream that ended."""
    condition = words = ""
    if error.error is not None:
        condition = condition_of(error.error)
        words = f": {condition} ({error.error.text})" if error.error.text else f": {condition}"
    found = connect_error(reason_of(error.error), f"{server}: {error}{words}", condition)
    found.__cause__ = error
    return found


def condition_of(error: StreamError) -> str:
    """The server's word for it: `see-other-host` alone has a value, and is read as a field of its own."""
    return str(error.condition or "see-other-host")


def _of_socket(error: OSError, server: str, known: bool) -> ConnectFailed:
    """What a socket or TLS says. Where TLS is known to work, only a certificate that is not trusted any more is worth
    giving up for; all else may be the network's doing."""
    reason = Reason.NETWORK
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = Reason.TLS
    elif isinstance(error, ssl.SSLError) and not known:
        broke_off = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        reason = Reason.NETWORK if broke_off else Reason.TLS
    words = getattr(error, "verify_message", "") or error.strerror or str(error) or type(error).__name__
    return connect_error(reason, f"no connection to {server}: {words}")
