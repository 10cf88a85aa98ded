"""The chat's exceptions.

    ConnectyCubeError
    ├── ConfigurationError              the chat is misconfigured; from connectycube.rest
    ├── InvalidArgument                 an argument is invalid; nothing was sent; from connectycube.rest
    ├── DecodeError                     a response can't be read; from connectycube.rest
    └── ChatError
        ├── NotConnected                the call needs a connection
        ├── ConnectError                the connection could not be established, or was lost for good
        │   ├── TlsRefused              the certificate is not trusted, or TLS fails
        │   ├── AuthenticationFailed    the server refused the user
        │   ├── StreamConflict          another connection took the resource
        │   └── StreamRefused           the server's policy or the protocol forbids the connection
        ├── MessageNotSent              the server did not accept a message
        │   ├── MessageTooLong          it is longer than the server accepts; it was not sent
        │   ├── OutboxFull              too many messages are waiting; it was not sent
        │   └── MessageRefused          it was returned as an error
        │       └── RecipientBlocked    the recipient blocks the user
        ├── RequestRefused              the server rejected a request
        │   └── StanzaRefused           the recipient rejected a request of `chat.request`
        └── RequestUnanswered           the server did not respond in time

No message, `repr` or attribute contains a token or a password.
"""

from __future__ import annotations

from typing import Any, Final

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import StanzaFault

from .machines.connection import Reason

__all__ = [
    "AuthenticationFailed",
    "ChatError",
    "ConnectError",
    "MessageNotSent",
    "MessageRefused",
    "MessageTooLong",
    "NotConnected",
    "OutboxFull",
    "RecipientBlocked",
    "RequestRefused",
    "RequestUnanswered",
    "StanzaRefused",
    "StreamConflict",
    "StreamRefused",
    "TlsRefused",
    "connect_error",
]


class ChatError(ConnectyCubeError):
    """The base class of the chat's own exceptions."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Copying and pickling call the class with `args`, but `__init__` takes other arguments.
        return (_again, (type(self), self.args), self.__dict__)


def _again(cls: type[ChatError], args: tuple[Any, ...]) -> ChatError:
    return cls.__new__(cls, *args)


class NotConnected(ChatError):
    """The call needs a connection, and there is none: call `connect` first, or wait for `Reconnected`."""


class ConnectError(ChatError):
    """The connection could not be established, or was lost for good.

    :ivar reason: the kind of failure.
    :ivar condition: the server's error condition, such as `not-authorized` or `system-shutdown`; may be empty.
    """

    def __init__(self, problem: str, *, reason: Reason = Reason.NETWORK, condition: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.condition = condition


class TlsRefused(ConnectError):
    """The TLS handshake failed, usually because the server's certificate is not trusted."""


class AuthenticationFailed(ConnectError):
    """The server refused the user id, password or token (RFC 6120 section 6.5), or no login mechanism can be used."""


class StreamConflict(ConnectError):
    """Another connection took the same resource (RFC 6120 section 4.9.3.3)."""


class StreamRefused(ConnectError):
    """The server's policy or the protocol forbids the connection."""


class MessageNotSent(ChatError):
    """The server did not acknowledge a message.

    The message may still have arrived. It is safe to resend it with the same id: receivers drop duplicates.

    :ivar message_id: the message's id.
    :ivar problem: the reason.
    """

    def __init__(self, message_id: str, problem: str) -> None:
        super().__init__(message_id, problem)
        self.message_id = message_id
        self.problem = problem

    def __str__(self) -> str:
        return f"message {self.message_id} was not sent: {self.problem}"


class MessageTooLong(MessageNotSent):
    """The message is longer than the server accepts. It was not sent.

    :ivar size: the message's size in bytes, including the XML around the text.
    :ivar limit: the server's limit, or `max_stanza_size`.
    """

    def __init__(self, message_id: str, size: int, limit: int) -> None:
        super().__init__(message_id, f"it takes {size} bytes, but a stanza may have at most {limit}: shorten it")
        self.size = size
        self.limit = limit


class OutboxFull(MessageNotSent):
    """Too many messages are waiting for acknowledgement. The message was not sent: wait for each `send` to finish.

    :ivar waiting: how many messages are waiting.
    """

    def __init__(self, message_id: str, waiting: int) -> None:
        super().__init__(message_id, f"{waiting} messages are waiting for the server: send fewer at a time")
        self.waiting = waiting


class MessageRefused(MessageNotSent):
    """The message was returned as an error (RFC 6120 section 8.3), or the server closed the stream because of it.

    :ivar condition: the error condition, such as `forbidden`; may be empty.
    :ivar code: the older numeric code, such as 503.
    :ivar text: the server's explanation.
    """

    def __init__(self, message_id: str, fault: StanzaFault | None) -> None:
        self.condition, self.code, self.text = _parts(fault)
        super().__init__(message_id, _words(self.condition, self.code, self.text))


class RecipientBlocked(MessageRefused):
    """The recipient's privacy list blocks messages from this user.

    Servers don't reveal this: the response is the same if the recipient does not exist, or if the server stores no
    messages for the recipient.
    """

    def __str__(self) -> str:
        return f"{super().__str__()}; the recipient blocks the user, does not exist, or can't be reached"


class RequestRefused(ChatError):
    """The server rejected a request (RFC 6120 section 8.3).

    :ivar request: what was requested.
    :ivar condition: the error condition, such as `item-not-found`; may be empty.
    :ivar code: the older numeric code, such as 404.
    :ivar text: the server's explanation.
    """

    def __init__(self, request: str, fault: StanzaFault | None) -> None:
        self.request = request
        self.condition, self.code, self.text = _parts(fault)
        super().__init__(f"{request} was refused: {_words(self.condition, self.code, self.text)}")


class StanzaRefused(RequestRefused):
    """The response to a request of `chat.request` is an error (RFC 6120 section 8.3).

    :ivar fault: the error as it was received, `None` if the response has none. A condition of the application's own
        is in its `unknown`.
    """

    def __init__(self, request: str, fault: StanzaFault | None) -> None:
        super().__init__(request, fault)
        self.fault = fault


class RequestUnanswered(ChatError):
    """The server did not respond to a request in time.

    :ivar request: what was requested.
    """

    def __init__(self, request: str, seconds: float) -> None:
        super().__init__(f"{request} was not answered within {seconds:g} seconds")
        self.request = request


CONNECT_ERRORS: Final[dict[Reason, type[ConnectError]]] = {
    Reason.TLS: TlsRefused,
    Reason.AUTHENTICATION: AuthenticationFailed,
    Reason.LOGIN: AuthenticationFailed,
    Reason.CONFLICT: StreamConflict,
    Reason.POLICY: StreamRefused,
    Reason.PROTOCOL: StreamRefused,
}
"""The only map from reason to class. Reasons that are always retried map to plain `ConnectError`."""


def connect_error(reason: Reason, problem: str, condition: str = "") -> ConnectError:
    """Return the error for a reason."""
    return CONNECT_ERRORS.get(reason, ConnectError)(problem, reason=reason, condition=condition)


def _parts(fault: StanzaFault | None) -> tuple[str, int | None, str]:
    if fault is None:
        return "", None, ""
    return str(fault.condition or ""), fault.code, fault.text or ""


def _words(condition: str, code: int | None, text: str) -> str:
    words = condition or (f"code {code}" if code is not None else "the server gave no reason")
    return f"{words} ({text})" if text else words
