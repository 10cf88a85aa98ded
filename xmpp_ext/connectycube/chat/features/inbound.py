"""Inbound stanzas: from typed stanzas to machines, answers and events (sections 3.2 and 3.6 of the facts).

One table maps each stanza class to its method. Pushes and carbons are trusted only from the user's own account.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any, Final, Literal

from connectycube import stanzas as st
from connectycube.rest import InvalidArgument

from .. import events
from .._ids import Sender, bare, is_object_id
from ..connection.traffic import IQ, Traffic
from ..errors import ChatError
from ..models import EMPTY, ChatMessage
from .messages import Messages
from .presence import Presence
from .privacy_lists import Lists
from .rooms import Rooms
from .roster import Roster

__all__ = ["Inbound"]

LONGEST_ID: Final = 256
"""Characters of the longest id that is remembered. Strangers choose it, and may choose a long one."""

logger = logging.getLogger("connectycube.chat")


class Inbound:
    """Processes the stanzas that a chat receives."""

    def __init__(
        self, traffic: Traffic, messages: Messages, presence: Presence, rooms: Rooms, roster: Roster, lists: Lists
    ) -> None:
        self._traffic = traffic
        self._bus = traffic.bus
        self._messages = messages
        self._presence = presence
        self._rooms = rooms
        self._roster = roster
        self._lists = lists
        self._mark = traffic.settings.mark_delivered
        self._addresses = traffic.settings.addresses
        self._sender = self._addresses.sender

    def take(self, stanza: st.Stanza) -> None:
        """Process a stanza."""
        handle = _TABLE.get(type(stanza))
        if handle is not None:
            handle(self, stanza)
        elif stanza.tag == IQ:
            self._unsupported(stanza)
        else:
            logger.debug("a %s is left to handlers of its class", type(stanza).__name__)

    # -- messages

    def _message(self, stanza: st.ChatMessage | st.GroupMessage, carbon: bool = False) -> None:
        extra = stanza.extra
        if stanza.body is None and (extra is None or not (extra.attachments or extra.params)):
            return  # Such as a room's subject or a notice of the server: not written by a person.
        message_id = stanza.id
        params: Any = EMPTY
        dialog_id = seconds = None
        attachments: tuple[st.Attachment, ...] = ()
        markable = stanza.markable is not None
        if extra is not None:
            params, dialog_id, seconds = extra.params, extra.dialog_id, extra.date_sent
            attachments = extra.attachments
            markable = markable or bool(extra.markable)
            if message_id is None or not is_object_id(message_id):
                message_id = extra.message_id or message_id  # Section 3.3 of the facts: the history has this one.
        kind: Literal["chat", "groupchat"] = "chat"
        recipient_id = None
        sender = self._sender(stanza.from_)
        sender_id = sender.user_id
        if isinstance(stanza, st.GroupMessage):
            kind = "groupchat"
            dialog_id = sender.dialog_id  # The server sets the address; the sender could forge the parameter.
        else:
            if stanza.from_ == self._traffic.jid and not carbon:
                return  # CX-10: a message of this very device is a copy, not news.
            if sender.dialog_id is not None:
                sender_id = None  # An occupant who writes through a room: a name in it is not enough here.
            recipient_id = self._addresses.user_of(stanza.to)
        destroy_after = None if stanza.destroy is None else stanza.destroy.after
        # Without the date, which differs if a user sends a message again.
        content = (stanza.body, destroy_after, str(params) if params else "", str(attachments) if attachments else "")
        is_own = self._is_own(sender)
        if self._repeated(stanza, message_id, sender, is_own, content):
            return
        delay = stanza.delay
        # The sender may write any number.
        date_sent = None if delay is None else delay.stamp
        if seconds is not None and seconds >= 0:
            date_sent = dt.datetime.fromtimestamp(seconds, dt.UTC)
        message = ChatMessage(
            id=message_id,
            body=stanza.body or "",
            sender_id=sender_id,
            recipient_id=recipient_id,
            dialog_id=dialog_id,
            type=kind,
            date_sent=date_sent,
            attachments=attachments,
            extra=params,
            markable=markable,
            destroy_after=destroy_after,
            delayed=None if delay is None else delay.stamp,
            carbon=carbon,
            sender_jid=stanza.from_,
        )
        # What is kept first is marked by its keeper, afterwards.
        if not is_own and self._traffic.inbox.keep is None:
            self.mark_delivered(message)
        self._bus.emit((events.MessageSentElsewhere if is_own else events.MessageReceived)(message=message))

    def mark_delivered(self, message: ChatMessage) -> None:
        """Mark a message as delivered if that is wanted, but not without a dialog."""
        wanted = self._mark == "always" or (self._mark == "markable" and message.markable)
        message_id, sender_id, dialog_id = message.id, message.sender_id, message.dialog_id
        # CX-02, U-52: other SDKs leave it out, too, where the dialog is not known.
        if not wanted or message.carbon or message_id is None or sender_id is None or dialog_id is None:
            return
        try:
            self._messages.post_delivered(message_id, sender_id, dialog_id)
        except (ChatError, InvalidArgument) as error:
            logger.debug("message %.40s is not marked as delivered: %s", message_id, error)

    def _is_own(self, sender: Sender) -> bool:
        return sender.user_id is not None and sender.user_id == self._sender(self._traffic.jid).user_id

    def _place(self, stanza: Any, sender: Sender, is_own: bool) -> int | str | None:
        """Return the dialog of a message, or in a private one the other user."""
        if sender.dialog_id is not None:
            return sender.dialog_id
        return self._sender(stanza.to).identity if is_own else sender.identity

    def _repeated(
        self, stanza: Any, message_id: str | None, sender: Sender, is_own: bool, content: tuple[object, ...]
    ) -> bool:
        """Return whether a message is the copy of one sent from here, or is known already.

        A sender sends a message again with its id and content when a connection was lost (U-36); carbons and histories
        repeat it as well. An id alone proves nothing: anyone can use it again, for something else, or once the message
        was removed.
        """
        if message_id is None or len(message_id) > LONGEST_ID:
            return False
        messages = self._messages
        if messages.own.get(message_id) is not None:
            return is_own
        identity, key = sender.identity, (self._place(stanza, sender, is_own), message_id)
        heard, known = (identity, hash((type(stanza), content))), messages.heard.get(key)
        if known == heard:
            return True
        if known is None or known[0] == identity:
            messages.heard.put(key, heard)  # The first one to use an id remains its author.
        return False

    def _changed(self, stanza: Any, sender: Sender, message_id: str) -> bool | None:
        """Note that a message was edited or removed.

        :returns: whether its author did that; `None` if the author is not known.
        """
        is_own = self._is_own(sender)
        if self._messages.own.get(message_id) is not None:
            return is_own
        author = self._messages.changed(self._place(stanza, sender, is_own), message_id)
        return None if author is None else author == sender.identity

    def _edit(self, stanza: st.EditMessage) -> None:
        sender, extra, message_id = self._sender(stanza.from_), stanza.extra, stanza.replace.id
        content = message_id, stanza.body, str(extra.params) if extra is not None else ""
        if self._repeated(stanza, stanza.id, sender, self._is_own(sender), content):
            return
        self._bus.emit(
            events.MessageEdited(
                message_id=message_id,
                dialog_id=sender.dialog_id or _dialog(extra),
                user_id=sender.user_id,
                body=stanza.body or "",
                last=stanza.replace.last,
                extra=EMPTY if extra is None else extra.params,
                from_author=self._changed(stanza, sender, message_id),
                jid=stanza.from_,
            )
        )

    def _removal(self, stanza: st.RemovalMessage) -> None:
        sender, message_id = self._sender(stanza.from_), stanza.remove.id
        if self._repeated(stanza, stanza.id, sender, self._is_own(sender), (message_id,)):
            return
        self._bus.emit(
            events.MessageDeleted(
                message_id=message_id,
                dialog_id=sender.dialog_id or _dialog(stanza.extra),
                user_id=sender.user_id,
                from_author=self._changed(stanza, sender, message_id),
                jid=stanza.from_,
            )
        )

    def _reactions(self, stanza: st.ReactionsMessage) -> None:
        found = stanza.reactions
        sender = self._sender(stanza.from_)
        # K-24: only the platform makes reactions. It may send them in its own name or a room's.
        if found.user_id != sender.user_id and not self._is_platform(stanza.from_ or ""):
            self._traffic.reject("a reaction in the name of another user", stanza)
            return
        self._bus.emit(
            events.ReactionsChanged(
                message_id=found.message_id,
                dialog_id=sender.dialog_id or _dialog(stanza.extra),
                user_id=found.user_id,
                added=tuple(entry.type for entry in found.reactions if entry.add),
                removed=tuple(entry.type for entry in found.reactions if entry.remove),
                jid=stanza.from_,
            )
        )

    def _is_platform(self, jid: str) -> bool:
        """Return whether an address belongs to the server, or to a room itself."""
        if jid in ("", self._addresses.host, self._addresses.muc_host):
            return True
        return "/" not in jid and self._addresses.room_of(jid) is not None

    def _delivered(self, stanza: st.DeliveredMark) -> None:
        self._marked(stanza, stanza.received.id, events.MessageDelivered)

    def _read(self, stanza: st.ReadMark) -> None:
        self._marked(stanza, stanza.displayed.id, events.MessageRead)

    def _marked(
        self,
        stanza: st.DeliveredMark | st.ReadMark,
        message_id: str,
        kind: type[events.MessageDelivered | events.MessageRead],
    ) -> None:
        sender = self._sender(stanza.from_)
        if not self._repeated(stanza, stanza.id, sender, self._is_own(sender), (message_id,)):
            dialog_id = sender.dialog_id or _dialog(stanza.extra)
            mark = kind(message_id=message_id, dialog_id=dialog_id, user_id=sender.user_id, jid=stanza.from_)
            self._bus.emit(mark)

    def _typing(self, stanza: st.TypingMessage | st.PausedMessage) -> None:
        sender = self._sender(stanza.from_)
        # A group sends the user's own notification back, and a delayed one is out of date.
        if not self._is_own(sender) and stanza.delay is None:
            kind = events.TypingStarted if isinstance(stanza, st.TypingMessage) else events.TypingStopped
            self._bus.emit(kind(user_id=sender.user_id, dialog_id=sender.dialog_id, jid=stanza.from_))

    def _system(self, stanza: st.SystemMessage) -> None:
        sender, params = self._sender(stanza.from_), _all_params(stanza.extra)
        if not self._repeated(stanza, stanza.id, sender, self._is_own(sender), (stanza.body, str(stanza.extra.params))):
            user_id = None if sender.dialog_id is not None else sender.user_id
            found = events.SystemMessageReceived(user_id=user_id, params=params, body=stanza.body, jid=stanza.from_)
            self._bus.emit(found)

    def _call(self, stanza: st.CallSignal) -> None:
        if stanza.delay is None:  # A stored signal belongs to a call that is over (K-30).
            user_id = self._addresses.user_of(stanza.from_)
            self._bus.emit(events.CallSignalReceived(user_id=user_id, signal=stanza, jid=stanza.from_))

    def _refused(self, stanza: st.MessageError) -> None:
        self._messages.refused(stanza)
        if stanza.error is not None and stanza.error.condition == "not-acceptable":
            self._rooms.suspect(stanza.from_)  # Only occupants may speak (XEP-0045 section 7.4).

    # -- carbons

    def _carbon(self, stanza: st.SentCarbonMessage | st.ReceivedCarbonMessage) -> None:
        """Process the copy of a message that another device sent or received."""
        copy = stanza.sent if isinstance(stanza, st.SentCarbonMessage) else stanza.received
        inner = copy.forwarded.stanza
        # Anyone can send a message that looks like a carbon (XEP-0280 section 11), also within another one.
        if stanza.from_ != bare(self._traffic.jid):
            self._reject_carbon(stanza)
            return
        if isinstance(inner, (st.SentCarbonMessage, st.ReceivedCarbonMessage)):
            self._reject_carbon(inner)
            return
        if isinstance(inner, (st.ChatMessage, st.GroupMessage)):
            self._message(inner, carbon=True)
        elif not isinstance(inner, st.MessageError):
            self.take(inner)
        else:
            return
        if self._bus.stanzas:
            self._bus.emit(inner)

    def _reject_carbon(self, stanza: st.Stanza) -> None:
        self._traffic.reject("a carbon that is not from the user's own account", stanza)

    # -- presence

    def _presence_of(self, stanza: st.AvailablePresence | st.UnavailablePresence) -> None:
        jid = stanza.from_ or ""
        if bare(jid) != bare(self._traffic.jid):
            self._roster.presence(stanza)
        elif jid != self._traffic.jid and isinstance(stanza, st.UnavailablePresence):
            # Like the platform's clients: when another device goes offline, announce that this one is still here
            # (section 3.5 of the facts).
            self._presence.announce()

    def _presence_error(self, stanza: st.RoomJoinError | st.PresenceError) -> None:
        if self._messages.own.get(stanza.id or "") is not None:
            self._messages.refused(stanza)
        elif not self._rooms.refused(stanza):
            self._traffic.reject("a presence came back as an error", stanza)

    # -- requests

    def _subscription(self, stanza: Any) -> None:
        self._roster.subscription(stanza)

    def _entered(self, stanza: st.RoomOccupant) -> None:
        self._rooms.entered(stanza)

    def _left(self, stanza: st.RoomOccupantLeft) -> None:
        self._rooms.left(stanza)

    def _roster_push(self, stanza: st.RosterSet) -> None:
        if not self._from_own(stanza, "a roster push"):
            return
        self._traffic.post(st.IqResult(id=stanza.id))
        for item in stanza.query.items:
            self._roster.pushed(item)

    def _privacy_push(self, stanza: st.PrivacySet) -> None:
        if not self._from_own(stanza, "a privacy push"):
            return
        self._traffic.post(st.IqResult(id=stanza.id))
        for entry in stanza.query.lists:
            self._lists.pushed(entry.name)

    def _from_own(self, stanza: st.RosterSet | st.PrivacySet, what: str) -> bool:
        """Return whether a push comes from the user's own account; others are not trusted (RFC 6121 section 2.1.6)."""
        if (stanza.from_ or "") in ("", self._traffic.jid, bare(self._traffic.jid)):
            return True
        self._traffic.reject(f"{what} that is not from the user's own account", stanza)
        self._unknown_request(stanza)
        return False

    def _last_activity(self, stanza: st.LastActivityPush | st.LastActivityResult) -> None:
        """Process the last activity of a followed user. A late answer to a request looks the same."""
        # K-50
        user_id = self._addresses.user_of(stanza.from_)
        if isinstance(stanza, st.LastActivityPush):
            self._traffic.post(st.IqResult(id=stanza.id, to=stanza.from_))
        if user_id is not None:
            self._bus.emit(events.LastActivityChanged(user_id=user_id, seconds=stanza.query.seconds))

    def _ping(self, stanza: st.PingRequest) -> None:
        self._traffic.post(st.IqResult(id=stanza.id, to=stanza.from_))

    def _unsupported(self, stanza: st.Stanza) -> None:
        """Refuse a request, unless there are handlers of its class, which answer it. Unexpected answers are ignored."""
        if stanza.to_element().get("type") in ("get", "set") and not self._bus.serves(type(stanza)):
            self._unknown_request(stanza)

    def _unknown_request(self, stanza: Any) -> None:
        """Refuse a request that is not supported: each one must be answered (RFC 6120 section 8.4)."""
        fault = st.StanzaFault(type="cancel", condition="service-unavailable")
        self._traffic.post(st.IqError(id=stanza.id, to=stanza.from_, error=fault))


