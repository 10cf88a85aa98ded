"""The exceptions that this package raises.

    the package's base error (`ConnectyCubeError`, or `ClientError` for other APIs)
    ├── ConfigurationError          the client is not set up for the call
    ├── InvalidArgument             an argument is invalid; nothing was sent (also a ValueError)
    ├── ConnectionFailed            no response, or only part of one
    │   └── TlsFailed               the certificate is not trusted, or TLS failed
    ├── RequestTimeout              no response in time
    ├── DecodeError                 the response is not JSON, or has an unexpected shape
    │   └── ResponseTooLarge        more than the client accepts
    ├── FileFailed                  a local file can't be read or written (also an OSError)
    └── ApiError                    the server refused the request
        ├── BadRequest              400
        ├── Unauthorized            401
        │   └── SessionExpired      401, the session has expired
        ├── Forbidden               403
        ├── NotFound                404
        ├── Unprocessable           422
        ├── RateLimited             429
        └── ServerFailure           500 and other 5xx
            └── Unavailable         503

No message, `repr` or attribute contains a token, a key, a password or a request's body.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from . import _names
from ._names import *  # noqa: F403 - the base error, under the name that the package gives it
from ._names import PackageError as _PackageError

__all__ = [
    "STATUS_ERRORS",
    "ApiError",
    "BadRequest",
    "ConfigurationError",
    "ConnectionFailed",
    "DecodeError",
    "FileFailed",
    "Forbidden",
    "InvalidArgument",
    "NotFound",
    "RateLimited",
    "RequestInfo",
    "RequestTimeout",
    "ResponseTooLarge",
    "ServerFailure",
    "SessionExpired",
    "TlsFailed",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "error_for",
]
__all__ += _names.__all__


LONGEST_TEXT: Final = 2000
"""Characters of a server's text to quote."""


def printable(text: str) -> str:
    """Escape characters that control terminals or break logs: control characters, lone surrogates, bidi controls."""
    shown = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
    if shown.isprintable():
        return shown
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in shown
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in a `Retry-After` header, or `None` if it is missing or unreadable.

    A date is relative to the response's `Date`, because the server's clock may differ from this machine's.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
        return float(text)
    until, now = _time(text), _time(headers.get("date", ""))
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _time(text: str) -> float | None:
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class ConfigurationError(_PackageError):
    """The client is not set up for the call; the message says how to fix it."""


class InvalidArgument(_PackageError, ValueError):
    """An argument is invalid. Nothing was sent.

    :ivar argument: the argument's name.
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(argument, problem)
        self.argument = argument

    def __str__(self) -> str:
        return f"{self.args[0]} {self.args[1]}"


class ConnectionFailed(_PackageError):
    """No response arrived, or the connection broke before the response was complete."""


class TlsFailed(ConnectionFailed):
    """The TLS handshake failed, most often because the server's certificate is not trusted."""


class RequestTimeout(_PackageError):
    """The server did not respond within the client's timeout."""


class DecodeError(_PackageError):
    """The response can't be read: it is not JSON, is truncated, or differs in shape from the spec.

    :ivar status: the response's HTTP status.
    :ivar content_type: its `Content-Type`.
    """

    def __init__(self, message: str, *, status: int = 0, content_type: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.content_type = content_type


class ResponseTooLarge(DecodeError):
    """The response, compressed or decompressed, is larger than the client accepts. The rest was not read."""


class FileFailed(_PackageError, OSError):
    """A local file can't be read or written, for example because the disk is full."""

    def __str__(self) -> str:
        return str(self.args[0])


class RequestInfo:
    """The request without its headers and body, which may contain secrets.

    :ivar method: the HTTP method.
    :ivar url: the address without its query.
    """

    __slots__ = ("method", "url")

    def __init__(self, method: str, url: str) -> None:
        self.method = method
        self.url = url

    @property
    def host(self) -> str:
        """The host, with its port if the address names one."""
        return self.url.partition("://")[2].partition("/")[0]

    def __repr__(self) -> str:
        return f"<RequestInfo {self.method} {self.url}>"


class ApiError(_PackageError):
    """The server refused the request.

    :ivar status: HTTP status.
    :ivar errors: messages by field; `base` has those that don't belong to a field.
    :ivar body: the decoded response if it is JSON, otherwise its text.
    :ivar request: method and URL of the request.
    :ivar headers: the response's headers, with names in lower case.
    """

    def __init__(
        self,
        status: int,
        *,
        errors: Mapping[str, list[str]] | None = None,
        body: Any = None,
        request: RequestInfo | None = None,
        operation: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.errors = dict(errors or {})
        self.body = body
        self.request = request
        self.operation = operation
        self.headers = dict(headers or {})

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server asks to wait before another attempt; `None` if unspecified."""
        return retry_after(self.headers)

    def __str__(self) -> str:
        texts = [
            text if field == "base" else f"{field} {text}" for field, group in self.errors.items() for text in group
        ]
        what = self.operation or "the call"
        host = f" ({self.request.host})" if self.request is not None and self.request.host else ""
        return f"{what} was refused with {self.status}: {printable('; '.join(texts)) or 'no reason given'}{host}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status={self.status}, operation={self.operation!r}, errors={self.errors!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.status,), self.__dict__)


class BadRequest(ApiError):
    """400: the request is malformed or an argument is invalid."""


class Unauthorized(ApiError):
    """401: no session, or wrong credentials."""


class SessionExpired(Unauthorized):
    """401: the session has expired and could not be renewed."""


class Forbidden(ApiError):
    """403: the user is not allowed to do this."""


class NotFound(ApiError):
    """404: the requested object does not exist."""


class Unprocessable(ApiError):
    """422: the arguments are well-formed but not acceptable."""


class RateLimited(ApiError):
    """429: too many requests."""


class ServerFailure(ApiError):
    """5xx: the server failed."""


class Unavailable(ServerFailure):
    """503: the server is overloaded or under maintenance."""


STATUS_ERRORS: Final[Mapping[int, type[ApiError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    422: Unprocessable,
    429: RateLimited,
    500: ServerFailure,
    503: Unavailable,
}
"""Maps each status to its class. Other 5xx raise `ServerFailure`, and all other statuses `ApiError`."""


def error_for(status: int) -> type[ApiError]:
    """Return the exception class of a status."""
    return STATUS_ERRORS.get(status, ServerFailure if status >= 500 else ApiError)
