"""Requests to the server, its rooms and users (RFC 6120 section 8.2.3, RFC 6121 section 8.5, K-47 to K-64)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from connectycube.stanzas import (
    BindRequest,
    DiscoFeature,
    DiscoIdentity,
    DiscoInfo,
    DiscoInfoRequest,
    DiscoInfoResult,
    DiscoItem,
    DiscoItems,
    DiscoItemsRequest,
    DiscoItemsResult,
    EnableCarbonsRequest,
    IqResult,
    IqSet,
    LastActivity,
    LastActivityRequest,
    LastActivityResult,
    MobileStateSet,
    PingRequest,
    PrivacyRequest,
    PrivacySet,
    RosterGet,
    RosterSet,
    SessionRequest,
    Stanza,
    StatusStreamingSet,
)

from ..addresses import Addresses, Jid
from ..clock import Clock
from ..domain.accounts import Accounts
from ..domain.contacts import Contacts
from ..domain.presence import Presence
from ..domain.privacy import What
from .faults import StanzaRefused
from .kinds import addressed, plain
from .presences import Presences
from .privacy_lists import PrivacyLists
from .rooms import Rooms
from .roster import Roster
from .router import Router
from .session import Session

__all__ = ["Requests"]

FEATURES = """
    http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items
    http://tigase.org/protocol/mobile#v2 https://connectycube.com/protocol/status_streaming
    jabber:iq:last jabber:iq:privacy jabber:iq:roster msgoffline urn:xmpp:carbons:2 urn:xmpp:ping
""".split()
"""The features that the server advertises (XEP-0030)."""
ROOM_FEATURES = """
    http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items http://jabber.org/protocol/muc
    muc_membersonly muc_persistent muc_semianonymous
