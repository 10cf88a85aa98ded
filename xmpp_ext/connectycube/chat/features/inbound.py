"""What comes in: from typed stanzas to machines, answers and events (3.2 and 3.6 of the facts).

One table says which method takes which class. Pushes, carbons and the like are believed only from one's own account.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from connectycube import stanzas as st

from .. import events
from .._addresses import bare, room_of, user_of
from .._ids import Window
from ..connection.outbox import Outgoing
from ..models import EMPTY, ChatMessage

if TYPE_CHECKING:
    from ..connection.traffic import Wire
    from .privacy_lists import Lists
    from .rooms import Rooms
    from .roster import Roster

__all__ = ["Inbound", "delivered_mark"]

logger = logging.getLogger("connectycube.chat")

REPEATS = 4096
"""Messages whose ids are remembered, to drop those that come again after a reconnect (U-36)."""


class Inbound:
    """Takes the stanzas of a chat.

    :ivar own: ids of messages that were sent from here: a group sends them back.
    """

    __slots__ = ("_bus", "_lists", "_mark", "_rooms", "_roster", "_seen", "_table", "_wire", "own")

    def __init__(self, wire: Wire, rooms: Rooms, roster: Roster, lists: Lists) -> None:
        self._wire = wire
        self._bus = wire.bus
        self._rooms = rooms
        self._roster = roster
        self._lists = lists
        self._mark = wire.settings.mark_delivered
        self._seen = Window(REPEATS)
        self.own = Window(REPEATS)
        self._table: dict[type[Any], Callable[[Any, bool], None]] = {
            st.ChatMessage: self._message,
            st.GroupMessage: self._message,
            st.EditMessage: self._edit,
            st.RemovalMessage: self._removal,
            st.ReactionsMessage: self._reactions,
            st.DeliveredMark: self._delivered,
            st.ReadMark: self._read,
            st.TypingMessage: self._typing,
            st.PausedMessage: self._paused,
            st.SystemMessage: self._system,
            st.CallSignal: self._call,
            st.MessageError: self._refused,
            st.SentCarbonMessage: self._sent_carbon,
            st.ReceivedCarbonMessage: self._received_carbon,
            st.AvailablePresence: self._presence,
            st.UnavailablePresence: self._presence,
            st.Subscribe: self._subscription,
            st.Subscribed: self._subscription,
            st.Unsubscribe: self._subscription,
            st.Unsubscribed: self._subscription,
            st.RoomOccupant: self._entered,
            st.RoomOccupantLeft: self._left,
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

    def take(self, stanza: st.Stanza, carbon: bool = False) -> None:
        """Take a stanza.

        :param carbon: it is the copy of one that another device sent or got.
        """
        handle = self._table.get(type(stanza))
        if handle is None:
            logger.debug("nothing is done with a %s", type(stanza).__name__)
            return
        handle(stanza, carbon)

    # -- messages

    def _who(self, jid: str | None, dialog_id: str | None) -> tuple[int | None, str | None]:
        """User and dialog of an address: in a group they are the occupant and the room, which win over a parameter."""
        room = room_of(jid)
        if room is not None:
            return room[1], room[0]
        return user_of(jid), dialog_id

    def _message(self, stanza: st.ChatMessage | st.GroupMessage, carbon: bool) -> None:
        extra = stanza.extra
        if stanza.body is None and (extra is None or not (extra.attachments or extra.params)):
            return  # A room's subject, a notice of the server: nothing for a person.
        number = stanza.id
        params: Any = EMPTY
        dialog_id = date_sent = None
        attachments: tuple[st.Attachment, ...] = ()
        markable = stanza.markable is not None
        if extra is not None:
            params, dialog_id, date_sent = extra.params, extra.dialog_id, extra.date_sent
            attachments = extra.attachments
            markable = markable or bool(extra.markable)
            if number is None:
                number = extra.message_id
        kind: Literal["chat", "groupchat"] = "chat"
        recipient_id = None
        if isinstance(stanza, st.GroupMessage):
            kind = "groupchat"
            sender_id, dialog_id = self._who(stanza.from_, dialog_id)
            if number is not None and number in self.own:
                return  # The group's copy of what was sent from here; MessageSent tells of it.
        else:
            if stanza.from_ == self._wire.jid and not carbon:
                return  # CX-10
            sender_id, recipient_id = user_of(stanza.from_), user_of(stanza.to)
        if number is not None and not self._seen.add((sender_id or stanza.from_, number)):
            return
        delay = stanza.delay
        if date_sent is None and delay is not None:
            date_sent = int(delay.stamp.timestamp())
        if not carbon and self._mark != "never" and (markable or self._mark == "always"):
            self._mark_delivered(number, sender_id, dialog_id)
        self._bus.tell(
            events.MessageReceived(
                message=ChatMessage(
                    id=number,
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

    def _mark_delivered(self, number: str | None, sender_id: int | None, dialog_id: str | None) -> None:
        """Tell the sender by the rule of CX-02; without a dialog not (U-52), nor for one's own messages."""
        if number is None or sender_id is None or dialog_id is None or sender_id == self._wire.credentials.user_id:
            return
        mark_id = self._wire.ids.message()
        mark = delivered_mark(mark_id, self._wire.settings.user(sender_id), number, dialog_id)
        self._wire.submit(Outgoing(mark._write("jabber:client"), mark_id))

    def _edit(self, stanza: st.EditMessage, carbon: bool) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if self._repeated(stanza.id, user_id):
            return
        self._bus.tell(
            events.MessageEdited(
                message_id=stanza.replace.id,
                dialog_id=dialog_id,
                user_id=user_id,
                body=stanza.body or "",
                last=stanza.replace.last,
            )
        )

    def _removal(self, stanza: st.RemovalMessage, carbon: bool) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if self._repeated(stanza.id, user_id):
            return
        removed = events.MessageDeleted(message_id=stanza.remove.id, dialog_id=dialog_id, user_id=user_id)
        self._bus.tell(removed)

    def _repeated(self, number: str | None, user_id: int | None) -> bool:
        return number is not None and (number in self.own or not self._seen.add((user_id, number)))

    def _reactions(self, stanza: st.ReactionsMessage, carbon: bool) -> None:
        found = stanza.reactions
        _, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        self._bus.tell(
            events.ReactionsChanged(
                message_id=found.message_id,
                dialog_id=dialog_id,
                user_id=found.user_id,
                added=tuple(entry.type for entry in found.reactions if entry.add),
                removed=tuple(entry.type for entry in found.reactions if entry.remove),
            )
        )

    def _delivered(self, stanza: st.DeliveredMark, carbon: bool) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if not self._repeated(stanza.id, user_id):
            mark = events.MessageDelivered(message_id=stanza.received.id, dialog_id=dialog_id, user_id=user_id)
            self._bus.tell(mark)

    def _read(self, stanza: st.ReadMark, carbon: bool) -> None:
        user_id, dialog_id = self._who(stanza.from_, _dialog(stanza.extra))
        if not self._repeated(stanza.id, user_id):
            mark = events.MessageRead(message_id=stanza.displayed.id, dialog_id=dialog_id, user_id=user_id)
            self._bus.tell(mark)

    def _typing(self, stanza: st.TypingMessage, carbon: bool) -> None:
        self._tell_typing(events.TypingStarted, stanza)

    def _paused(self, stanza: st.PausedMessage, carbon: bool) -> None:
        self._tell_typing(events.TypingStopped, stanza)

    def _tell_typing(
        self,
        told: type[events.TypingStarted] | type[events.TypingStopped],
        stanza: st.TypingMessage | st.PausedMessage,
    ) -> None:
        user_id, dialog_id = self._who(stanza.from_, None)
        own = user_id == self._wire.credentials.user_id
        if not own and stanza.delay is None:  # A group sends one's own back, and what is late is over.
            self._bus.tell(told(user_id=user_id, dialog_id=dialog_id))

    def _system(self, stanza: st.SystemMessage, carbon: bool) -> None:
        user_id = user_of(stanza.from_)
        if not self._repeated(stanza.id, user_id):
            told = events.SystemMessageReceived(user_id=user_id, params=_all_params(stanza.extra), body=stanza.body)
            self._bus.tell(told)

    def _call(self, stanza: st.CallSignal, carbon: bool) -> None:
        if stanza.delay is None:  # A call that was missed is no call any more (K-30).
            self._bus.tell(events.CallSignalReceived(user_id=user_of(stanza.from_), signal=stanza))

    def _refused(self, stanza: st.MessageError, carbon: bool) -> None:
        user_id, dialog_id = self._who(stanza.from_, None)
        self._wire.outbox.refused(stanza, user_id, dialog_id)

    # -- carbons: anyone could send a message that looks like one (XEP-0280 section 11)

    def _sent_carbon(self, stanza: st.SentCarbonMessage, carbon: bool) -> None:
        self._unwrap(stanza, stanza.sent.forwarded.stanza, carbon)

    def _received_carbon(self, stanza: st.ReceivedCarbonMessage, carbon: bool) -> None:
        self._unwrap(stanza, stanza.received.forwarded.stanza, carbon)

    def _unwrap(self, outer: st.SentCarbonMessage | st.ReceivedCarbonMessage, inner: st.Stanza, carbon: bool) -> None:
        if carbon or outer.from_ != bare(self._wire.jid):
            self._wire.reject("a carbon that is not from the own account", outer)
        elif not isinstance(inner, st.MessageError):
            self.take(inner, carbon=True)

    # -- presence

    def _presence(self, stanza: st.AvailablePresence | st.UnavailablePresence, carbon: bool) -> None:
        jid = stanza.from_ or ""
        if bare(jid) != bare(self._wire.jid):
            self._roster.presence(stanza)
        elif jid != self._wire.jid and isinstance(stanza, st.UnavailablePresence):
            # The platform's clients say again that they are here when another device goes (3.5 of the facts).
            self._wire.session.announce()

    def _subscription(
        self, stanza: st.Subscribe | st.Subscribed | st.Unsubscribe | st.Unsubscribed, carbon: bool
    ) -> None:
        self._roster.subscription(stanza)

    def _entered(self, stanza: st.RoomOccupant, carbon: bool) -> None:
        self._rooms.entered(stanza)

    def _left(self, stanza: st.RoomOccupantLeft, carbon: bool) -> None:
        self._rooms.left(stanza)

    def _presence_error(self, stanza: st.RoomJoinError | st.PresenceError, carbon: bool) -> None:
        if not self._rooms.refused(stanza):
            self._wire.reject("a presence came back as an error", stanza)

    # -- requests

    def _roster_push(self, stanza: st.RosterSet, carbon: bool) -> None:
        if not self._from_own(stanza, "a roster push"):
            return
        self._wire.post(st.IqResult(id=stanza.id))
        for item in stanza.query.items:
            self._roster.pushed(item)

    def _privacy_push(self, stanza: st.PrivacySet, carbon: bool) -> None:
        if not self._from_own(stanza, "a privacy push"):
            return
        self._wire.post(st.IqResult(id=stanza.id))
        for entry in stanza.query.lists:
            self._lists.pushed(entry.name)

    def _from_own(self, stanza: st.RosterSet | st.PrivacySet, what: str) -> bool:
        """Pushes of others are not believed (RFC 6121 section 2.1.6)."""
        if (stanza.from_ or "") in ("", self._wire.jid, bare(self._wire.jid)):
            return True
        self._wire.reject(f"{what} that is not from the own account", stanza)
        self._unknown_request(stanza, False)
        return False

    def _last_activity(self, stanza: st.LastActivityPush | st.LastActivityResult, carbon: bool) -> None:
        """News of a user of whom one asked to be told (K-50); a late answer to a request looks like one."""
        user_id = user_of(stanza.from_)
        if isinstance(stanza, st.LastActivityPush):
            self._wire.post(st.IqResult(id=stanza.id, to=stanza.from_))
        if user_id is not None:
            told = events.LastActivityChanged(user_id=user_id, seconds=stanza.query.seconds)
            self._bus.tell(told)

    def _ping(self, stanza: st.PingRequest, carbon: bool) -> None:
        self._wire.post(st.IqResult(id=stanza.id, to=stanza.from_))

    def _unknown_request(self, stanza: Any, carbon: bool) -> None:
        """Every request is answered (RFC 6120 section 8.4)."""
        fault = st.StanzaFault(type="cancel", condition="service-unavailable")
        self._wire.post(st.IqError(id=stanza.id, to=stanza.from_, error=fault))


def delivered_mark(number: str, to: str, message_id: str, dialog_id: str | None) -> st.DeliveredMark:
    """The mark that a message has arrived; always of type chat, to its sender (K-20, CX-03)."""
    extra = None if dialog_id is None else st.ExtraParams(dialog_id=dialog_id)
    return st.DeliveredMark(id=number, to=to, type="chat", received=st.Received(id=message_id), extra=extra)


def _dialog(extra: st.ExtraParams | None) -> str | None:
    return None if extra is None else extra.dialog_id


def _all_params(extra: st.ExtraParams) -> dict[str, Any]:
    """All parameters but the one that says whose the message is (3.3 of the facts)."""
    found: dict[str, Any] = {}
    for name in ("save_to_history", "dialog_id", "date_sent", "message_id", "silent", "markable"):
        value = getattr(extra, name)
        if value is not None:
            found[name] = str(int(value)) if isinstance(value, (bool, int)) else value
    return {**found, **extra.params}
