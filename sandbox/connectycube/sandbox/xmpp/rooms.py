"""Rooms of group, public and broadcast dialogs (XEP-0045, K-13, K-32 to K-39).

Who is in the dialog gets its messages on every device, joined or not (CX-04). Joining shows who else is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import evolve

from connectycube.stanzas import (
    AvailablePresence,
    DiscoItem,
    GroupMessage,
    InvitationMessage,
    MessageError,
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

from ..domain.dialog_model import Dialog, Role
from .addresses import Jid
from .contents import completed, draft_of, saved
from .faults import StanzaRefused, fault
from .kinds import Message, addressed, has_content, kept_offline, message_type
from .messages import check_kind
from .privacy import What
from .session import Delivery, Session

if TYPE_CHECKING:
    from .chat import Chat

__all__ = ["Rooms"]

SELF, ASSIGNED_NICK, KICKED = 110, 210, 307
"""Status codes of XEP-0045 section 15.6. SDKs take 301 for a kick as well (CX-06)."""
_AFFILIATIONS = {Role.NONE: "none", Role.MEMBER: "member", Role.ADMIN: "admin", Role.OWNER: "owner"}
_SUBJECT = '<subject xmlns="jabber:client"/>'
_DESTROY = '<destroy xmlns="http://jabber.org/protocol/muc#user"/>'


class Rooms:
    """All rooms. A room is there as long as its dialog."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._core = chat.core
        self._joined: dict[str, dict[int, set[Session]]] = {}
        """Devices that have joined, by dialog and user."""

    def forget(self) -> None:
        """All dialogs are gone."""
        self._joined.clear()

    def _dialog(self, dialog_id: str) -> Dialog:
        dialog = self._core.dialogs.find(dialog_id)
        if dialog is None or dialog.private:
            raise StanzaRefused("item-not-found")
        return dialog

    def _inside(self, dialog_id: str) -> list[Session]:
        return [session for devices in self._joined.get(dialog_id, {}).values() for session in devices]

    # -- messages

    def message(self, session: Session, message: Message, dialog_id: str, nick: str | None) -> None:
        """A message of a client to a room.

        :raises StanzaRefused: if there is no such room, or the kind is none for rooms.
        :raises Refused: if the user may not write there.
        """
        if isinstance(message, MessageError):
            return
        dialog = self._dialog(dialog_id)
        if nick is not None:
            raise self._no_private_message(session, message, dialog_id, nick)
        check_kind(message)
        if isinstance(message, InvitationMessage) and message.invitation.invite is not None:
            raise self._no_invitation(dialog, session.user_id)
        if message_type(message) != "groupchat":
            raise StanzaRefused("bad-request", "a room wants messages of the type groupchat")
        if not self._core.dialogs.may_write(dialog, session.user_id):
            raise StanzaRefused("forbidden")
        if has_content(message):
            accepted = self._core.chat.group_message(dialog_id, draft_of(message, session.user_id), save=saved(message))
            message = completed(message, accepted)
            recipients: Iterable[int] = accepted.recipients
        else:
            self._chat.messages.note(session.user_id, message)
            recipients = self._core.chat.readers(dialog_id)
        self.broadcast(dialog_id, session.user_id, message, recipients, origin=session)

    def _no_private_message(self, session: Session, message: Message, dialog_id: str, nick: str) -> StanzaRefused:
        """Why an occupant can't be written to alone: here one writes to the user (XEP-0045 section 7.5)."""
        if message_type(message) == "groupchat":
            return StanzaRefused("bad-request", "a message of the type groupchat is for the whole room")
        if dialog_id not in session.rooms:
            return StanzaRefused("not-acceptable", "only who has joined the room can write to an occupant")
        if nick not in map(str, self._joined[dialog_id]):
            return StanzaRefused("item-not-found")
        return StanzaRefused("feature-not-implemented", "write to the user's own address")

    def _no_invitation(self, dialog: Dialog, user_id: int) -> StanzaRefused:
        """Why a room passes no invitation on: REST puts users into dialogs (XEP-0045 section 7.8.2)."""
        if self._core.dialogs.role(dialog, user_id) is Role.NONE:
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
        """Bring a message to all devices of those who are in a dialog, its sender's among them.

        :param origin: a device that gets it even before it is available.
        """
        from_ = self._chat.addresses.occupant(dialog_id, sender_id)
        template = addressed(message, from_=from_, to=None)
        now, keep = self._core.clock.now(), kept_offline(message)
        for user_id in recipients:
            if user_id != sender_id and not self._reaches(dialog_id, sender_id, user_id):
                continue
            delivery = Delivery(user_id, template, now, keep)
            for session in self._chat.sessions(user_id):
                joined = dialog_id in session.rooms
                if (session.available or joined or session is origin) and (
                    user_id == sender_id or self._chat.privacy.allows(session, What.MESSAGE_IN, Jid.parse(from_))
                ):
                    session.send(addressed(template, from_=from_, to=session.jid), delivery)

    def _reaches(self, dialog_id: str, sender_id: int, user_id: int) -> bool:
        """Whether the sender's own list lets it out: a rule without children denies both ways (F-100, U-47)."""
        peer = Jid.parse(self._chat.addresses.occupant(dialog_id, user_id))
        return self._chat.privacy.allows_user(sender_id, What.OTHER, peer)

    # -- joining and leaving

    def enter(
        self,
        session: Session,
        presence: RoomJoin | RoomOccupant | AvailablePresence,
        dialog_id: str,
        nick: str | None,
    ) -> None:
        """Join a room, or show other presence in it (XEP-0045 sections 7.2 and 7.7).

        :raises StanzaRefused: if it can't be.
        """
        user_id = session.user_id
        refused = self._may_not_enter(user_id, dialog_id, nick)
        if refused is not None:
            to = None if presence.to is None else presence.to
            error = fault(refused)
            session.send(RoomJoinError(id=presence.id, from_=to, to=session.jid, muc=MucJoin(), error=error))
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
            room = self._chat.addresses.room(dialog_id)
            # The empty subject says that all has been told (XEP-0045 section 7.2.15).
            session.send(GroupMessage(from_=room, to=session.jid, unknown=(_SUBJECT,)))

    def _may_not_enter(self, user_id: int, dialog_id: str, nick: str | None) -> str | None:
        dialog = self._core.dialogs.find(dialog_id)
        if dialog is None or dialog.private:
            return "item-not-found"
        if nick is None:
            return "jid-malformed"
        return None if self._core.chat.may_enter(user_id, dialog_id) else "registration-required"

    def _show(
        self,
        dialog_id: str,
        user_id: int,
        presence: RoomOccupant | AvailablePresence | None,
        viewers: Iterable[Session],
        *codes: int,
        id: str | None = None,
    ) -> None:
        from_ = self._chat.addresses.occupant(dialog_id, user_id)
        shown = presence or AvailablePresence()
        muc = MucUser(item=self._item(dialog_id, user_id, inside=True), statuses=_statuses(*codes))
        for viewer in viewers:
            if self._sees(viewer, user_id, from_):
                viewer.send(
                    RoomOccupant(id=id, from_=from_, to=viewer.jid, show=shown.show, status=shown.status, muc=muc)
                )

    def _sees(self, viewer: Session, user_id: int, occupant: str) -> bool:
        return viewer.user_id == user_id or self._chat.privacy.allows(viewer, What.PRESENCE_IN, Jid.parse(occupant))

    def _item(self, dialog_id: str, user_id: int, *, inside: bool) -> MucItem:
        dialog = self._core.dialogs.find(dialog_id)
        role = Role.NONE if dialog is None else self._core.dialogs.role(dialog, user_id)
        in_room = "moderator" if role >= Role.ADMIN else "participant"
        return MucItem(affiliation=_AFFILIATIONS[role], role=in_room if inside else "none")

    def leave(self, session: Session, presence: UnavailablePresence | RoomOccupantLeft, dialog_id: str) -> None:
        """Leave a room (XEP-0045 section 7.14); who is not in it is told so all the same."""
        self._take_out(session, dialog_id)
        muc = MucUser(item=self._item(dialog_id, session.user_id, inside=False), statuses=_statuses(SELF))
        from_ = self._chat.addresses.occupant(dialog_id, session.user_id)
        session.send(RoomOccupantLeft(id=presence.id, from_=from_, to=session.jid, status=presence.status, muc=muc))

    def leave_all(self, session: Session) -> None:
        """A device is gone from all its rooms."""
        for dialog_id in sorted(session.rooms):
            self._take_out(session, dialog_id)

    def _take_out(self, session: Session, dialog_id: str) -> None:
        """Others see a user leave with the last device."""
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
        from_ = self._chat.addresses.occupant(dialog_id, user_id)
        for viewer in viewers:
            own = evolve(muc, statuses=(*_statuses(SELF), *muc.statuses)) if viewer.user_id == user_id else muc
            if self._sees(viewer, user_id, from_):
                viewer.send(RoomOccupantLeft(from_=from_, to=viewer.jid, muc=own))

    # -- what REST does to dialogs

    def put_out(self, dialog_id: str, user_ids: Iterable[int], by_user_id: int | None) -> None:
        """Users are not in the dialog any more: who left by oneself has left, others are kicked (K-39)."""
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
        """The dialog is gone for all (XEP-0045 section 10.9)."""
        for user_id, devices in self._joined.pop(dialog_id, {}).items():
            for session in devices:
                session.rooms.discard(dialog_id)
            muc = MucUser(item=MucItem(affiliation="none", role="none"), unknown=(_DESTROY,))
            self._show_left(dialog_id, user_id, devices, muc)

    # -- who is in it

    def occupants(self, session: Session, dialog_id: str) -> tuple[DiscoItem, ...]:
        """Who has joined a room, for those who are in the dialog (K-54).

        :raises StanzaRefused: if there is no such room, or it is none of the user's business.
        """
        dialog = self._dialog(dialog_id)
        if self._core.dialogs.role(dialog, session.user_id) is Role.NONE:
            raise StanzaRefused("forbidden")
        users = sorted(self._joined.get(dialog_id, {}))
        return tuple(DiscoItem(jid=self._chat.addresses.occupant(dialog_id, one), name=str(one)) for one in users)

    def name(self, dialog_id: str) -> str | None:
        """What a room is called.

        :raises StanzaRefused: if there is no such room.
        """
        return self._dialog(dialog_id).name

    def all_of(self, user_id: int) -> tuple[DiscoItem, ...]:
        """The rooms that a user may enter (XEP-0045 section 6.3)."""
        dialogs, _ = self._core.dialogs.search([], user_id=user_id, skip=0, limit=-1)
        rooms = [one for one in dialogs if not one.private]
        return tuple(DiscoItem(jid=self._chat.addresses.room(one.id), name=one.name) for one in rooms)


def _statuses(*codes: int) -> tuple[MucStatus, ...]:
    return tuple(MucStatus(code=code) for code in codes)