def _dialog(extra: st.ExtraParams | None) -> str | None:
    return None if extra is None else extra.dialog_id


def _all_params(extra: st.ExtraParams) -> dict[str, Any]:
    """Return all parameters except the module identifier (section 3.3 of the facts)."""
    found: dict[str, Any] = {}
    for name in ("save_to_history", "dialog_id", "date_sent", "message_id", "silent", "markable"):
        value = getattr(extra, name)
        if value is not None:
            found[name] = str(int(value)) if isinstance(value, (bool, int)) else value
    return {**found, **extra.params}


# One for all chats: it takes 3 KiB.
_TABLE: Final[dict[type[Any], Callable[[Inbound, Any], None]]] = {
    st.ChatMessage: Inbound._message,
    st.GroupMessage: Inbound._message,
    st.EditMessage: Inbound._edit,
    st.RemovalMessage: Inbound._removal,
    st.ReactionsMessage: Inbound._reactions,
    st.DeliveredMark: Inbound._delivered,
    st.ReadMark: Inbound._read,
    st.TypingMessage: Inbound._typing,
    st.PausedMessage: Inbound._typing,
    st.SystemMessage: Inbound._system,
    st.CallSignal: Inbound._call,
    st.MessageError: Inbound._refused,
    st.SentCarbonMessage: Inbound._carbon,
    st.ReceivedCarbonMessage: Inbound._carbon,
    st.AvailablePresence: Inbound._presence_of,
    st.UnavailablePresence: Inbound._presence_of,
    st.Subscribe: Inbound._subscription,
    st.Subscribed: Inbound._subscription,
    st.Unsubscribe: Inbound._subscription,
    st.Unsubscribed: Inbound._subscription,
    st.RoomOccupant: Inbound._entered,
    st.RoomOccupantLeft: Inbound._left,
    st.RoomJoinError: Inbound._presence_error,
    st.PresenceError: Inbound._presence_error,
    st.RosterSet: Inbound._roster_push,
    st.PrivacySet: Inbound._privacy_push,
    st.LastActivityPush: Inbound._last_activity,
    st.LastActivityResult: Inbound._last_activity,
    st.PingRequest: Inbound._ping,
}
