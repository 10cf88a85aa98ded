"""The bus that carries signals from the domain to the chat.

A signal's listeners run at once, on the sandbox's loop, after the store has changed. An exception in one is logged and
doesn't stop the others.
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
    "MessageAccepted",
    "MessageRemoved",
    "MessageToDeliver",
    "ReactionsChanged",
    "Signal",
    "SystemMessageToDeliver",
    "UserDeleted",
]

log = logging.getLogger("connectycube.sandbox")


@frozen(kw_only=True)
class Signal:
    """Something that happened in the domain, and that chat clients may have to hear of."""


@frozen(kw_only=True)
class MessageToDeliver(Signal):
    """A message came over REST with `send_to_chat` (R-043). It is already in the history."""

    message_id: str
    dialog_id: str
    sender_id: int
    recipients: Sequence[int]
    """Everyone who may read the dialog, including the sender, whose devices show the message too."""
    private: bool
    """Whether the stanza has type `chat` or goes to the room."""
    body: str | None
    date_sent: int
    attachments: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(factory=dict)
    markable: bool = False


@frozen(kw_only=True)
class MessageAccepted(Signal):
    """A chat client sent a message, which the chat is about to deliver."""

    dialog_id: str
    sender_id: int
    recipients: Sequence[int]
    """Everyone who receives it, including the sender."""
    private: bool
    body: str | None
    attachments: Sequence[Mapping[str, Any]] = ()


@frozen(kw_only=True)
class MessageRemoved(Signal):
    """A message was deleted for everyone over REST (R-045). The chat sends K-23."""

    message_id: str
    dialog_id: str
    user_id: int
    """The user who deleted it."""
    recipients: Sequence[int]
    private: bool


@frozen(kw_only=True)
class ReactionsChanged(Signal):
    """A user changed their reactions over REST (R-047). The chat sends K-24."""

    message_id: str
    dialog_id: str
    user_id: int
    added: Sequence[str]
    removed: Sequence[str]
    recipients: Sequence[int]
    private: bool


@frozen(kw_only=True)
class SystemMessageToDeliver(Signal):
    """A system message came over REST (R-046). The chat sends K-25 to a user who is online, and nothing is stored."""

    message_id: str
    sender_id: int
    recipient_id: int
    params: Mapping[str, Any]
    body: str | None = None


@frozen(kw_only=True)
class CallRejected(Signal):
    """A call was rejected over REST (R-087). The chat sends K-26 with `signalType` reject."""

    message_id: str
    sender_id: int
    recipient_id: int
    session_id: str
    platform: str
    user_info: Mapping[str, Any]


@frozen(kw_only=True)
class UserDeleted(Signal):
    """An account was deleted. Its streams must end."""

    user_id: int


@frozen(kw_only=True)
class DialogChanged(Signal):
    """The occupants of a dialog changed. Those who were removed must leave the room."""

    dialog_id: str
    added: Sequence[int]
    removed: Sequence[int]
    by_user_id: int | None


@frozen(kw_only=True)
class DialogDeleted(Signal):
    """A dialog was deleted for everyone, together with its room."""

    dialog_id: str


@frozen(kw_only=True)
class ConnectionsToDrop(Signal):
    """A test breaks the chat connections of one user, or all, without closing them properly."""

    user_id: int | None


@frozen(kw_only=True)
class Emptied(Signal):
    """The sandbox was reset. The chat must forget all users and connections."""


S = TypeVar("S", bound=Signal)


class Bus:
    """Passes signals to the listeners of their kind.

    :ivar waker: called with each signal first; it may subscribe listeners, which then receive the signal.
    """

    def __init__(self) -> None:
        self.waker: Callable[[Signal], None] | None = None
        self._listeners: dict[type[Signal], list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[S], listener: Callable[[S], None]) -> Callable[[], None]:
        """Call a function with each signal of a kind, or of every kind for `Signal`.

        :returns: a function that ends the subscription.
        """
        listeners = self._listeners.setdefault(kind, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def publish(self, signal: Signal) -> None:
        """Call a signal's listeners, in the order of their subscription."""
        if self.waker is not None:
            self._call(self.waker, signal)
        for kind in (type(signal), Signal):
            for listener in list(self._listeners.get(kind, ())):
                self._call(listener, signal)

    def _call(self, listener: Callable[[Any], None], signal: Signal) -> None:
        try:
            listener(signal)
        except Exception:
            log.exception("a listener for %s failed", type(signal).__name__)
