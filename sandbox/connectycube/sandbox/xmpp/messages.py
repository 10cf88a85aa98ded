"""Messages to one user: who gets them, who gets a copy, what waits (RFC 6121 section 8.5, XEP-0160, XEP-0280)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from attrs import frozen

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
    parse,
)

from .addresses import Jid
from .contents import completed, draft_of, saved
from .faults import StanzaRefused
from .kinds import Headline, Message, addressed, copied, delay_of, delayed, has_content, kept_offline, message_type
from .privacy import What
from .session import Delivery, Sent, Session

if TYPE_CHECKING:
    from .chat import Chat

__all__ = ["Messages", "Route", "route"]


class Device(Protocol):
    """What decides who gets a message."""

    @property
    def resource(self) -> str: ...

    @property
    def available(self) -> bool: ...

    @property
    def priority(self) -> int: ...

    @property
    def carbons(self) -> bool: ...


D = TypeVar("D", bound=Device)


@frozen
class Route(Generic[D]):
    """The devices of a user that get a message, and those that get a copy of it."""

    direct: list[D]
    copies: list[D]


def route(devices: Sequence[D], resource: str | None, *, headline: bool = False) -> Route[D]:
    """Who gets a message (RFC 6121 section 8.5, XEP-0280 section 7).

    To a bare JID it goes to all devices that are available with a priority that is not negative, to a full JID to that
    one; where that is gone, the bare JID counts, but not for headlines.
    """
    direct = [one for one in devices if one.resource == resource]
    if not direct and not (headline and resource is not None):
        direct = [one for one in devices if one.available and one.priority >= 0]
    return Route(direct, [one for one in devices if one.carbons and one not in direct])


class Messages:
    """Takes messages of clients, and brings them to users."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._core = chat.core

    # -- from a client

    def handle(self, session: Session, message: Message) -> None:
        """A message of a client; without an address it is for the own account (RFC 6120 section 8.1.1.1).

        :raises StanzaRefused: if it can't be taken.
        :raises Refused: if a rule says no.
        """
        to = Jid.parse(message.to or session.bare)
        dialog_id = self._chat.addresses.dialog_id(to)
        user_id = self._chat.addresses.user_id(to)
        if dialog_id is not None:
            self._chat.rooms.message(session, message, dialog_id, to.resource)
        elif user_id is not None:
            self._to_user(session, addressed(message, from_=session.jid, to=str(to)), user_id, to.resource)
        elif to.domain in (self._chat.addresses.host, self._chat.addresses.muc_host):
            raise StanzaRefused("service-unavailable")
        else:
            raise StanzaRefused("remote-server-not-found")

    def _to_user(self, session: Session, message: Message, user_id: int, resource: str | None) -> None:
        check_kind(message)
        if message_type(message) == "groupchat" or not self._core.accounts.exists(user_id):
            raise StanzaRefused("service-unavailable")
        peer = Jid.parse(session.jid)
        if user_id != session.user_id:
            # Who blocks both ways can't write either; it is told so in XEP-0016's words (section 2.13).
            if not self._chat.privacy.allows(session, What.OTHER, Jid.parse(message.to or session.bare)):
                raise StanzaRefused("not-acceptable")
            if self.blocked(user_id, resource, peer, headline=isinstance(message, Headline)):
                raise StanzaRefused("service-unavailable")
        message = self._accepted(session, message, user_id)
        self.deliver(user_id, message, peer, resource)
        self.copy_sent(session.user_id, message, session)

    def blocked(self, user_id: int, resource: str | None, peer: Jid, *, headline: bool) -> bool:
        """Whether nobody gets it because a list forbids it (F-109)."""
        direct = route(self._chat.sessions(user_id), resource, headline=headline).direct
        if direct:
            return not any(self._chat.privacy.allows(one, What.MESSAGE_IN, peer) for one in direct)
        return not self._chat.privacy.allows_user(user_id, What.MESSAGE_IN, peer)

    def _accepted(self, session: Session, message: Message, user_id: int) -> Message:
        """The message as it goes on, after the history has been told of it."""
        self.note(session.user_id, message)
        if not has_content(message) or user_id == session.user_id:
            return message
        draft = draft_of(message, session.user_id)
        return completed(message, self._core.chat.private_message(user_id, draft, save=saved(message)))

    def note(self, user_id: int, message: Message) -> None:
        """Do to the history what a mark, an edit or a removal says (K-20 to K-23).

        :raises Refused: if the sender may not.
        """
        if isinstance(message, DeliveredMark):
            self._core.chat.delivered(user_id, message.received.id)
        elif isinstance(message, ReadMark):
            self._core.chat.read(user_id, message.displayed.id)
        elif isinstance(message, EditMessage) and message.body is not None:
            self._core.chat.edited(user_id, message.replace.id, message.body)
        elif isinstance(message, RemovalMessage):
            self._core.chat.removed(user_id, message.remove.id)

    # -- to users

    def deliver(self, user_id: int, message: Message, peer: Jid, resource: str | None = None) -> None:
        """Bring a message to a user's devices, or keep it.

        :param peer: whom the privacy lists are asked about.
        """
        chosen = route(self._chat.sessions(user_id), resource, headline=isinstance(message, Headline))
        delivery = Delivery(user_id, message, self._core.clock.now(), kept_offline(message))
        direct = [one for one in chosen.direct if self._chat.privacy.allows(one, What.MESSAGE_IN, peer)]
        for session in direct:
            session.send(message, delivery)
        if direct and copied(message):
            self._copy_received(message, chosen.copies, peer)
        if (
            not chosen.direct
            and delivery.keep
            and self._chat.privacy.allows_user(user_id, What.MESSAGE_IN, peer)
            and self._core.accounts.find(user_id) is not None
        ):
            self._keep(delivery)

    def _copy_received(self, message: Message, sessions: Iterable[Session], peer: Jid) -> None:
        for session in sessions:
            if self._chat.privacy.allows(session, What.MESSAGE_IN, peer):
                session.send(
                    ReceivedCarbonMessage(
                        from_=session.bare,
                        to=session.jid,
                        type=message_type(message),
                        received=CarbonReceived(forwarded=Forwarded(stanza=message)),
                    )
                )

    def copy_sent(self, user_id: int, message: Message, origin: Session | None) -> None:
        """Show a user's other devices what one of them, or REST, has sent (K-28)."""
        if not copied(message):
            return
        for session in self._chat.sessions(user_id):
            if session.carbons and session is not origin:
                session.send(
                    SentCarbonMessage(
                        from_=session.bare,
                        to=session.jid,
                        type=message_type(message),
                        sent=CarbonSent(forwarded=Forwarded(stanza=message)),
                    )
                )

    # -- what waits

    def _keep(self, delivery: Delivery) -> None:
        message = delayed(delivery.message, delay_of(self._chat.addresses.host, delivery.sent_at))
        self._core.presence.store_offline(delivery.user_id, message.to_xml())

    def deliver_kept(self, session: Session) -> None:
        """Bring what has waited for a user to the device that came online."""
        for kept in self._core.presence.take_offline(session.user_id):
            message = parse(kept.stanza)
            assert isinstance(message, Message)
            session.send(
                addressed(message, from_=message.from_, to=message.to or session.jid),
                Delivery(session.user_id, message, kept.stored_at, True),
            )

    def undelivered(self, session: Session, unconfirmed: Sequence[Sent]) -> None:
        """A device is gone without confirming these: other devices get them, or they wait (XEP-0198 section 5)."""
        for sent in unconfirmed:
            delivery = sent.delivery
            if delivery is None or delivery.reached or any(not one.ended for one in delivery.targets):
                continue
            message = delivery.message
            others = route(self._chat.sessions(session.user_id), None).direct
            for other in others:
                other.send(addressed(message, from_=message.from_, to=message.to or other.jid), delivery)
            if not others and delivery.keep and self._core.accounts.find(session.user_id) is not None:
                self._keep(delivery)


def check_kind(message: Message) -> None:
    """Only REST makes reactions (K-24).

    A carbon that a client has forged is passed on: to see through it is the receiver's part (XEP-0280 section 11).

    :raises StanzaRefused: for reactions.
    """
    if isinstance(message, ReactionsMessage):
        raise StanzaRefused("not-allowed", "reactions are made over REST")
