"""Requests to the server, its rooms and users (RFC 6120 section 8.2.3, RFC 6121 section 8.5, K-47 to K-64)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from connectycube.stanzas import (
    BindRequest,
    BindResult,
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
    IqError,
    IqResult,
    IqSet,
    LastActivity,
    LastActivityRequest,
    LastActivityResult,
    MobileStateSet,
    PingRequest,
    PrivacyRequest,
    PrivacyResult,
    PrivacySet,
    RosterGet,
    RosterResult,
    RosterSet,
    SessionRequest,
    Stanza,
    StatusStreamingSet,
)

from .addresses import Jid
from .faults import StanzaRefused
from .kinds import addressed
from .privacy import What
from .session import Session

if TYPE_CHECKING:
    from .chat import Chat

__all__ = ["Requests"]

FEATURES = """
    http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items
    http://tigase.org/protocol/mobile#v2 https://connectycube.com/protocol/status_streaming
    jabber:iq:last jabber:iq:privacy jabber:iq:roster msgoffline urn:xmpp:carbons:2 urn:xmpp:ping
""".split()
"""What the server says of itself (XEP-0030)."""
ROOM_FEATURES = """
    http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items http://jabber.org/protocol/muc
    muc_membersonly muc_persistent muc_semianonymous
""".split()
_DISABLE_CARBONS = '<disable xmlns="urn:xmpp:carbons:2"'


class Requests:
    """Answers what is asked, and passes on what is for other clients."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._core = chat.core

    def handle(self, session: Session, stanza: Stanza) -> None:
        """A request, or an answer, of a client.

        :raises StanzaRefused: if it can't be served.
        """
        iq = cast("IqSet", stanza)  # All that is no message and no presence is a request or an answer.
        answer = self._answer(session, iq, None if iq.to is None else Jid.parse(iq.to))
        if answer is not None:
            session.send(addressed(answer, from_=iq.to, to=session.jid))

    def _answer(self, session: Session, iq: IqSet, to: Jid | None) -> Stanza | None:
        addresses = self._chat.addresses
        if to is not None:
            dialog_id, user_id = addresses.dialog_id(to), addresses.user_id(to)
            if to.bare == session.bare and to.resource is None:
                to = None
            elif dialog_id is not None:
                return self._of_room(session, iq, dialog_id)
            elif user_id is not None:
                return self._of_user(session, iq, user_id, to)
            elif str(to) == addresses.muc_host:
                return self._of_rooms(session, iq)
            elif str(to) != addresses.host:
                raise StanzaRefused("remote-server-not-found")
        if not _asks(iq):
            return None
        if isinstance(iq, IqSet) and any(text.startswith(_DISABLE_CARBONS) for text in iq.unknown):
            session.carbons = False
            return IqResult(id=iq.id)
        handler = self._handlers.get(type(iq))
        if handler is None:
            raise StanzaRefused("service-unavailable")
        return handler(self, session, iq)

    # -- the server

    def _ping(self, session: Session, iq: PingRequest) -> Stanza:
        return IqResult(id=iq.id)

    def _bind(self, session: Session, iq: BindRequest) -> Stanza:
        raise StanzaRefused("not-allowed", "a resource is bound already")

    def _start_session(self, session: Session, iq: SessionRequest) -> Stanza:
        return IqResult(id=iq.id)

    def _roster(self, session: Session, iq: RosterGet) -> Stanza:
        return self._chat.roster.read(session, iq)

    def _set_roster(self, session: Session, iq: RosterSet) -> Stanza:
        return self._chat.roster.change(session, iq)

    def _privacy(self, session: Session, iq: PrivacyRequest) -> Stanza:
        return self._chat.privacy.read(session, iq)

    def _set_privacy(self, session: Session, iq: PrivacySet) -> Stanza:
        return self._chat.privacy.change(session, iq)

    def _carbons(self, session: Session, iq: EnableCarbonsRequest) -> Stanza:
        session.carbons = True
        return IqResult(id=iq.id)

    def _mobile(self, session: Session, iq: MobileStateSet) -> Stanza:
        session.set_inactive(iq.state.inactive)
        return IqResult(id=iq.id)

    def _stream_status(self, session: Session, iq: StatusStreamingSet) -> Stanza:
        user_id = self._chat.addresses.user_id(Jid.parse(iq.subscription.user_jid))
        if user_id is None or self._core.accounts.find(user_id) is None:
            raise StanzaRefused("item-not-found")
        self._chat.presences.watch(session, user_id, iq.subscription.enable)
        return IqResult(id=iq.id)

    def _info(self, session: Session, iq: DiscoInfoRequest) -> Stanza:
        if iq.query.node:
            raise StanzaRefused("item-not-found")
        own_account = iq.to is not None and iq.to != self._chat.addresses.host
        identity = ("account", "registered", None) if own_account else ("server", "im", "ConnectyCube sandbox")
        return _info(iq, identity, FEATURES)

    def _items(self, session: Session, iq: DiscoItemsRequest) -> Stanza:
        items = (DiscoItem(jid=self._chat.addresses.muc_host, name="Rooms"),) if iq.to else ()
        return DiscoItemsResult(id=iq.id, query=DiscoItems(node=iq.query.node, items=items))

    def _uptime(self, session: Session, iq: LastActivityRequest) -> Stanza:
        if iq.to is not None and iq.to != self._chat.addresses.host:
            return self._last_activity(session, iq, session.user_id)
        up = max(0, int(self._core.clock.now() - self._chat.started_at))
        return LastActivityResult(id=iq.id, query=LastActivity(seconds=up))

    # -- rooms

    def _of_room(self, session: Session, iq: Stanza, dialog_id: str) -> Stanza | None:
        if isinstance(iq, DiscoItemsRequest):
            items = self._chat.rooms.occupants(session, dialog_id)
            return DiscoItemsResult(id=iq.id, query=DiscoItems(items=items))
        if isinstance(iq, DiscoInfoRequest):
            return _info(iq, ("conference", "text", self._chat.rooms.name(dialog_id)), ROOM_FEATURES)
        return _no_service(iq)

    def _of_rooms(self, session: Session, iq: Stanza) -> Stanza | None:
        if isinstance(iq, DiscoItemsRequest):
            return DiscoItemsResult(id=iq.id, query=DiscoItems(items=self._chat.rooms.all_of(session.user_id)))
        if isinstance(iq, DiscoInfoRequest):
            return _info(iq, ("conference", "text", "Rooms"), ROOM_FEATURES[:3])
        if isinstance(iq, PingRequest):
            return IqResult(id=iq.id)
        return _no_service(iq)

    # -- users

    def _of_user(self, session: Session, iq: IqSet, user_id: int, to: Jid) -> Stanza | None:
        peer = Jid.parse(session.jid)
        if user_id != session.user_id:
            if not self._chat.privacy.allows(session, What.OTHER, to):
                raise StanzaRefused("not-acceptable")
            if not self._chat.privacy.allows_user(user_id, What.IQ_IN, peer):
                return _no_service(iq)
        if to.resource is None:
            if isinstance(iq, LastActivityRequest):
                return self._last_activity(session, iq, user_id)
            if isinstance(iq, PingRequest) and self._core.contacts.get(user_id, session.user_id).from_:
                # The server answers for the account, to those who may know of it (X-37, RFC 6121 section 8.5.1).
                return IqResult(id=iq.id)
            return _no_service(iq)
        other = self._chat.session(user_id, to.resource)
        if other is None or not self._chat.privacy.allows(other, What.IQ_IN, peer):
            return _no_service(iq)
        other.send(addressed(iq, from_=session.jid, to=other.jid))
        return None

    def _last_activity(self, session: Session, iq: LastActivityRequest, user_id: int) -> Stanza:
        """0 is online; who never was is an error (K-49)."""
        seconds = self._core.presence.idle_seconds(user_id)
        if seconds is None:
            raise StanzaRefused("item-not-found", "the user was never online")
        return LastActivityResult(id=iq.id, query=LastActivity(seconds=seconds))

    _handlers: ClassVar[dict[type[Stanza], Callable[[Requests, Session, Any], Stanza]]] = {
        PingRequest: _ping,
        BindRequest: _bind,
        SessionRequest: _start_session,
        RosterGet: _roster,
        RosterSet: _set_roster,
        PrivacyRequest: _privacy,
        PrivacySet: _set_privacy,
        EnableCarbonsRequest: _carbons,
        MobileStateSet: _mobile,
        StatusStreamingSet: _stream_status,
        DiscoInfoRequest: _info,
        DiscoItemsRequest: _items,
        LastActivityRequest: _uptime,
    }
    """What the server does itself, for the account or in its own name."""


def _asks(iq: Stanza) -> bool:
    """Whether it wants an answer."""
    return not isinstance(
        iq,
        (
            IqResult,
            IqError,
            BindResult,
            DiscoInfoResult,
            DiscoItemsResult,
            LastActivityResult,
            PrivacyResult,
            RosterResult,
        ),
    )


def _no_service(iq: Stanza) -> Stanza | None:
    """Refuse a request; an answer that finds nobody is dropped."""
    if _asks(iq):
        raise StanzaRefused("service-unavailable")
    return None


def _info(iq: DiscoInfoRequest, identity: tuple[str, str, str | None], features: Sequence[str]) -> Stanza:
    category, kind, name = identity
    query = DiscoInfo(
        node=iq.query.node,
        identities=(DiscoIdentity(category=category, type=kind, name=name),),
        features=tuple(DiscoFeature(var=one) for one in features),
    )
    return DiscoInfoResult(id=iq.id, query=query)
