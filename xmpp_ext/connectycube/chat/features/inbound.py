"""Inbound stanzas: from typed stanzas to machines, answers and events (sections 3.2 and 3.6 of the facts).

One table maps each stanza class to its method. Pushes and carbons are trusted only from the user's own account.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from connectycube import stanzas as st

from .. import events
from .._ids import Window, bare, room_of, user_of
from ..connection.traffic import Traffic
from ..models import EMPTY, ChatMessage
from .messages import REPEATS, Messages
from .presence import Presence
from .privacy_lists import Lists
from .rooms import Rooms
from .roster import Roster

__all__ = ["Inbound"]

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
        self._seen = Window(REPEATS)
        self._table: dict[type[Any], Callable[[Any], None]] = {
            st.ChatMessage: self._message,
            st.GroupMessage: self._message,
            st.EditMessage: self._edit,
            st.RemovalMessage: self._removal,
            st.ReactionsMessage: self._reactions,
            st.DeliveredMark: self._delivered,
            st.ReadMark: self._read,
            st.TypingMessage: self._typing,
            st.PausedMessage: self._typing,
            st.SystemMessage: self._system,
            st.CallSignal: self._call,
            st.MessageError: self._refused,
            st.SentCarbonMessage: self._carbon,
            st.ReceivedCarbonMessage: self._carbon,
            st.AvailablePresence: self._presence_of,
            st.UnavailablePresence: self._presence_of,
            st.Subscribe: roster.subscription,
            st.Subscribed: roster.subscription,
            st.Unsubscribe: roster.subscription,
            st.Unsubscribed: roster.subscription,
            st.RoomOccupant: rooms.entered,
            st.RoomOccupantLeft: rooms.left,
            st.RoomJoinError: self._presence_error,
            st.PresenceError: self._presence_error,
            st.RosterSet: self._roster_push,
            st.PrivacySet: self._privacy_push,
            st.LastActivityPush: self._last_activity,
            st.LastActivityResult: self._last_activity,
            st.PingRequest: self._ping,
            st.IqGet: self._unknown_request,
            st.IqSet: self._unknown_request,
            st.DiscoInfoRequest: self._unknown_request,
            st.DiscoItemsRequest: self._unknown_request,
            st.LastActivityRequest: self._unknown_request,
            st.PrivacyRequest: self._unknown_request,
            st.RosterGet: self._unknown_request,
            st.BindRequest: self._unknown_request,
            st.SessionRequest: self._unknown_request,
            st.EnableCarbonsRequest: self._unknown_request,
            st.MobileStateSet: self._unknown_request,
            st.StatusStreamingSet: self._unknown_request,
        }

    def take(self, stanza: st.Stanza) -> None:
        """Process a stanza."""
        handle = self._table.get(type(stanza))
        if handle is None:
            logger.debug("a %s is ignored", type(stanza).__name__)
            return
        handle(stanza)

    # -- messages

    def _who(self, jid: str | None, dialog_id: str | None) -> tuple[int | None, str | None]:
        """Return the user and dialog of an address.

        In a group they are the occupant and the room. The server sets that address, so it wins over a parameter, which
        the sender could forge.
        """
        room = room_of(jid)
        if room is not None:
            return room[1], room[0]
        return user_of(jid), dialog_id

    def _message(self, stanza: st.ChatMessage | st.GroupMessage, carbon: bool = False) -> None:
        extra = stanza.extra
        if stanza.body is None and (extra is None or not (extra.attachments or extra.params)):
            return  # Such as a room's subject or a notice of the server: not written by a person.
        message_id = stanza.id
        params: Any = EMPTY
        dialog_id = date_sent = None
        attachments: tuple[st.Attachment, ...] = ()
        markable = stanza.markable is not None
        if extra is not None:
            params, dialog_id, date_sent = extra.params, extra.dialog_id, extra.date_sent
            attachments = extra.attachments
            markable = markable or bool(extra.markable)
            if message_id is None:
                message_id = extra.message_id
        kind: Literal["chat", "groupchat"] = "chat"
        recipient_id = None
        if isinstance(stanza, st.GroupMessage):
            kind = "groupchat"
            sender_id, dialog_id = self._who(stanza.from_, dialog_id)
            if message_id is not None and message_id in self._messages.own:
                return  # The group's copy of a message sent from here, for which MessageSent was emitted.
        else:
            if stanza.from_ == self._traffic.jid and not carbon:
                return  # CX-10: a message of this very device is a copy, not news.
            sender_id, recipient_id = user_of(stanza.from_), user_of(stanza.to)
        if message_id is not None and not self._seen.add((sender_id or stanza.from_, message_id)):
            return  # U-36: a repeat, after the sender or the server reconnected.
        delay = stanza.delay
        if date_sent is None and delay is not None:
            date_sent = int(delay.stamp.timestamp())
        if not carbon and self._mark != "never" and (markable or self._mark == "always"):
            self._mark_delivered(message_id, sender_id, dialog_id)
        self._bus.emit(
            events.MessageReceived(
                message=ChatMessage(
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
                    destroy_after=None if stanza.destroy is None else stanza.destroy.after,
                    delayed=None if delay is None else delay.stamp,
                    carbon=carbon,
                )
            )
        )

    def _mark_delivered(self, message_id: str | None, sender_id: int | None, dialog_id: str | None) -> None:
        """Send a delivered mark, but not without a dialog or for the user's own messages."""
        # CX-02, U-52: other SDKs leave it out, too, where the dialog is not known.
        if message_id is None or sender_id is None or dialog_id is None:
            return
        if sender_id != user_of(self._traffic.jid):
            self._messages.post_delivered(message_id, sender_id, dialog_id)

    def _edit(self, stanza: st.EditMessage) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if self._repeated(stanza.id, user_id):
            return
        self._bus.emit(
            events.MessageEdited(
                message_id=stanza.replace.id,
                dialog_id=dialog_id,
                user_id=user_id,
                body=stanza.body or "",
                last=stanza.replace.last,
            )
        )

    def _removal(self, stanza: st.RemovalMessage) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if self._repeated(stanza.id, user_id):
            return
        removed = events.MessageDeleted(message_id=stanza.remove.id, dialog_id=dialog_id, user_id=user_id)
        self._bus.emit(removed)

    def _repeated(self, message_id: str | None, user_id: int | None) -> bool:
        return message_id is not None and (
            message_id in self._messages.own or not self._seen.add((user_id, message_id))
        )

    def _reactions(self, stanza: st.ReactionsMessage) -> None:
        found = stanza.reactions
        _, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        self._bus.emit(
            events.ReactionsChanged(
                message_id=found.message_id,
                dialog_id=dialog_id,
                user_id=found.user_id,
                added=tuple(entry.type for entry in found.reactions if entry.add),
                removed=tuple(entry.type for entry in found.reactions if entry.remove),
            )
        )

    def _delivered(self, stanza: st.DeliveredMark) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if not self._repeated(stanza.id, user_id):
            mark = events.MessageDelivered(message_id=stanza.received.id, dialog_id=dialog_id, user_id=user_id)
            self._bus.emit(mark)

    def _read(self, stanza: st.ReadMark) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if not self._repeated(stanza.id, user_id):
            mark = events.MessageRead(message_id=stanza.displayed.id, dialog_id=dialog_id, user_id=user_id)
            self._bus.emit(mark)

    def _typing(self, stanza: st.TypingMessage | st.PausedMessage) -> None:
        user_id, dialog_id = self._who(stanza.from_, None)
        # A group sends the user's own notification back, and a delayed one is out of date.
        if user_id != user_of(self._traffic.jid) and stanza.delay is None:
            kind = events.TypingStarted if isinstance(stanza, st.TypingMessage) else events.TypingStopped
            self._bus.emit(kind(user_id=user_id, dialog_id=dialog_id))

    def _system(self, stanza: st.SystemMessage) -> None:
        user_id = user_of(stanza.from_)
        if not self._repeated(stanza.id, user_id):
            params = _all_params(stanza.extra)
            self._bus.emit(events.SystemMessageReceived(user_id=user_id, params=params, body=stanza.body))

    def _call(self, stanza: st.CallSignal) -> None:
        if stanza.delay is None:  # A stored signal belongs to a call that is over (K-30).
            self._bus.emit(events.CallSignalReceived(user_id=user_of(stanza.from_), signal=stanza))

    def _refused(self, stanza: st.MessageError) -> None:
        user_id, dialog_id = self._who(stanza.from_, None)
        self._messages.refused(stanza, user_id, dialog_id)

    # -- carbons

    def _carbon(self, stanza: st.SentCarbonMessage | st.ReceivedCarbonMessage) -> None:
        """Process the copy of a message that another device sent or received."""
        copy = stanza.sent if isinstance(stanza, st.SentCarbonMessage) else stanza.received
        inner = copy.forwarded.stanza
        # Anyone can send a message that looks like a carbon (XEP-0280 section 11), also within another one.
        if stanza.from_ != bare(self._traffic.jid):
            self._reject_carbon(stanza)
        elif isinstance(inner, (st.SentCarbonMessage, st.ReceivedCarbonMessage)):
            self._reject_carbon(inner)
        elif isinstance(inner, (st.ChatMessage, st.GroupMessage)):
            self._message(inner, carbon=True)
        elif not isinstance(inner, st.MessageError):
            self.take(inner)

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
        if not self._rooms.refused(stanza):
            self._traffic.reject("a presence came back as an error", stanza)

    # -- requests

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
        user_id = user_of(stanza.from_)
        if isinstance(stanza, st.LastActivityPush):
            self._traffic.post(st.IqResult(id=stanza.id, to=stanza.from_))
        if user_id is not None:
            self._bus.emit(events.LastActivityChanged(user_id=user_id, seconds=stanza.query.seconds))

    def _ping(self, stanza: st.PingRequest) -> None:
        self._traffic.post(st.IqResult(id=stanza.id, to=stanza.from_))

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
