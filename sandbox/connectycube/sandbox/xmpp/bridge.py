"""Signals of the domain, turned into stanzas: what REST calls and tests do that chat clients have to hear of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import define, evolve, field

from connectycube.stanzas import (
    CallSignal,
    ChatMessage,
    ExtraParams,
    GroupMessage,
    Markable,
    Reaction,
    Reactions,
    ReactionsMessage,
    RemovalMessage,
    Remove,
    SystemMessage,
)

from ..addresses import Addresses, Jid
from ..bus import (
    Bus,
    CallRejected,
    ConnectionsToDrop,
    DialogChanged,
    DialogDeleted,
    Emptied,
    MessageRemoved,
    MessageToDeliver,
    ReactionsChanged,
    Signal,
    SystemMessageToDeliver,
    UserDeleted,
)
from ..ids import ObjectIds
from .chat import Chat
from .contents import extra_of, parameters
from .kinds import Message, addressed
from .messages import Messages
from .rooms import Rooms

__all__ = ["Bridge"]

S = TypeVar("S", bound=Signal)


@define(eq=False)
class Bridge:
    """Listens to the domain.

    The end of a REST session is not among the signals: a stream that logged in with its token goes on (U-11).
    """

    _bus: Bus
    _ids: ObjectIds
    _addresses: Addresses
    _chat: Chat
    _messages: Messages
    _rooms: Rooms
    _ends: list[Callable[[], None]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._listen(MessageToDeliver, self._message)
        self._listen(MessageRemoved, self._removed)
        self._listen(ReactionsChanged, self._reactions)
        self._listen(SystemMessageToDeliver, self._system_message)
        self._listen(CallRejected, self._call_rejected)
        self._listen(DialogChanged, lambda one: self._rooms.remove(one.dialog_id, one.removed, one.by_user_id))
        self._listen(DialogDeleted, lambda one: self._rooms.destroy(one.dialog_id))
        self._listen(UserDeleted, lambda one: self._chat.expel(one.user_id))
        self._listen(ConnectionsToDrop, lambda one: self._chat.drop(one.user_id))
        self._listen(Emptied, lambda one: self._chat.reset())

    def _listen(self, kind: type[S], listener: Callable[[S], None]) -> None:
        self._ends.append(self._bus.subscribe(kind, listener))

    def close(self) -> None:
        """Stop listening."""
        for end in self._ends:
            end()

    def _message(self, signal: MessageToDeliver) -> None:
        extra = extra_of(
            dialog_id=signal.dialog_id,
            date_sent=signal.date_sent,
            attachments=signal.attachments,
            params=signal.extra,
        )
        markable = Markable() if signal.markable else None
        message: Message
        if signal.private:
            message = ChatMessage(id=signal.message_id, type="chat", body=signal.body, markable=markable, extra=extra)
        else:
            message = GroupMessage(id=signal.message_id, body=signal.body, markable=markable, extra=extra)
        self._send(signal.dialog_id, signal.sender_id, signal.recipients, message, private=signal.private)

    def _removed(self, signal: MessageRemoved) -> None:
        message = RemovalMessage(
            id=self._ids.new(),
            type="chat" if signal.private else "groupchat",
            remove=Remove(id=signal.message_id),
            extra=extra_of(dialog_id=signal.dialog_id),
        )
        self._send(signal.dialog_id, signal.user_id, signal.recipients, message, private=signal.private)

    def _reactions(self, signal: ReactionsChanged) -> None:
        changes = [Reaction(add=True, type=one) for one in signal.added]
        changes += [Reaction(remove=True, type=one) for one in signal.removed]
        message = ReactionsMessage(
            id=self._ids.new(),
            type="chat" if signal.private else "groupchat",
            reactions=Reactions(user_id=signal.user_id, message_id=signal.message_id, reactions=tuple(changes)),
            extra=extra_of(dialog_id=signal.dialog_id),
        )
        self._send(signal.dialog_id, signal.user_id, signal.recipients, message, private=signal.private)

    def _send(
        self, dialog_id: str, sender_id: int, recipients: Sequence[int], message: Message, *, private: bool
    ) -> None:
        """Send to a group through its room, or to the other user with carbons to the sender's own devices."""
        if not private:
            self._rooms.broadcast(dialog_id, sender_id, message, recipients)
            return
        sender = self._addresses.user(sender_id)
        for user_id in recipients:
            if user_id != sender_id:
                out = addressed(message, from_=sender, to=self._addresses.user(user_id))
                self._messages.deliver(user_id, out, Jid.parse(sender))
                self._messages.copy_sent(sender_id, out, None)

    def _system_message(self, signal: SystemMessageToDeliver) -> None:
        extra = evolve(parameters(signal.params), module_identifier="SystemNotifications")
        message = SystemMessage(id=signal.message_id, body=signal.body, extra=extra)
        self._send_headline(signal.sender_id, signal.recipient_id, message)

    def _call_rejected(self, signal: CallRejected) -> None:
        params: dict[str, Any] = {"signalType": "reject", "sessionID": signal.session_id, "platform": signal.platform}
        if signal.user_info:
            params["userInfo"] = dict(signal.user_info)
        extra = ExtraParams(module_identifier="WebRTCVideoChat", params=params)
        self._send_headline(signal.sender_id, signal.recipient_id, CallSignal(id=signal.message_id, extra=extra))

    def _send_headline(self, sender_id: int, recipient_id: int, message: SystemMessage | CallSignal) -> None:
        """Send a message that only users who are online receive (CX-14)."""
        sender, receiver = self._addresses.user(sender_id), self._addresses.user(recipient_id)
        self._messages.deliver(recipient_id, addressed(message, from_=sender, to=receiver), Jid.parse(sender))
