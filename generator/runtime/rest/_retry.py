"""Decide which failed calls to retry, and after how long."""

from __future__ import annotations

import random
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

import httpx

from . import errors
from ._body import host_of
from ._deadline import earliest
from ._names import PackageError

if TYPE_CHECKING:
    from ._call import Call

BACKOFF: Final = 0.5
"""Seconds that the first wait may last; the limit doubles with each retry."""
LONGEST_WAIT: Final = 30.0
"""Seconds that one wait may last; a longer `Retry-After` ends the retries."""
LONGEST_TOTAL: Final = 60.0
"""Seconds that all waits of one call may last together."""

RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that a retry may get past. Other 5xx, such as 501, would only be repeated."""

HOPELESS: Final = (httpx.UnsupportedProtocol, httpx.DecodingError, httpx.LocalProtocolError)
"""Failures that a retry would only repeat."""

NOT_REACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before any byte was sent: every call may be retried after them."""

UNTRUSTED: Final = (18, 19, 20, 21)
"""OpenSSL's codes for a certificate from an unknown authority."""

CUT: Final = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)
"""How a broken connection shows under TLS."""


class Attempts:
    """The attempts of one call: the retries that are left, and the time.

    :param name: the call's name.
    :param most: the most retries.
    :param deadline: seconds for the whole call, waits included; `None` for no limit.
    """

    __slots__ = ("ends", "made", "most", "reached", "waited")

    def __init__(self, name: str, most: int, deadline: float | None) -> None:
        self.most = most
        self.ends = earliest(name, deadline)
        self.made = 0
        """How many retries there have been."""
        self.reached = False
        """Whether one of them may have taken effect."""
        self.waited = 0.0
        """The seconds that their waits have taken."""

    def pause(self, asked: float = 0.0) -> float | None:
        """Return the seconds to wait before the next retry, or `None` if there must be none.

        :param asked: the seconds that the server asks for; they are never cut short. Without them, the wait is random
            between 0 and a limit that doubles with each retry ("full jitter").
        """
        most = min(LONGEST_WAIT, LONGEST_TOTAL - self.waited)
        if self.ends is not None:
            most = min(most, self.ends.left())
        if self.made >= self.most or most <= 0 or asked > most:
            return None
        seconds = asked or random.uniform(0, min(BACKOFF * 2 ** min(self.made, 16), most))
        self.made += 1
        self.waited += seconds
        return seconds


def sleep(seconds: float) -> None:
    time.sleep(seconds)


async def asleep(seconds: float) -> None:
    # Imported late: the sync client does not need it.
    import asyncio

    await asyncio.sleep(seconds)


def after_error(call: Call[Any], error: Exception, attempts: Attempts) -> float | None:
    """Return the seconds to wait before retrying after a network failure, `None` to give up."""
    if not isinstance(error, httpx.TransportError) or isinstance(error, HOPELESS) or _tls(error) is not None:
        return None
    # A stream can be sent again only if none of it was sent.
    reached = not isinstance(error, NOT_REACHED)
    if not (call.repeatable and call.operation.idempotent) and reached:
        return None
    attempts.reached |= reached
    return attempts.pause()


def is_done(call: Call[Any], response: httpx.Response, attempts: Attempts) -> bool:
    """Return whether a deletion finds nothing because an earlier attempt, whose response was lost, has succeeded."""
    operation = call.operation
    return response.status_code == 404 and operation.method == "DELETE" and operation.parse is None and attempts.reached


def after_status(call: Call[Any], response: httpx.Response, attempts: Attempts) -> float | None:
    """Return the seconds to wait before retrying after a response, `None` to accept it."""
    status = response.status_code
    if status not in RETRIED:
        return None
    attempts.reached |= status != 429
    # 429 says that the request was not processed, so it is safe to repeat (RFC 6585 section 4), unless its body is a
    # stream that has been read.
    if not call.repeatable or (status != 429 and not call.operation.idempotent):
        return None
    return attempts.pause(errors.retry_after(response.headers) or 0.0)


def translate(call: Call[Any], error: Exception) -> PackageError:
    """Return this package's exception for a network failure."""
    name = call.operation.name
    tls = _tls(error)
    _bare(error)
    where = host_of(getattr(error, "_request", None))
    found: PackageError
    if isinstance(error, httpx.TimeoutException):
        found = errors.RequestTimeout(f"{name} got no response in time ({type(error).__name__}){where}")
    elif isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        check = "the storage's address is not valid" if call.operation.foreign else "check the base URL"
        found = errors.ConfigurationError(f"{name} can't be sent: {check}")
    elif isinstance(error, httpx.DecodingError):
        found = errors.DecodeError(f"the response to {name} has a content encoding that can't be decoded{where}")
    elif tls is not None:
        reason = getattr(tls, "verify_message", "") or tls.reason or "handshake failed"
        found = errors.TlsFailed(f"{name} failed in the TLS handshake: {errors.printable(reason)}{_hint(tls)}{where}")
    elif isinstance(error, httpx.LocalProtocolError):
        # Its message may quote a header of the caller's own HTTP client.
        found = errors.ConnectionFailed(f"{name} can't be sent: it breaks the rules of HTTP{where}")
    else:
        reason = errors.printable(str(error)) or type(error).__name__
        found = errors.ConnectionFailed(f"{name} failed: {reason}{where}")
    found.operation = name
    return found


def _hint(error: ssl.SSLError) -> str:
    """Return what may help against a TLS failure."""
    if error.reason == "WRONG_VERSION_NUMBER":
        return ": the server does not speak TLS, so check whether its address begins with http://"
    if getattr(error, "verify_code", 0) in UNTRUSTED:
        return ": if you trust its authority, set SSL_CERT_FILE to the file with the authority's certificate"
    return ""


def _tls(error: BaseException | None) -> ssl.SSLError | None:
    """Return the TLS failure behind an error, `None` if the connection merely broke."""
    for _ in range(8):
        if isinstance(error, ssl.SSLError):
            cut = isinstance(error, CUT) or "UNEXPECTED_EOF" in str(error)
            return None if cut else error
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return None


def _bare(error: Exception) -> None:
    """Remove headers, body and query from httpx's error, which keeps the request and with it its secrets."""
    request = getattr(error, "_request", None)
    if isinstance(error, httpx.RequestError) and request is not None:
        error.request = httpx.Request(request.method, request.url.copy_with(query=None, userinfo=b""))
