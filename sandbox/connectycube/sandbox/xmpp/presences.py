"""Presence: who is online, and who may see it (RFC 6121 section 4, K-07, K-44 to K-46, K-50, K-51)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import product
from typing import get_args

from attrs import define, field

from connectycube.stanzas import (
    AvailablePresence,
    LastActivity,
    LastActivityPush,
    PresenceError,
    PresenceProbe,
    UnavailablePresence,
    parse,
)

from ..addresses import Addresses, Jid
from ..domain.contacts import Contacts
from ..domain.presence import Presence as OnlineUsers
from ..domain.privacy import What
from .faults import StanzaRefused
from .kinds import Presence, Subscription, addressed
from .messages import Messages
from .rooms import Rooms
from .router import Router
from .session import Session

__all__ = ["Presences"]


@define(eq=False)
class Presences:
    """Takes the presence of clients to those who may see it."""

    _router: Router
    _addresses: Addresses
    _contacts: Contacts
    _presence: OnlineUsers
    _messages: Messages
    _rooms: Rooms
    _watchers: dict[int, set[Session]] = field(factory=dict, init=False)
    """The devices that asked when a user comes and goes. It takes no presence subscription (K-51)."""

    def reset(self) -> None:
        """Forget all users."""
        self._watchers.clear()

    # -- from a client

    def broadcast(self, session: Session, presence: Presence) -> None:
        """Handle a client's presence to everyone.

        :raises StanzaRefused: if that kind of presence needs an address.
        """
        if isinstance(presence, AvailablePresence):
            self._available(session, presence)
        elif isinstance(presence, UnavailablePresence):
            self._unavailable(session, presence)
        else:
            raise StanzaRefused("bad-request")

    def handle(self, session: Session, presence: Presence, user_id: int, to: Jid) -> None:
        """Handle a client's presence to a user, other than a subscription.

        :raises StanzaRefused: if users don't accept that kind of presence.
        """
        if isinstance(presence, PresenceProbe):
            self._probe(user_id, session)
        elif isinstance(presence, (AvailablePresence, UnavailablePresence, PresenceError)):
            self._direct(session, presence, user_id, to)
        else:
            raise StanzaRefused("bad-request")

    def _direct(
        self, session: Session, presence: AvailablePresence | UnavailablePresence | PresenceError, user_id: int, to: Jid
    ) -> None:
        """Send directed presence (RFC 6121 section 4.6)."""
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
        """Return the devices that receive presence to an address."""
        if to.resource is None:
            return self._router.available(user_id)
        named = self._router.session(user_id, to.resource)
        return [] if named is None else [named]

    # -- coming and going

    def _available(self, session: Session, presence: AvailablePresence) -> None:
        before = session.presence
        was_online = self._presence.is_online(session.user_id)
        waits_for_messages = before is None or session.priority < 0
        session.presence = addressed(presence, from_=session.jid, to=None)
        if before is None:
            self._presence.came_online(session.user_id)
        # The device receives its own presence back (K-07).
        for other in self._router.available(session.user_id):
            other.send(addressed(session.presence, from_=session.jid, to=other.bare))
        self._tell_contacts(session, session.presence)
        if before is None:
            self._look_around(session)
            self._show_requests(session)
        if not was_online:
            self._push_activity(session.user_id)
        if waits_for_messages and session.priority >= 0:
            self._messages.deliver_kept(session)

    def _look_around(self, session: Session) -> None:
        """Show a new device who is online of those whom it may see (RFC 6121 section 4.3)."""
        for other in self._router.available(session.user_id):
            if other is not session and other.presence is not None:
                session.send(addressed(other.presence, from_=other.jid, to=session.jid))
        for state in self._contacts.all(session.user_id):
            if state.to:
                self._probe(state.contact_id, session)

    def _show_requests(self, session: Session) -> None:
        """Repeat the subscription requests that the user has not answered (RFC 6121 section 3.1.3)."""
        for state in self._contacts.all(session.user_id):
            if state.pending_in and state.request is not None:
                stanza = parse(state.request)
                assert isinstance(stanza, get_args(Subscription))
                session.send(stanza)

    def _probe(self, user_id: int, session: Session) -> None:
        """Answer a probe, if it comes from a subscriber or the user's own device (RFC 6121 section 4.3.2)."""
        if user_id == session.user_id or self._contacts.get(user_id, session.user_id).from_:
            for other in self._router.available(user_id):
                self._send(other, session)

    def _unavailable(self, session: Session, presence: UnavailablePresence) -> None:
        if session.presence is None:
            return
        session.presence = None
        session.send_backlog(None)
        self._presence.went_offline(session.user_id)
        last = addressed(presence, from_=session.jid, to=None)
        self._rooms.leave_all(session)
        for other in self._router.available(session.user_id):
            other.send(addressed(last, from_=session.jid, to=other.bare))
        self._tell_contacts(session, last)
        self._tell_directed(session, last)
        if not self._presence.is_online(session.user_id):
            self._push_activity(session.user_id)

    def gone(self, session: Session) -> None:
        """Make a device that has ended unavailable (RFC 6121 section 4.5.2)."""
        for user_id in list(session.watched):
            self.watch(session, user_id, False)
        if session.presence is not None:
            self._unavailable(session, UnavailablePresence())
        else:
            self._rooms.leave_all(session)
            self._tell_directed(session, UnavailablePresence(from_=session.jid))

    def _tell_contacts(self, session: Session, presence: AvailablePresence | UnavailablePresence) -> None:
        for state in self._contacts.all(session.user_id):
            if state.from_ and self._shows(session, state.contact_id):
                for other in self._router.available(state.contact_id):
                    if self._sees(other, session):
                        other.send(addressed(presence, from_=session.jid, to=other.bare))

    def _tell_directed(self, session: Session, presence: UnavailablePresence) -> None:
        """Tell those who received directed presence that it ended (RFC 6121 section 4.6.5)."""
        directed, session.directed = session.directed, set()
        for address in sorted(directed):
            to = Jid.parse(address)
            user_id = self._addresses.user_id(to)
            if user_id is not None and not self._contacts.get(session.user_id, user_id).from_:
                self._direct(session, presence, user_id, to)

    # -- what subscriptions change

    def show(self, user_id: int, viewer_id: int) -> None:
        """Show a user's presence to a new subscriber."""
        for viewer in self._router.available(viewer_id):
            for session in self._router.available(user_id):
                self._send(session, viewer)

    def hide(self, user_id: int, viewer_id: int) -> None:
        """Make a user seem offline to a former subscriber."""
        for viewer in self._router.available(viewer_id):
            for session in self._router.available(user_id):
                if self._shows(session, viewer_id) and self._sees(viewer, session):
                    viewer.send(UnavailablePresence(from_=session.jid, to=viewer.bare))

    @contextmanager
    def hiding(self, user_id: int) -> Generator[None, None, None]:
        """Make a user's devices seem offline to those that a change of privacy lists hides them from, and vice versa.

        XEP-0016 sections 2.10 and 2.11. They don't say that presence is shown again when the lists permit it.
        """
        before = self._sights(user_id)
        yield
        after = self._sights(user_id)
        for session, viewer in before:
            if (session, viewer) not in after:
                viewer.send(UnavailablePresence(from_=session.jid, to=viewer.bare))

    def _sights(self, user_id: int) -> dict[tuple[Session, Session], None]:
        """Return the pairs of a device and one that sees it, where one of the two is the user's."""
        own = self._router.available(user_id)
        pairs: list[tuple[Session, Session]] = []
        for state in self._contacts.all(user_id):
            others = self._router.available(state.contact_id)
            if state.from_:
                pairs += product(own, others)
            if state.to:
                pairs += product(others, own)
        for session in self._router.sessions(user_id):
            for to in map(Jid.parse, session.directed):
                other_id = self._addresses.user_id(to)
                if other_id is not None:
                    pairs += product([session], self._devices(other_id, to))
        return {one: None for one in pairs if self._shows(one[0], one[1].user_id) and self._sees(one[1], one[0])}

    def _send(self, session: Session, viewer: Session) -> None:
        if session.presence is not None and self._shows(session, viewer.user_id) and self._sees(viewer, session):
            viewer.send(addressed(session.presence, from_=session.jid, to=viewer.jid))

    def _shows(self, session: Session, viewer_id: int) -> bool:
        """Return whether the sender's list lets presence out."""
        peer = Jid.parse(self._addresses.user(viewer_id))
        return self._router.allows(session, What.PRESENCE_OUT, peer)

    def _sees(self, viewer: Session, session: Session) -> bool:
        """Return whether the receiver's list lets presence in."""
        return self._router.allows(viewer, What.PRESENCE_IN, Jid.parse(session.jid))

    # -- status streaming

    def watch(self, session: Session, user_id: int, enable: bool) -> None:
        """Start or stop sending a user's last activity to a device, at most until it ends (K-51, U-42)."""
        watchers = self._watchers.setdefault(user_id, set())
        (session.watched.add if enable else session.watched.discard)(user_id)
        (watchers.add if enable else watchers.discard)(session)
        if not watchers:
            del self._watchers[user_id]

    def _push_activity(self, user_id: int) -> None:
        """Push a user's last activity: 0 while online, and at least a second when just gone (K-50)."""
        idle = self._presence.idle_seconds(user_id)
        online = self._presence.is_online(user_id)
        seconds = 0 if online else max(1, idle or 0)
        for session in list(self._watchers.get(user_id, ())):
            if self._router.allows_user(user_id, What.IQ_IN, Jid.parse(session.jid)):
                session.send(
                    LastActivityPush(
                        id=self._router.new_id("activity"),
                        from_=self._addresses.user(user_id),
                        to=session.jid,
                        query=LastActivity(seconds=seconds),
                    )
                )
