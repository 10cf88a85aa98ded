"""What one half of the sandbox tells the other: frozen signals and who listens to them.

The domain publishes, the chat half delivers. A listener runs at once, on the sandbox's loop, after the store has been
changed. One that fails is logged and stops nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import field, frozen

__all__ = [
    "Bus",
    "CallRejected",
    "ConnectionsToDrop",
    "DialogChanged",
    "DialogDeleted",
    "Emptied",
    "MessageRemoved",
    "MessageToDeliver",
    "ReactionsChanged",
    "SessionEnded",
    "Signal",
    "SystemMessageToDeliver",
    "UserDeleted",
]

log = logging.getLogger("connectycube.sandbox")


@frozen(kw_only=True)
class Signal:
    """Something happened that the chat may have to tell."""


@frozen(kw_only=True)
class MessageToDeliver(Signal):
    """A message came over REST with `send_to_chat` (R-043); it is in the history already."""

    message_id: str
    dialog_id: str
    sender_id: int
    recipients: Sequence[int]
    """All who may read the dialog, the sender included: other devices of the sender show it too."""
    private: bool
    """Whether it goes as type `chat`, else to the room."""
    body: str | None
    date_sent: int
    attachments: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(factory=dict)
    markable: bool = False


@frozen(kw_only=True)
class MessageRemoved(Signal):
    """A message was deleted for everyone over REST (R-045): the chat sends K-23."""

    message_id: str
    dialog_id: str
    user_id: int
    """Who deleted it."""
    recipients: Sequence[int]
    private: bool


@frozen(kw_only=True)
class ReactionsChanged(Signal):
    """A user reacted over REST (R-047): the chat sends K-24."""

    message_id: str
    dialog_id: str
    user_id: int
    added: Sequence[str]
    removed: Sequence[str]
    recipients: Sequence[int]
    private: bool


@frozen(kw_only=True)
class SystemMessageToDeliver(Signal):
    """A system message came over REST (R-046): the chat sends K-25 to those who are online, and nothing is stored."""

    message_id: str
    sender_id: int
    recipient_id: int
    params: Mapping[str, Any]


@frozen(kw_only=True)
class CallRejected(Signal):
    """A call was rejected over REST (R-087): the chat sends K-26 with `signalType` reject."""

    message_id: str
    sender_id: int
    recipient_id: int
    session_id: str
    platform: str
    user_info: Mapping[str, Any]


@frozen(kw_only=True)
class SessionEnded(Signal):
    """A session is over: it was deleted, has expired, or a test ended it.

    Whether a chat that logged in with its token lives on is not documented (U-11). Here it does.
    """

    session_id: int
    user_id: int | None


@frozen(kw_only=True)
class UserDeleted(Signal):
    """An account is gone: its streams must end."""

    user_id: int


@frozen(kw_only=True)
class DialogChanged(Signal):
    """Who is in a dialog has changed: rooms let in and put out."""

    dialog_id: str
    added: Sequence[int]
    removed: Sequence[int]
    by_user_id: int | None


@frozen(kw_only=True)
class DialogDeleted(Signal):
    """A dialog is gone for everyone: its room too."""

    dialog_id: str


@frozen(kw_only=True)
class ConnectionsToDrop(Signal):
    """A test wants chat connections to break without a word: those of one user, or all."""

    user_id: int | None


@frozen(kw_only=True)
class Emptied(Signal):
    """The sandbox is made as new: what the chat knows of users and connections holds no more."""


S = TypeVar("S", bound=Signal)


class Bus:
    """Hands signals to those who asked for their kind.

    :ivar waker: called with each signal before all listeners, which it may still bring.
    """

    def __init__(self) -> None:
        self.waker: Callable[[Signal], None] | None = None
        self._listeners: dict[type[Signal], list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[S], listener: Callable[[S], None]) -> Callable[[], None]:
        """Have a function called with each signal of a kind (`Signal` for all).

        :returns: what ends that.
        """
        listeners = self._listeners.setdefault(kind, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def publish(self, signal: Signal) -> None:
        """Tell a signal to all who listen, in the order they came."""
        if self.waker is not None:
            self._tell(self.waker, signal)
        for kind in (type(signal), Signal):
            for listener in list(self._listeners.get(kind, ())):
                self._tell(listener, signal)

    def _tell(self, listener: Callable[[Any], None], signal: Signal) -> None:
        try:
            listener(signal)
        except Exception:
            log.exception("a listener to %s failed", type(signal).__name__)