""".split()
_DISABLE_CARBONS = '<disable xmlns="urn:xmpp:carbons:2"'


@define(eq=False)
class Requests:
    """Answers requests, and forwards those to other clients."""

    _router: Router
    _addresses: Addresses
    _clock: Clock
    _accounts: Accounts
    _contacts: Contacts
    _presence: Presence
    _rooms: Rooms
    _presences: Presences
    _roster: Roster
    _privacy_lists: PrivacyLists
    _handlers: dict[type[Stanza], Callable[[Session, Any], Stanza]] = field(init=False)
    """The requests that the server answers itself, for the account or in its own name."""
    _started_at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started_at = self._clock.now()
        self._handlers = {
            PingRequest: self._ok,
            BindRequest: self._bind,
            SessionRequest: self._ok,
            RosterGet: self._roster.read,
            RosterSet: self._roster.change,
            PrivacyRequest: self._privacy_lists.read,
            PrivacySet: self._privacy_lists.change,
            EnableCarbonsRequest: self._carbons,
            MobileStateSet: self._mobile,
            StatusStreamingSet: self._stream_status,
            DiscoInfoRequest: self._info,
            DiscoItemsRequest: self._items,
            LastActivityRequest: self._uptime,
        }

    def handle(self, session: Session, iq: Any, to: Jid | None) -> None:
        """Handle a client's request, or its answer to one.

        :raises StanzaRefused: if it has no receiver. Answers are then dropped.
        """
        answer = self._answer(session, iq, to)
        if answer is not None:
            session.send(addressed(answer, from_=iq.to, to=session.jid))

    def _answer(self, session: Session, iq: Any, to: Jid | None) -> Stanza | None:
        if to is not None:
            dialog_id, user_id = self._addresses.dialog_id(to), self._addresses.user_id(to)
            if to.bare == session.bare and to.resource is None:
                to = None
            elif dialog_id is not None:
                return self._of_room(session, iq, dialog_id)
            elif user_id is not None:
                return self._of_user(session, iq, user_id, to)
            elif str(to) == self._addresses.muc_host:
                return self._of_rooms(session, iq)
            elif str(to) != self._addresses.host:
                raise StanzaRefused("remote-server-not-found")
        if isinstance(iq, IqSet) and any(text.startswith(_DISABLE_CARBONS) for text in iq.unknown):
            session.carbons = False
            return IqResult(id=iq.id)
        handler = self._handlers.get(type(iq))
        if handler is None:
            raise StanzaRefused("service-unavailable")
        return handler(session, iq)

    # -- the server

    def _ok(self, session: Session, iq: PingRequest | SessionRequest) -> Stanza:
        return IqResult(id=iq.id)

    def _bind(self, session: Session, iq: BindRequest) -> Stanza:
        raise StanzaRefused("not-allowed", "a resource is already bound")

    def _carbons(self, session: Session, iq: EnableCarbonsRequest) -> Stanza:
        session.carbons = True
        return IqResult(id=iq.id)

    def _mobile(self, session: Session, iq: MobileStateSet) -> Stanza:
        session.set_inactive(iq.state.inactive)
        return IqResult(id=iq.id)

    def _stream_status(self, session: Session, iq: StatusStreamingSet) -> Stanza:
        user_id = self._addresses.user_id(Jid.parse(iq.subscription.user_jid))
        if user_id is None or not self._accounts.exists(user_id):
            raise StanzaRefused("item-not-found")
        self._presences.watch(session, user_id, iq.subscription.enable)
        return IqResult(id=iq.id)

    def _info(self, session: Session, iq: DiscoInfoRequest) -> Stanza:
        if iq.query.node:
            raise StanzaRefused("item-not-found")
        own_account = iq.to is not None and iq.to != self._addresses.host
        identity = ("account", "registered", None) if own_account else ("server", "im", "ConnectyCube sandbox")
        return _info(iq, identity, FEATURES)

    def _items(self, session: Session, iq: DiscoItemsRequest) -> Stanza:
        items = (DiscoItem(jid=self._addresses.muc_host, name="Rooms"),) if iq.to else ()
        return DiscoItemsResult(id=iq.id, query=DiscoItems(node=iq.query.node, items=items))

    def _uptime(self, session: Session, iq: LastActivityRequest) -> Stanza:
        if iq.to is not None and iq.to != self._addresses.host:
            return self._last_activity(iq, session.user_id)
        up = max(0, int(self._clock.now() - self._started_at))
        return LastActivityResult(id=iq.id, query=LastActivity(seconds=up))

    # -- rooms

    def _of_room(self, session: Session, iq: Stanza, dialog_id: str) -> Stanza:
        if isinstance(iq, DiscoItemsRequest):
            items = self._rooms.occupants(session, dialog_id)
            return DiscoItemsResult(id=iq.id, query=DiscoItems(items=items))
        if isinstance(iq, DiscoInfoRequest):
            return _info(iq, ("conference", "text", self._rooms.name(dialog_id)), ROOM_FEATURES)
        raise StanzaRefused("service-unavailable")

    def _of_rooms(self, session: Session, iq: Stanza) -> Stanza:
        if isinstance(iq, DiscoItemsRequest):
            return DiscoItemsResult(id=iq.id, query=DiscoItems(items=self._rooms.all_of(session.user_id)))
        if isinstance(iq, DiscoInfoRequest):
            return _info(iq, ("conference", "text", "Rooms"), ROOM_FEATURES[:3])
        if isinstance(iq, PingRequest):
            return IqResult(id=iq.id)
        raise StanzaRefused("service-unavailable")

    # -- users

    def _of_user(self, session: Session, iq: Any, user_id: int, to: Jid) -> Stanza | None:
        peer = Jid.parse(session.jid)
        if user_id != session.user_id:
            if not self._router.allows(session, What.OTHER, to):
                raise StanzaRefused("not-acceptable")
            if not self._router.allows_user(user_id, What.IQ_IN, peer):
                raise StanzaRefused("service-unavailable")
        if to.resource is None:
            if isinstance(iq, LastActivityRequest):
                return self._last_activity(iq, user_id)
            if isinstance(iq, PingRequest) and self._contacts.get(user_id, session.user_id).from_:
                # The server answers for the account, but only to subscribers (X-37, RFC 6121 section 8.5.1).
                return IqResult(id=iq.id)
            raise StanzaRefused("service-unavailable")
        other = self._router.session(user_id, to.resource)
        if other is None or not self._router.allows(other, What.IQ_IN, peer):
            raise StanzaRefused("service-unavailable")
        other.send(addressed(plain(iq.to_element()), from_=session.jid, to=other.jid))
        return None

    def _last_activity(self, iq: LastActivityRequest, user_id: int) -> Stanza:
        """Return the seconds since a user was online: 0 if they are, an error if they never were (K-49)."""
        seconds = self._presence.idle_seconds(user_id)
        if seconds is None:
            raise StanzaRefused("item-not-found", "the user was never online")
        return LastActivityResult(id=iq.id, query=LastActivity(seconds=seconds))


def _info(iq: DiscoInfoRequest, identity: tuple[str, str, str | None], features: Sequence[str]) -> Stanza:
    category, kind, name = identity
    query = DiscoInfo(
        node=iq.query.node,
        identities=(DiscoIdentity(category=category, type=kind, name=name),),
        features=tuple(DiscoFeature(var=one) for one in features),
    )
    return DiscoInfoResult(id=iq.id, query=query)
