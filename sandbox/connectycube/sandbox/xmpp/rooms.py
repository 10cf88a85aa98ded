"""Rooms of group, public and broadcast dialogs (XEP-0045, K-13, K-32 to K-39).

A dialog's occupants receive its messages on every device, joined or not (CX-04). Joining only shows who else is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from connectycube.stanzas import (
    AvailablePresence,
    DiscoItem,
    GroupMessage,
    InvitationMessage,
    MucActor,
    MucItem,
    MucJoin,
    MucStatus,
    MucUser,
    RoomJoin,
    RoomJoinError,
    RoomOccupant,
    RoomOccupantLeft,
    UnavailablePresence,
)

from ..addresses import Addresses, Jid
from ..clock import Clock
from ..domain.chat import ChatRules
from ..domain.dialog_model import Dialog, Role
from ..domain.dialogs import Dialogs
from ..domain.privacy import What
from .contents import completed, draft_of, saved
from .faults import StanzaRefused, fault
from .kinds import Message, Presence, addressed, has_content, kept_offline, message_type
from .messages import Messages, check_kind
from .router import Router
from .session import Delivery, Session

__all__ = ["Rooms"]

SELF, ASSIGNED_NICK, KICKED = 110, 210, 307
"""Status codes of XEP-0045 section 15.6. The SDKs treat 301 as a kick too (CX-06)."""
_AFFILIATIONS = {Role.NONE: "none", Role.MEMBER: "member", Role.ADMIN: "admin", Role.OWNER: "owner"}
_SUBJECT = '<subject xmlns="jabber:client"/>'
_DESTROY = '<destroy xmlns="http://jabber.org/protocol/muc#user"/>'


@define(eq=False)
class Rooms:
    """The rooms of all dialogs. A room exists as long as its dialog."""

    _router: Router
    _addresses: Addresses
    _clock: Clock
    _dialogs: Dialogs
    _rules: ChatRules
    _messages: Messages
    _joined: dict[str, dict[int, set[Session]]] = field(factory=dict, init=False)
    """The devices that have joined, by dialog and user."""

    def reset(self) -> None:
        """Forget all rooms."""
        self._joined.clear()

    def _dialog(self, dialog_id: str) -> Dialog:
        dialog = self._dialogs.find(dialog_id)
        if dialog is None or dialog.private:
            raise StanzaRefused("item-not-found")
        return dialog

    def _inside(self, dialog_id: str) -> list[Session]:
        return [session for devices in self._joined.get(dialog_id, {}).values() for session in devices]

    # -- messages

    def message(self, session: Session, message: Message, dialog_id: str, nick: str | None) -> None:
        """Handle a client's message to a room.

        :raises StanzaRefused: if there is no such room, or a room doesn't accept that kind of message.
        :raises Refused: if the user may not write there.
        """
        dialog = self._dialog(dialog_id)
        if nick is not None:
            raise self._private_message_refused(session, message, dialog_id, nick)
        check_kind(message)
        if isinstance(message, InvitationMessage) and message.invitation.invite is not None:
            raise self._invitation_refused(dialog, session.user_id)
        if message_type(message) != "groupchat":
            raise StanzaRefused("bad-request", "a room accepts only messages of type groupchat")
        if not self._dialogs.may_write(dialog, session.user_id):
            raise StanzaRefused("forbidden")
        if has_content(message):
            accepted = self._rules.group_message(dialog_id, draft_of(message, session.user_id), save=saved(message))
            message = completed(message, accepted)
            recipients: Iterable[int] = accepted.recipients
        else:
            self._messages.record(session.user_id, message)
            recipients = self._dialogs.readers(dialog)
        self.broadcast(dialog_id, session.user_id, message, recipients, origin=session)

    def _private_message_refused(self, session: Session, message: Message, dialog_id: str, nick: str) -> StanzaRefused:
        """Explain why a single occupant can't be written to (XEP-0045 section 7.5)."""
        if message_type(message) == "groupchat":
            return StanzaRefused("bad-request", "a message of type groupchat is for the whole room")
        if dialog_id not in session.rooms:
            return StanzaRefused("not-acceptable", "join the room before writing to an occupant")
        if nick not in map(str, self._joined[dialog_id]):
            return StanzaRefused("item-not-found")
        return StanzaRefused("feature-not-implemented", "write to the user's own address")

    def _invitation_refused(self, dialog: Dialog, user_id: int) -> StanzaRefused:
        """Explain why a room doesn't forward an invitation (XEP-0045 section 7.8.2)."""
        if self._dialogs.role(dialog, user_id) is Role.NONE:
            return StanzaRefused("forbidden")
        return StanzaRefused("feature-not-implemented", "users are added to a dialog over REST")

    def broadcast(
        self,
        dialog_id: str,
        sender_id: int,
        message: Message,
        recipients: Iterable[int],
        *,
        origin: Session | None = None,
    ) -> None:
        """Send a message to all devices of a dialog's occupants, including the sender's.

        :param origin: a device that receives the message even if it is not available yet.
        """
        from_ = self._addresses.occupant(dialog_id, sender_id)
        template = addressed(message, from_=from_, to=None)
        now, keep = self._clock.now(), kept_offline(message)
        for user_id in recipients:
            if user_id != sender_id and not self._reaches(dialog_id, sender_id, user_id):
                continue
            delivery = Delivery(user_id, template, now, keep)
            for session in self._router.sessions(user_id):
                joined = dialog_id in session.rooms
                if (session.available or joined or session is origin) and (
                    user_id == sender_id or self._router.allows(session, What.MESSAGE_IN, Jid.parse(from_))
                ):
                    session.send(addressed(template, from_=from_, to=session.jid), delivery)

    def _reaches(self, dialog_id: str, sender_id: int, user_id: int) -> bool:
        """Return whether the sender's list lets a message out: a rule without kinds denies both ways (F-100, U-47)."""
        peer = Jid.parse(self._addresses.occupant(dialog_id, user_id))
        return self._router.allows_user(sender_id, What.OTHER, peer)

    # -- joining and leaving

    def presence(self, session: Session, presence: Presence, dialog_id: str, nick: str | None) -> None:
        """Handle a client's presence to a room.

        :raises StanzaRefused: if a room doesn't accept that kind of presence.
        """
        if isinstance(presence, (RoomJoin, RoomOccupant, AvailablePresence)):
            self._enter(session, presence, dialog_id, nick)
        elif isinstance(presence, (UnavailablePresence, RoomOccupantLeft)):
            self._leave(session, presence, dialog_id)
        else:
            raise StanzaRefused("service-unavailable")

    def _enter(
        self,
        session: Session,
        presence: RoomJoin | RoomOccupant | AvailablePresence,
        dialog_id: str,
        nick: str | None,
    ) -> None:
        """Join a room, or change the presence shown in it (XEP-0045 sections 7.2 and 7.7)."""
        user_id = session.user_id
        refused = self._why_not_enter(user_id, dialog_id, nick)
        if refused is not None:
            error = fault(refused)
            session.send(RoomJoinError(id=presence.id, from_=presence.to, to=session.jid, muc=MucJoin(), error=error))
            return
        users = self._joined.setdefault(dialog_id, {})
        again = dialog_id in session.rooms
        new = user_id not in users
        if not again or isinstance(presence, RoomJoin):
            for other_id, devices in list(users.items()):
                if other_id != user_id:
                    self._show(dialog_id, other_id, next(iter(devices)).presence, [session])
        session.rooms.add(dialog_id)
        users.setdefault(user_id, set()).add(session)
        shown = AvailablePresence() if isinstance(presence, RoomJoin) else presence
        if isinstance(presence, RoomJoin) and session.presence is not None:
            shown = session.presence
        if new or again:
            others = [one for one in self._inside(dialog_id) if one is not session]
            self._show(dialog_id, user_id, shown, others)
        codes = (SELF,) if nick == str(user_id) else (SELF, ASSIGNED_NICK)
        self._show(dialog_id, user_id, shown, [session], *codes, id=presence.id)
        if not again or isinstance(presence, RoomJoin):
            room = self._addresses.room(dialog_id)
            # The empty subject ends the join sequence (XEP-0045 section 7.2.15).
            session.send(GroupMessage(from_=room, to=session.jid, unknown=(_SUBJECT,)))

    def _why_not_enter(self, user_id: int, dialog_id: str, nick: str | None) -> str | None:
        dialog = self._dialogs.find(dialog_id)
        if dialog is None or dialog.private:
            return "item-not-found"
        if nick is None:
            return "jid-malformed"
        return "registration-required" if self._dialogs.role(dialog, user_id) is Role.NONE else None

    def _show(
        self,
        dialog_id: str,
        user_id: int,
        presence: RoomOccupant | AvailablePresence | None,
        viewers: Iterable[Session],
        *codes: int,
        id: str | None = None,
    ) -> None:
        from_ = self._addresses.occupant(dialog_id, user_id)
        shown = presence or AvailablePresence()
        muc = MucUser(item=self._item(dialog_id, user_id, inside=True), statuses=_statuses(*codes))
        occupant = RoomOccupant(
            id=id, from_=from_, show=shown.show, status=shown.status, muc=muc, unknown=shown.unknown
        )
        for viewer in viewers:
            if self._sees(viewer, user_id, from_):
                viewer.send(evolve(occupant, to=viewer.jid))

    def _sees(self, viewer: Session, user_id: int, occupant: str) -> bool:
        return viewer.user_id == user_id or self._router.allows(viewer, What.PRESENCE_IN, Jid.parse(occupant))

    def _item(self, dialog_id: str, user_id: int, *, inside: bool) -> MucItem:
        dialog = self._dialogs.find(dialog_id)
        role = Role.NONE if dialog is None else self._dialogs.role(dialog, user_id)
        in_room = "moderator" if role >= Role.ADMIN else "participant"
        return MucItem(affiliation=_AFFILIATIONS[role], role=in_room if inside else "none")

    def _leave(self, session: Session, presence: UnavailablePresence | RoomOccupantLeft, dialog_id: str) -> None:
        """Leave a room (XEP-0045 section 7.14), with the same answer if the device had not joined."""
        self._take_out(session, dialog_id)
        muc = MucUser(item=self._item(dialog_id, session.user_id, inside=False), statuses=_statuses(SELF))
        from_ = self._addresses.occupant(dialog_id, session.user_id)
        session.send(RoomOccupantLeft(id=presence.id, from_=from_, to=session.jid, status=presence.status, muc=muc))

    def leave_all(self, session: Session) -> None:
        """Take a device out of all its rooms."""
        for dialog_id in sorted(session.rooms):
            self._take_out(session, dialog_id)

    def _take_out(self, session: Session, dialog_id: str) -> None:
        """Take a device out of a room. The others see the user leave with the last one."""
        session.rooms.discard(dialog_id)
        users = self._joined.get(dialog_id, {})
        devices = users.get(session.user_id, set())
        devices.discard(session)
        if not devices and users.pop(session.user_id, None) is not None:
            item = self._item(dialog_id, session.user_id, inside=False)
            self._show_left(dialog_id, session.user_id, self._inside(dialog_id), MucUser(item=item))
        if not users:
            self._joined.pop(dialog_id, None)

    def _show_left(self, dialog_id: str, user_id: int, viewers: Iterable[Session], muc: MucUser) -> None:
        from_ = self._addresses.occupant(dialog_id, user_id)
        for viewer in viewers:
            own = evolve(muc, statuses=(*_statuses(SELF), *muc.statuses)) if viewer.user_id == user_id else muc
            if self._sees(viewer, user_id, from_):
                viewer.send(RoomOccupantLeft(from_=from_, to=viewer.jid, muc=own))

    # -- what REST does to dialogs

    def remove(self, dialog_id: str, user_ids: Iterable[int], by_user_id: int | None) -> None:
        """Take users out of the room of a dialog they left or were removed from, which is a kick (K-39)."""
        for user_id in user_ids:
            users = self._joined.get(dialog_id, {})
            if user_id not in users:
                continue
            viewers = self._inside(dialog_id)
            kicked = by_user_id != user_id
            actor = MucActor(nick=str(by_user_id)) if kicked and by_user_id is not None else None
            item = MucItem(affiliation="none", role="none", actor=actor)
            muc = MucUser(item=item, statuses=_statuses(*((KICKED,) if kicked else ())))
            for session in users.pop(user_id):
                session.rooms.discard(dialog_id)
            if not users:
                self._joined.pop(dialog_id, None)
            self._show_left(dialog_id, user_id, viewers, muc)

    def destroy(self, dialog_id: str) -> None:
        """Close the room of a deleted dialog (XEP-0045 section 10.9)."""
        for user_id, devices in self._joined.pop(dialog_id, {}).items():
            for session in devices:
                session.rooms.discard(dialog_id)
            muc = MucUser(item=MucItem(affiliation="none", role="none"), unknown=(_DESTROY,))
            self._show_left(dialog_id, user_id, devices, muc)

    # -- service discovery

    def occupants(self, session: Session, dialog_id: str) -> tuple[DiscoItem, ...]:
        """Return who has joined a room (K-54).

        :raises StanzaRefused: if there is no such room, or the user is not in its dialog.
        """
        dialog = self._dialog(dialog_id)
        if self._dialogs.role(dialog, session.user_id) is Role.NONE:
            raise StanzaRefused("forbidden")
        users = sorted(self._joined.get(dialog_id, {}))
        return tuple(DiscoItem(jid=self._addresses.occupant(dialog_id, one), name=str(one)) for one in users)

    def name(self, dialog_id: str) -> str | None:
        """Return a room's name.

        :raises StanzaRefused: if there is no such room.
        """
        return self._dialog(dialog_id).name

    def all_of(self, user_id: int) -> tuple[DiscoItem, ...]:
        """Return the rooms that a user may enter (XEP-0045 section 6.3)."""
        dialogs, _ = self._dialogs.search([], user_id=user_id, skip=0, limit=-1)
        rooms = [one for one in dialogs if not one.private]
        return tuple(DiscoItem(jid=self._addresses.room(one.id), name=one.name) for one in rooms)


def _statuses(*codes: int) -> tuple[MucStatus, ...]:
    return tuple(MucStatus(code=code) for code in codes)
