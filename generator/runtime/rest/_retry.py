"""Decide which failed calls to retry. The backoff comes from httpx-retries."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import httpx

from . import errors
from ._names import PackageError

if TYPE_CHECKING:
    from ._backoff import Backoff
    from ._call import Call

BACKOFF_FACTOR: Final = 0.25
"""Seconds; doubles with every attempt, with full jitter."""
LONGEST_WAIT: Final = 30.0
"""Seconds that one wait may last; a longer `Retry-After` ends the retries."""
LONGEST_TOTAL: Final = 60.0
"""Seconds that all waits of one call may last together."""

HOPELESS: Final = (httpx.UnsupportedProtocol, httpx.DecodingError, httpx.LocalProtocolError)
"""Failures that a retry would only repeat."""

NOT_REACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before any byte was sent: every call may be retried after them."""

RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which a call may be repeated."""

CUT: Final = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)
"""How a broken connection shows under TLS."""


def first(max_retries: int) -> Backoff:
    """Return the retry state of a call that has failed for the first time."""
    # Imported late, so that only a failing call pays for the import.
    from ._backoff import Backoff

    return Backoff(
        total=max_retries,
        retry_on_exceptions=(httpx.TransportError,),
        backoff_factor=BACKOFF_FACTOR,
        max_backoff_wait=LONGEST_WAIT,
        total_timeout=LONGEST_TOTAL,
    )


def after_error(call: Call[Any], error: httpx.HTTPError, retry: Backoff | None, max_retries: int) -> Backoff | None:
    """Return the state of the next attempt after a network failure, `None` to give up."""
    if isinstance(error, HOPELESS) or _tls(error) is not None:
        return None
    # A stream can be sent again only if none of it was sent.
    streams = call.content is not None or call.form is not None
    if (streams or not call.operation.idempotent) and not isinstance(error, NOT_REACHED):
        return None
    retry = retry or first(max_retries)
    if retry.is_exhausted() or not retry.is_retryable_exception(error):
        return None
    return retry.increment()


def after_status(call: Call[Any], response: httpx.Response, retry: Backoff | None, max_retries: int) -> Backoff | None:
    """Return the state of the next attempt after a response, `None` to accept it."""
    # A call that was refused with 429 has not been processed.
    repeatable = call.operation.idempotent or response.status_code == 429
    if response.status_code not in RETRIED or not repeatable or call.content is not None or call.form is not None:
        return None
    retry = retry or first(max_retries)
    asked = errors.retry_after(response.headers) or 0.0
    if retry.is_exhausted() or asked > min(LONGEST_WAIT, LONGEST_TOTAL - retry.elapsed_sleep):
        return None
    following = retry.increment()
    following.asked = asked
    return following


def deleted(call: Call[Any], response: httpx.Response, repeated: bool) -> httpx.Response:
    """Return a success for a repeated deletion that finds nothing: an earlier attempt has done it."""
    if repeated and response.status_code == 404 and call.operation.method == "DELETE" and call.operation.parse is None:
        return httpx.Response(204, request=response.request)
    return response


def translate(call: Call[Any], error: Exception) -> PackageError:
    """Return this package's exception for a network failure."""
    name = call.operation.name
    tls = _tls(error)
    _bare(error)
    found: PackageError
    if isinstance(error, httpx.TimeoutException):
        found = errors.RequestTimeout(f"{name} got no response in time ({type(error).__name__})")
    elif isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        if "too long" in str(error):
            check = "its path and query are too long; pass fewer ids or a shorter filter"
        else:
            check = "the storage's address is not valid" if call.operation.foreign else "check the base URL"
        found = errors.ConfigurationError(f"{name} can't be sent: {check}")
    elif isinstance(error, httpx.DecodingError):
        found = errors.DecodeError(f"the response to {name} has a content encoding that can't be decoded")
    elif tls is not None:
        reason = getattr(tls, "verify_message", "") or tls.reason or "handshake failed"
        found = errors.TlsFailed(f"{name} failed in the TLS handshake: {reason}")
    elif isinstance(error, httpx.LocalProtocolError):
        # Its message may quote a header of the caller's own HTTP client.
        found = errors.ConnectionFailed(f"{name} can't be sent: it breaks the rules of HTTP")
    else:
        found = errors.ConnectionFailed(f"{name} failed: {str(error) or type(error).__name__}")
    found.operation = name
    return found


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
