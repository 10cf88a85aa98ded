"""What REST and the tests do, brought to the chat (core.bus)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

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

from ..bus import (
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
from .addresses import Jid
from .contents import extra_of, parameters
from .kinds import Message, addressed
from .messages import route

if TYPE_CHECKING:
    from .chat import Chat

__all__ = ["Bridge"]

S = TypeVar("S", bound=Signal)


class Bridge:
    """Listens to the domain. That a session of REST ends changes nothing for a chat that logged in with it (U-11)."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._ends: list[Callable[[], None]] = []
        chat.core.presence.active_lists = self._active_lists
        self._listen(MessageToDeliver, self._message)
        self._listen(MessageRemoved, self._removed)
        self._listen(ReactionsChanged, self._reactions)
        self._listen(SystemMessageToDeliver, self._system_message)
        self._listen(CallRejected, self._call_rejected)
        self._listen(DialogChanged, self._dialog_changed)
        self._listen(DialogDeleted, self._dialog_deleted)
        self._listen(UserDeleted, self._user_deleted)
        self._listen(ConnectionsToDrop, self._drop)
        self._listen(Emptied, self._empty)

    def _listen(self, kind: type[S], listener: Callable[[S], None]) -> None:
        self._ends.append(self._chat.core.bus.subscribe(kind, listener))

    def close(self) -> None:
        """Listen no more."""
        for end in self._ends:
            end()

    # -- messages

    def _active_lists(self, user_id: int) -> list[str | None]:
        return [one.active_list for one in route(self._chat.sessions(user_id), None).direct]

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
            id=self._chat.core.ids.new(),
            type="chat" if signal.private else "groupchat",
            remove=Remove(id=signal.message_id),
            extra=extra_of(dialog_id=signal.dialog_id),
        )
        self._send(signal.dialog_id, signal.user_id, signal.recipients, message, private=signal.private)

    def _reactions(self, signal: ReactionsChanged) -> None:
        changes = [Reaction(add=True, type=one) for one in signal.added]
        changes += [Reaction(remove=True, type=one) for one in signal.removed]
        message = ReactionsMessage(
            id=self._chat.core.ids.new(),
            type="chat" if signal.private else "groupchat",
            reactions=Reactions(user_id=signal.user_id, message_id=signal.message_id, reactions=tuple(changes)),
            extra=extra_of(dialog_id=signal.dialog_id),
        )
        self._send(signal.dialog_id, signal.user_id, signal.recipients, message, private=signal.private)

    def _send(
        self, dialog_id: str, sender_id: int, recipients: Sequence[int], message: Message, *, private: bool
    ) -> None:
        """In a group to all through the room; else to the other user, and as a carbon to the sender's devices."""
        if not private:
            self._chat.rooms.broadcast(dialog_id, sender_id, message, recipients)
            return
        sender = self._chat.addresses.user(sender_id)
        for user_id in recipients:
            if user_id != sender_id:
                out = addressed(message, from_=sender, to=self._chat.addresses.user(user_id))
                self._chat.messages.deliver(user_id, out, Jid.parse(sender))
                self._chat.messages.copy_sent(sender_id, out, None)

    def _system_message(self, signal: SystemMessageToDeliver) -> None:
        extra = attrs.evolve(parameters(signal.params), module_identifier="SystemNotifications")
        self._send_headline(signal.sender_id, signal.recipient_id, SystemMessage(id=signal.message_id, extra=extra))

    def _call_rejected(self, signal: CallRejected) -> None:
        params: dict[str, Any] = {"signalType": "reject", "sessionID": signal.session_id, "platform": signal.platform}
        if signal.user_info:
            params["userInfo"] = dict(signal.user_info)
        extra = ExtraParams(module_identifier="WebRTCVideoChat", params=params)
        self._send_headline(signal.sender_id, signal.recipient_id, CallSignal(id=signal.message_id, extra=extra))

    def _send_headline(self, sender_id: int, recipient_id: int, message: SystemMessage | CallSignal) -> None:
        """Only to who is online (CX-14)."""
        sender, receiver = self._chat.addresses.user(sender_id), self._chat.addresses.user(recipient_id)
        self._chat.messages.deliver(recipient_id, addressed(message, from_=sender, to=receiver), Jid.parse(sender))

    # -- dialogs, users, connections

    def _dialog_changed(self, signal: DialogChanged) -> None:
        self._chat.rooms.put_out(signal.dialog_id, signal.removed, signal.by_user_id)

    def _dialog_deleted(self, signal: DialogDeleted) -> None:
        self._chat.rooms.destroy(signal.dialog_id)

    def _user_deleted(self, signal: UserDeleted) -> None:
        for session in self._chat.sessions(signal.user_id):
            stream = session.stream
            self._chat.end(session)
            if stream is not None:
                stream.fail("not-authorized", "the account was deleted")

    def _drop(self, signal: ConnectionsToDrop) -> None:
        self._chat.drop(signal.user_id)

    def _empty(self, signal: Emptied) -> None:
        self._chat.empty()
