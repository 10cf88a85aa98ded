"""The chat's exceptions.

    ConnectyCubeError
    ├── ConfigurationError              the chat is misconfigured; from connectycube.rest
    ├── InvalidArgument                 an argument is invalid, nothing was sent; from connectycube.rest
    ├── DecodeError                     an answer can't be read; from connectycube.rest
    └── ChatError
        ├── NotConnected                there is no connection for this call
        ├── ConnectError                the connection could not be established, or was lost for good
        │   ├── TlsRefused              the server's certificate or the TLS handshake
        │   ├── AuthenticationFailed    the server refused the user
        │   ├── StreamConflict          another connection took the resource
        │   └── StreamRefused           the server's policy or the protocol forbids the connection
        ├── MessageNotSent              the server did not accept a message
        │   ├── MessageTooLong          it is longer than the server takes, and was not sent
        │   ├── OutboxFull              too many messages wait, and it was not sent
        │   └── MessageRefused          the server gave a reason
        │       └── RecipientBlocked    the recipient blocks the sender
        ├── RequestRefused              the server answered a request with an error
        └── RequestUnanswered           the server did not answer in time

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
    "StreamConflict",
    "StreamRefused",
    "TlsRefused",
    "connect_error",
]


class ChatError(ConnectyCubeError):
    """The base of all exceptions that only the chat raises."""

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
    :ivar condition: the server's error condition, such as `not-authorized` or `system-shutdown`; empty without one.
    """

    def __init__(self, problem: str, *, reason: Reason = Reason.NETWORK, condition: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.condition = condition


class TlsRefused(ConnectError):
    """The TLS handshake failed, usually because the server's certificate is not trusted."""


class AuthenticationFailed(ConnectError):
    """The server refused the user id, password or token (RFC 6120 section 6.5), or there is no way to log in."""


class StreamConflict(ConnectError):
    """Another connection took the same resource (RFC 6120 section 4.9.3.3)."""


class StreamRefused(ConnectError):
    """The server's policy or the protocol forbids the connection."""


class MessageNotSent(ChatError):
    """The server did not acknowledge a message.

    The message may have arrived anyway. It is safe to send it again with the same id: receivers drop repeats.

    :ivar message_id: its id.
    :ivar problem: the reason.
    """

    def __init__(self, message_id: str, problem: str) -> None:
        super().__init__(message_id, problem)
        self.message_id = message_id
        self.problem = problem

    def __str__(self) -> str:
        return f"message {self.message_id} was not sent: {self.problem}"


class MessageTooLong(MessageNotSent):
    """The message is longer than the server takes. It was not sent.

    :ivar size: its bytes, including the XML around the text.
    :ivar limit: the most that the server takes, or `max_stanza_size`.
    """

    def __init__(self, message_id: str, size: int, limit: int) -> None:
        super().__init__(message_id, f"it takes {size} bytes, but a stanza may have at most {limit}: shorten it")
        self.size = size
        self.limit = limit


class OutboxFull(MessageNotSent):
    """Too many messages wait for their acknowledgement. The message was not sent: await `send` before the next one.

    :ivar waiting: how many messages wait.
    """

    def __init__(self, message_id: str, waiting: int) -> None:
        super().__init__(message_id, f"{waiting} messages wait for the server: send fewer at a time")
        self.waiting = waiting


class MessageRefused(MessageNotSent):
    """The message came back as an error (RFC 6120 section 8.3), or the server closed the stream over it.

    :ivar condition: the error condition, such as `forbidden`; empty without one.
    :ivar code: the older numeric code, such as 503.
    :ivar text: the server's explanation.
    """

    def __init__(self, message_id: str, fault: StanzaFault | None) -> None:
        self.condition, self.code, self.text = _parts(fault)
        super().__init__(message_id, _words(self.condition, self.code, self.text))


class RecipientBlocked(MessageRefused):
    """The recipient's privacy list blocks messages from this user.

    Servers hide this: the answer is the same if there is no such user, or if messages for the user are not stored.
    """

    def __str__(self) -> str:
        return f"{super().__str__()}; the recipient blocks the user, does not exist, or can't be reached"


class RequestRefused(ChatError):
    """The server answered a request with an error (RFC 6120 section 8.3).

    :ivar request: what was requested.
    :ivar condition: the error condition, such as `item-not-found`; empty without one.
    :ivar code: the older numeric code, such as 404.
    :ivar text: the server's explanation.
    """

    def __init__(self, request: str, fault: StanzaFault | None) -> None:
        self.request = request
        self.condition, self.code, self.text = _parts(fault)
        super().__init__(f"{request} was refused: {_words(self.condition, self.code, self.text)}")


class RequestUnanswered(ChatError):
    """The server did not answer a request in time.

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
