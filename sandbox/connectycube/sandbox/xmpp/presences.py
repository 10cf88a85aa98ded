"""Who is online, and who is told (RFC 6121 section 4, K-07, K-44 to K-46, K-50, K-51)."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

from connectycube.stanzas import (
    AvailablePresence,
    LastActivity,
    LastActivityPush,
    PresenceError,
    PresenceProbe,
    RoomJoin,
    RoomJoinError,
    RoomOccupant,
    RoomOccupantLeft,
    UnavailablePresence,
)

from .addresses import Jid
from .faults import StanzaRefused
from .kinds import Presence, Subscription, addressed
from .privacy import What

if TYPE_CHECKING:
    from .chat import Chat
    from .session import Session

__all__ = ["Presences"]


class Presences:
    """Takes presence of clients, and brings it to those who may see it."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._core = chat.core
        self._watchers: dict[int, set[Session]] = {}
        """Who is told when a user comes and goes, whatever their subscription (K-51)."""

    def forget(self) -> None:
        """All users are gone."""
        self._watchers.clear()

    # -- from a client

    def handle(self, session: Session, presence: Presence) -> None:
        """A presence of a client.

        :raises StanzaRefused: if it can't be taken.
        """
        if presence.to is None:
            self._to_all(session, presence)
            return
        to = Jid.parse(presence.to)
        addresses = self._chat.addresses
        dialog_id, user_id = addresses.dialog_id(to), addresses.user_id(to)
        if dialog_id is not None:
            self._to_room(session, presence, dialog_id, to)
        elif user_id is not None:
            self._to_user(session, presence, user_id, to)
        elif to.domain not in (addresses.host, addresses.muc_host):
            raise StanzaRefused("remote-server-not-found")

    def _to_all(self, session: Session, presence: Presence) -> None:
        if isinstance(presence, AvailablePresence):
            self._available(session, presence)
        elif isinstance(presence, UnavailablePresence):
            self._unavailable(session, presence)
        elif not isinstance(presence, PresenceError):
            raise StanzaRefused("bad-request")

    def _to_room(self, session: Session, presence: Presence, dialog_id: str, to: Jid) -> None:
        if isinstance(presence, (RoomJoin, RoomOccupant, AvailablePresence)):
            self._chat.rooms.enter(session, presence, dialog_id, to.resource)
        elif isinstance(presence, (UnavailablePresence, RoomOccupantLeft)):
            self._chat.rooms.leave(session, presence, dialog_id)
        elif not isinstance(presence, (PresenceError, RoomJoinError)):
            raise StanzaRefused("service-unavailable")

    def _to_user(self, session: Session, presence: Presence, user_id: int, to: Jid) -> None:
        if isinstance(presence, Subscription):
            self._chat.roster.handle(session, presence, user_id)
        elif isinstance(presence, PresenceProbe):
            self._probe(user_id, session)
        elif isinstance(presence, (AvailablePresence, UnavailablePresence, PresenceError)):
            self._direct(session, presence, user_id, to)
        else:
            raise StanzaRefused("bad-request")

    def _direct(
        self, session: Session, presence: AvailablePresence | UnavailablePresence | PresenceError, user_id: int, to: Jid
    ) -> None:
        """Presence for one user (RFC 6121 section 4.6)."""
        if isinstance(presence, AvailablePresence):
            session.directed.add(str(to))
        else:
            session.directed.discard(str(to))
        if not self._shows(session, user_id):
            return
        for other in self._devices(user_id, to):
            if self._sees(other, session):
                other.send(addressed(presence, from_=session.jid, to=str(to)))

    def _devices(self, user_id: int, to: Jid) -> list[Session]:
        """Who gets presence that is for an address."""
        if to.resource is None:
            return self._chat.available(user_id)
        named = self._chat.session(user_id, to.resource)
        return [] if named is None else [named]

    # -- coming and going

    def _available(self, session: Session, presence: AvailablePresence) -> None:
        before = session.presence
        was_online = self._core.presence.is_online(session.user_id)
        waits_for_messages = before is None or session.priority < 0
        session.presence = addressed(presence, from_=session.jid, to=None)
        if before is None:
            self._core.presence.came_online(session.user_id)
        # The own one comes back (K-07).
        for other in self._chat.available(session.user_id):
            other.send(addressed(session.presence, from_=session.jid, to=other.bare))
        self._tell_contacts(session, session.presence)
        if before is None:
            self._look_around(session)
            self._chat.roster.redeliver(session)
        if not was_online:
            self._push_activity(session.user_id)
        if waits_for_messages and session.priority >= 0:
            self._chat.messages.deliver_kept(session)

    def _look_around(self, session: Session) -> None:
        """Who is online of those whom a new device may see (RFC 6121 section 4.3)."""
        for other in self._chat.available(session.user_id):
            if other is not session and other.presence is not None:
                session.send(addressed(other.presence, from_=other.jid, to=session.jid))
        for state in self._core.contacts.all(session.user_id):
            if state.to:
                self._probe(state.contact_id, session)

    def _probe(self, user_id: int, session: Session) -> None:
        """A device asks for a user's presence; only subscribers and the user get an answer (RFC 6121 section 4.3.2)."""
        if user_id == session.user_id or self._core.contacts.get(user_id, session.user_id).from_:
            for other in self._chat.available(user_id):
                self._send(other, session)

    def _unavailable(self, session: Session, presence: UnavailablePresence) -> None:
        if session.presence is None:
            return
        session.presence = None
        self._core.presence.went_offline(session.user_id)
        last = addressed(presence, from_=session.jid, to=None)
        self._chat.rooms.leave_all(session)
        for other in self._chat.available(session.user_id):
            other.send(addressed(last, from_=session.jid, to=other.bare))
        self._tell_contacts(session, last)
        self._tell_directed(session, last)
        if not self._core.presence.is_online(session.user_id):
            self._push_activity(session.user_id)

    def gone(self, session: Session) -> None:
        """A device has ended, with or without a word (RFC 6121 section 4.5.2)."""
        for user_id in list(session.watched):
            self.watch(session, user_id, False)
        if session.presence is not None:
            self._unavailable(session, UnavailablePresence())
        else:
            self._chat.rooms.leave_all(session)
            self._tell_directed(session, UnavailablePresence(from_=session.jid))

    def _tell_contacts(self, session: Session, presence: AvailablePresence | UnavailablePresence) -> None:
        for state in self._core.contacts.all(session.user_id):
            if state.from_ and self._shows(session, state.contact_id):
                for other in self._chat.available(state.contact_id):
                    if self._sees(other, session):
                        other.send(addressed(presence, from_=session.jid, to=other.bare))

    def _tell_directed(self, session: Session, presence: UnavailablePresence) -> None:
        """Those who got presence of their own hear of the end too (RFC 6121 section 4.6.5)."""
        directed, session.directed = session.directed, set()
        for address in sorted(directed):
            to = Jid.parse(address)
            user_id = self._chat.addresses.user_id(to)
            if user_id is not None and not self._core.contacts.get(session.user_id, user_id).from_:
                self._direct(session, presence, user_id, to)

    # -- what subscriptions change

    def show(self, user_id: int, viewer_id: int) -> None:
        """A user's presence, for one who may see it from now on."""
        for viewer in self._chat.available(viewer_id):
            for session in self._chat.available(user_id):
                self._send(session, viewer)

    def hide(self, user_id: int, viewer_id: int) -> None:
        """A user seems to go offline, for one who may not see it any more."""
        for viewer in self._chat.available(viewer_id):
            for session in self._chat.available(user_id):
                if self._shows(session, viewer_id) and self._sees(viewer, session):
                    viewer.send(UnavailablePresence(from_=session.jid, to=viewer.bare))

    @contextmanager
    def hiding(self, user_id: int) -> Generator[None, None, None]:
        """Around a change of what a user's privacy lists deny: a device that may not see another any more is told that
        it is gone (XEP-0016 sections 2.10 and 2.11). Nothing says that it is shown again where the lists let it.
        """
        before = self._sights(user_id)
        yield
        after = self._sights(user_id)
        for session, viewer in before:
            if (session, viewer) not in after:
                viewer.send(UnavailablePresence(from_=session.jid, to=viewer.bare))

    def _sights(self, user_id: int) -> dict[tuple[Session, Session], None]:
        """Which device is seen by which, where one of the two is the user's."""
        own = self._chat.available(user_id)
        pairs: list[tuple[Session, Session]] = []
        for state in self._core.contacts.all(user_id):
            others = self._chat.available(state.contact_id)
            if state.from_:
                pairs += product(own, others)
            if state.to:
                pairs += product(others, own)
        for session in self._chat.sessions(user_id):
            for to in map(Jid.parse, session.directed):
                other_id = self._chat.addresses.user_id(to)
                if other_id is not None:
                    pairs += product([session], self._devices(other_id, to))
        return {one: None for one in pairs if self._shows(one[0], one[1].user_id) and self._sees(one[1], one[0])}

    def _send(self, session: Session, viewer: Session) -> None:
        if session.presence is not None and self._shows(session, viewer.user_id) and self._sees(viewer, session):
            viewer.send(addressed(session.presence, from_=session.jid, to=viewer.jid))

    def _shows(self, session: Session, viewer_id: int) -> bool:
        """Whether the sender's list lets presence out."""
        peer = Jid.parse(self._chat.addresses.user(viewer_id))
        return self._chat.privacy.allows(session, What.PRESENCE_OUT, peer)

    def _sees(self, viewer: Session, session: Session) -> bool:
        """Whether the receiver's list lets presence in."""
        return self._chat.privacy.allows(viewer, What.PRESENCE_IN, Jid.parse(session.jid))

    # -- status streaming

    def watch(self, session: Session, user_id: int, enable: bool) -> None:
        """Tell a device of a user's last activity from now on, or no more; it ends with the device (K-51, U-42)."""
        watchers = self._watchers.setdefault(user_id, set())
        (session.watched.add if enable else session.watched.discard)(user_id)
        (watchers.add if enable else watchers.discard)(session)
        if not watchers:
            del self._watchers[user_id]

    def _push_activity(self, user_id: int) -> None:
        """0 is online; who has just gone was last there a second ago (K-50)."""
        idle = self._core.presence.idle_seconds(user_id)
        online = self._core.presence.is_online(user_id)
        seconds = 0 if online else max(1, idle or 0)
        watchers: Iterable[Session] = self._watchers.get(user_id, ())
        for session in list(watchers):
            if self._chat.privacy.allows_user(user_id, What.IQ_IN, Jid.parse(session.jid)):
                session.send(
                    LastActivityPush(
                        id=f"activity-{self._chat.number()}",
                        from_=self._chat.addresses.user(user_id),
                        to=session.jid,
                        query=LastActivity(seconds=seconds),
                    )
                )
