"""What the chat raises.

    ConnectyCubeError
    ├── ConfigurationError              the chat is set up wrongly; of connectycube.rest
    ├── InvalidArgument                 an argument is wrong, nothing was sent; of connectycube.rest
    ├── DecodeError                     an answer can't be read; of connectycube.rest
    └── ChatError
        ├── NotConnected                there is no connection for this call
        ├── ConnectFailed               the connection could not be made, or broke for good
        │   ├── TlsRefused              the server's certificate or the TLS handshake
        │   ├── AuthenticationFailed    the server refused the user
        │   ├── StreamConflict          another connection took the resource
        │   └── StreamRefused           the server's policy or the protocol forbids it
        ├── MessageNotSent              the server did not take a message
        │   └── MessageRefused          it said why
        │       └── RecipientBlocked    the recipient blocks the sender
        ├── RequestRefused              the server answered a request with an error
        └── RequestTimedOut             it did not answer in time

No message, `repr` or attribute holds a token or a password.
"""

from __future__ import annotations

from typing import Any, Final

from connectycube.rest import ConnectyCubeError
from connectycube.stanzas import StanzaFault

from .machines.connection import Reason

__all__ = [
    "AuthenticationFailed",
    "ChatError",
    "ConnectFailed",
    "MessageNotSent",
    "MessageRefused",
    "NotConnected",
    "RecipientBlocked",
    "RequestRefused",
    "RequestTimedOut",
    "StreamConflict",
    "StreamRefused",
    "TlsRefused",
    "connect_error",
]


class ChatError(ConnectyCubeError):
    """The base of what only the chat raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # To be copied and pickled: `__init__` takes other arguments than those that an exception keeps.
        return (_again, (type(self), self.args), self.__dict__)


def _again(cls: type[ChatError], args: tuple[Any, ...]) -> ChatError:
    return cls.__new__(cls, *args)


class NotConnected(ChatError):
    """The call needs a connection and there is none: `connect` first, or wait for `Reconnected`."""


class ConnectFailed(ChatError):
    """The connection could not be made, or broke and was not made again.

    :ivar reason: what kind of failure it is.
    :ivar condition: the server's word for it, such as `not-authorized` or `system-shutdown`; empty where it gave none.
    """

    def __init__(self, problem: str, *, reason: Reason = Reason.NETWORK, condition: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.condition = condition


class TlsRefused(ConnectFailed):
    """The TLS handshake failed: most often the server's certificate is not trusted."""


class AuthenticationFailed(ConnectFailed):
    """The server refused user id, password or token (RFC 6120 section 6.5)."""


class StreamConflict(ConnectFailed):
    """Another connection took the same resource (RFC 6120 section 4.9.3.3)."""


class StreamRefused(ConnectFailed):
    """The server's policy or the protocol forbids the connection: trying again would not help."""


class MessageNotSent(ChatError):
    """The server did not acknowledge a message. It may have got it all the same: a repeat with the same id is dropped
    by receivers.

    :ivar message_id: its id.
    :ivar problem: why.
    """

    def __init__(self, message_id: str, problem: str) -> None:
        super().__init__(message_id, problem)
        self.message_id = message_id
        self.problem = problem

    def __str__(self) -> str:
        return f"message {self.message_id} was not sent: {self.problem}"


class MessageRefused(MessageNotSent):
    """The message came back as an error (RFC 6120 section 8.3).

    :ivar condition: such as `forbidden`; empty where the server gave none.
    :ivar code: the older numeric code, such as 503.
    :ivar text: the server's words.
    """

    def __init__(self, message_id: str, fault: StanzaFault | None) -> None:
        self.condition, self.code, self.text = _parts(fault)
        super().__init__(message_id, _words(self.condition, self.code, self.text))


class RecipientBlocked(MessageRefused):
    """The recipient's privacy list denies messages of this user (facts 3.4, F-109)."""


class RequestRefused(ChatError):
    """The server answered a request with an error (RFC 6120 section 8.3).

    :ivar request: what was asked.
    :ivar condition: such as `item-not-found`; empty where the server gave none.
    :ivar code: the older numeric code, such as 404.
    :ivar text: the server's words.
    """

    def __init__(self, request: str, fault: StanzaFault | None) -> None:
        self.request = request
        self.condition, self.code, self.text = _parts(fault)
        super().__init__(f"{request} was refused: {_words(self.condition, self.code, self.text)}")


class RequestTimedOut(ChatError):
    """The server did not answer a request in time.

    :ivar request: what was asked.
    """

    def __init__(self, request: str, seconds: float) -> None:
        super().__init__(f"{request} was not answered within {seconds:g} seconds")
        self.request = request


CONNECT_ERRORS: Final[dict[Reason, type[ConnectFailed]]] = {
    Reason.TLS: TlsRefused,
    Reason.AUTHENTICATION: AuthenticationFailed,
    Reason.CONFLICT: StreamConflict,
    Reason.POLICY: StreamRefused,
    Reason.PROTOCOL: StreamRefused,
}
"""The one map from reason to class; what is retried is a plain `ConnectFailed`."""


def connect_error(reason: Reason, problem: str, condition: str = "") -> ConnectFailed:
    """The error that stands for a reason."""
    return CONNECT_ERRORS.get(reason, ConnectFailed)(problem, reason=reason, condition=condition)


def _parts(fault: StanzaFault | None) -> tuple[str, int | None, str]:
    if fault is None:
        return "", None, ""
    return str(fault.condition or ""), fault.code, fault.text or ""


def _words(condition: str, code: int | None, text: str) -> str:
    words = condition or (f"code {code}" if code is not None else "the server gave no reason")
    return f"{words} ({text})" if text else words
