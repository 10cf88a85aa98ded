"""Decide which failed calls to retry. The backoff comes from httpx-retries."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import httpx

from . import errors
from ._names import PackageError

if TYPE_CHECKING:
    from httpx_retries import Retry

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

CUT: Final = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)
"""How a broken connection shows under TLS."""


def first(max_retries: int) -> Retry:
    """Return the retry state of a call that has failed for the first time."""
    # Imported late, so that only a failing call pays for the import.
    from httpx_retries import Retry

    return Retry(
        total=max_retries,
        retry_on_exceptions=(httpx.TransportError,),
        backoff_factor=BACKOFF_FACTOR,
        max_backoff_wait=LONGEST_WAIT,
        total_timeout=LONGEST_TOTAL,
    )


def after_error(call: Call[Any], error: httpx.HTTPError, retry: Retry | None, max_retries: int) -> Retry | None:
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


def after_status(call: Call[Any], response: httpx.Response, retry: Retry | None, max_retries: int) -> Retry | None:
    """Return the state of the next attempt after a response, `None` to accept it."""
    status = response.status_code
    if not (status in (408, 429) or status >= 500) or not call.operation.idempotent:
        return None
    retry = retry or first(max_retries)
    if retry.is_exhausted() or _asked(response, retry) > min(LONGEST_WAIT, LONGEST_TOTAL - retry.elapsed_sleep):
        return None
    return retry.increment()


def _asked(response: httpx.Response, retry: Retry) -> float:
    """Return the seconds of the response's `Retry-After`."""
    try:
        return retry.parse_retry_after(response.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0


def translate(call: Call[Any], error: Exception) -> PackageError:
    """Return this package's exception for a network failure."""
    name = call.operation.name
    tls = _tls(error)
    _bare(error)
    found: PackageError
    if isinstance(error, httpx.TimeoutException):
        found = errors.RequestTimeout(f"{name} got no response in time ({type(error).__name__})")
    elif isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
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
