"""Messages to one user: who receives them, who gets a copy, what waits (RFC 6121 section 8.5, XEP-0160, XEP-0280)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from xml.etree.ElementTree import fromstring

from attrs import define

from connectycube.stanzas import (
    CarbonReceived,
    CarbonSent,
    DeliveredMark,
    EditMessage,
    Forwarded,
    ReactionsMessage,
    ReadMark,
    ReceivedCarbonMessage,
    RemovalMessage,
    SentCarbonMessage,
)

from ..addresses import Addresses, Jid
from ..clock import Clock
from ..domain.accounts import Accounts
from ..domain.chat import ChatRules
from ..domain.presence import Presence
from ..domain.privacy import What
from ..storage import Unwritable
from .contents import completed, draft_of, saved
from .faults import StanzaRefused
from .kinds import (
    Headline,
    Message,
    addressed,
    copied,
    delay_of,
    delayed,
    has_content,
    kept_offline,
    message_type,
    read,
)
from .router import Router, route
from .session import Delivery, Sent, Session

__all__ = ["Messages", "check_kind"]

log = logging.getLogger("connectycube.sandbox")


@define(eq=False)
class Messages:
    """Delivers messages to users."""

    _router: Router
    _addresses: Addresses
    _clock: Clock
    _accounts: Accounts
    _presence: Presence
    _rules: ChatRules

    # -- from a client

    def handle(self, session: Session, message: Message, user_id: int, to: Jid) -> None:
        """Handle a client's message to a user.

        :raises StanzaRefused: if the message can't be accepted.
        :raises Refused: if a rule forbids it.
        """
        message = addressed(message, from_=session.jid, to=str(to))
        check_kind(message)
        if message_type(message) == "groupchat" or not self._accounts.exists(user_id):
            raise StanzaRefused("service-unavailable")
        peer = Jid.parse(session.jid)
        if user_id != session.user_id:
            # Users who block both directions can't write either: not-acceptable, as XEP-0016 section 2.13 has it.
            if not self._router.allows(session, What.OTHER, to):
                raise StanzaRefused("not-acceptable")
            if self._blocked(user_id, to.resource, peer, headline=isinstance(message, Headline)):
                raise StanzaRefused("service-unavailable")
        self.record(session.user_id, message)
        if has_content(message) and user_id != session.user_id:
            draft = draft_of(message, session.user_id)
            message = completed(message, self._rules.private_message(user_id, draft, save=saved(message)))
        self.deliver(user_id, message, peer, to.resource)
        self.copy_sent(session.user_id, message, session)

    def _blocked(self, user_id: int, resource: str | None, peer: Jid, *, headline: bool) -> bool:
        """Return whether privacy lists keep a message from every device (F-109)."""
        direct = route(self._router.sessions(user_id), resource, headline=headline).direct
        if direct:
            return not any(self._router.allows(one, What.MESSAGE_IN, peer) for one in direct)
        return not self._router.allows_user(user_id, What.MESSAGE_IN, peer)

    def record(self, user_id: int, message: Message) -> None:
        """Apply a mark, an edit or a removal to the history (K-20 to K-23).

        :raises Refused: if the sender may not.
        """
        if isinstance(message, DeliveredMark):
            self._rules.marked(user_id, message.received.id, read=False)
        elif isinstance(message, ReadMark):
            self._rules.marked(user_id, message.displayed.id, read=True)
        elif isinstance(message, EditMessage) and message.body is not None:
            self._rules.edited(user_id, message.replace.id, message.body)
        elif isinstance(message, RemovalMessage):
            self._rules.removed(user_id, message.remove.id)

    # -- to users

    def deliver(self, user_id: int, message: Message, peer: Jid, resource: str | None = None) -> None:
        """Send a message to a user's devices, or keep it.

        :param peer: the sender, as the privacy lists see it.
        """
        chosen = route(self._router.sessions(user_id), resource, headline=isinstance(message, Headline))
        delivery = Delivery(user_id, message, self._clock.now(), kept_offline(message))
        direct = [one for one in chosen.direct if self._router.allows(one, What.MESSAGE_IN, peer)]
        for session in direct:
            session.send(message, delivery)
        if direct and copied(message):
            self._copy_received(message, chosen.copies, peer)
        if not chosen.direct and delivery.keep and self._router.allows_user(user_id, What.MESSAGE_IN, peer):
            self._keep(delivery)

    def _copy_received(self, message: Message, sessions: Iterable[Session], peer: Jid) -> None:
        carbon = CarbonReceived(forwarded=Forwarded(stanza=message))
        kind = message_type(message)
        for session in sessions:
            if self._router.allows(session, What.MESSAGE_IN, peer):
                session.send(ReceivedCarbonMessage(from_=session.bare, to=session.jid, type=kind, received=carbon))

    def copy_sent(self, user_id: int, message: Message, origin: Session | None) -> None:
        """Show a user's other devices what one of them, or a REST call, has sent (K-28)."""
        if not copied(message):
            return
        carbon = CarbonSent(forwarded=Forwarded(stanza=message))
        kind = message_type(message)
        for session in self._router.sessions(user_id):
            if session.carbons and session is not origin:
                session.send(SentCarbonMessage(from_=session.bare, to=session.jid, type=kind, sent=carbon))

    # -- offline messages

    def _keep(self, delivery: Delivery) -> None:
        if self._accounts.exists(delivery.user_id):
            message = delayed(delivery.message, delay_of(self._addresses.host, delivery.sent_at))
            self._presence.store_offline(delivery.user_id, message.to_xml(), delivery.number)

    def deliver_kept(self, session: Session) -> None:
        """Send the messages that waited for a user to the device that came online, as fast as it reads them."""

        def take() -> Sent | None:
            try:
                kept = self._presence.take_offline(session.user_id)
            except Unwritable as error:
                log.warning("user %s gets the rest of the messages at the next login: %s", session.user_id, error)
                return None
            if kept is None:
                return None
            message = read(fromstring(kept.stanza))
            assert isinstance(message, Message)
            delivery = Delivery(session.user_id, message, kept.stored_at, True, kept.number)
            return Sent(addressed(message, from_=message.from_, to=message.to or session.jid), delivery)

        session.send_backlog(take)

    def redeliver(self, session: Session) -> None:
        """Send what a device did not acknowledge to the user's others, or keep it (XEP-0198 section 5)."""
        others = route(self._router.sessions(session.user_id), None).direct
        for sent in session.unacked:
            delivery = sent.delivery
            if delivery is None or delivery.reached or any(not one.ended for one in delivery.targets):
                continue
            message = delivery.message
            for other in others:
                other.send(addressed(message, from_=message.from_, to=message.to or other.jid), delivery)
            if not others and delivery.keep:
                try:
                    self._keep(delivery)
                except Unwritable as error:
                    log.error("a message to user %s is lost: %s", session.user_id, error)
        if others:
            # The device may have ended before it got all that waited.
            self.deliver_kept(others[0])


def check_kind(message: Message) -> None:
    """Refuse reactions, which only REST makes (K-24).

    A forged carbon passes: the receiver has to detect it (XEP-0280 section 11).

    :raises StanzaRefused: for reactions.
    """
    if isinstance(message, ReactionsMessage):
        raise StanzaRefused("not-allowed", "reactions are made over REST")
