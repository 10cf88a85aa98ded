"""A bound resource: what it was sent and has confirmed, and what it wants (RFC 6120 section 7, XEP-0198)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element as XMLElement

from attrs import define, field, frozen

from connectycube.stanzas import Ack, AckRequest, AvailablePresence, Enabled, Resumed, Stanza, UnavailablePresence

from .alarms import Alarm
from .kinds import Message
from .management import Management

if TYPE_CHECKING:
    from .chat import Chat
    from .stream import Stream

__all__ = ["Delivery", "Session"]


@define(eq=False)
class Delivery:
    """A message on its way to a user.

    :ivar sent_at: Unix time, for when it has to wait.
    :ivar keep: whether it waits for the user if no device gets it.
    :ivar targets: the devices that it was given to.
    :ivar reached: one of them has it for certain.
    """

    user_id: int
    message: Message
    sent_at: float
    keep: bool
    targets: set[Session] = field(factory=set)
    reached: bool = False


@frozen
class Sent:
    """A stanza that was sent and not confirmed."""

    stanza: Stanza
    delivery: Delivery | None


class Session:
    """One device of a user. It outlives its connection where the stream can be resumed."""

    def __init__(self, chat: Chat, user_id: int, resource: str, stream: Stream) -> None:
        self._chat = chat
        self.user_id = user_id
        self.resource = resource
        self.bare = chat.addresses.user(user_id)
        self.jid = f"{self.bare}/{resource}"
        self.stream: Stream | None = stream
        self.management: Management[Sent] | None = None
        self.ended = False
        self.presence: AvailablePresence | None = None
        """The last one that it sent to all; `None` while it is not available."""
        self.interested = False
        """Whether it has asked for the contact list and so hears of changes (RFC 6121 section 2.2)."""
        self.carbons = False
        self.inactive = False
        self.active_list: str | None = None
        self.watched: set[int] = set()
        """Users whose last activity it is told (K-51)."""
        self.directed: set[str] = set()
        """To whom it sent presence that others did not get (RFC 6121 section 4.6.3)."""
        self.rooms: set[str] = set()
        """Dialogs whose rooms it has joined."""
        self._held: dict[str, Stanza] = {}
        self._alarm: Alarm | None = None

    @property
    def available(self) -> bool:
        return self.presence is not None

    @property
    def priority(self) -> int:
        return 0 if self.presence is None else self.presence.priority or 0

    # -- out

    def send(self, stanza: Stanza, delivery: Delivery | None = None) -> None:
        """Send a stanza, or keep it until the stream is resumed."""
        if self.ended:
            return
        if delivery is not None:
            delivery.targets.add(self)
            # Without management nobody will ever know.
            delivery.reached = delivery.reached or self.management is None
        if self.inactive and isinstance(stanza, (AvailablePresence, UnavailablePresence)):
            # While the client sleeps, only the last presence of each contact counts (K-52).
            self._held.pop(str(stanza.from_), None)
            self._held[str(stanza.from_)] = stanza
            return
        self._release()
        self._send(stanza, delivery)

    def set_inactive(self, inactive: bool) -> None:
        """The client sleeps or wakes up (K-52, CX-16)."""
        self.inactive = inactive
        if not inactive:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, {}
        for stanza in held.values():
            self._send(stanza, None)

    def _send(self, stanza: Stanza, delivery: Delivery | None) -> None:
        managed = self.management
        if managed is not None:
            managed.sent(Sent(stanza, delivery))
        if self.stream is not None:
            self.stream.send(stanza)
        if managed is not None:
            self._ask()
            if len(managed) > self._chat.limits.unacked_stanzas:
                self._chat.later(lambda: self._chat.end(self, abort=True))

    def _ask(self) -> None:
        """Ask for a confirmation where one is due and none is on its way (XEP-0198 section 4)."""
        managed = self.management
        if managed is not None and len(managed) and not managed.asked and self.stream is not None:
            managed.asked = True
            self.stream.send(AckRequest())

    # -- in

    def receive(self, element: XMLElement) -> None:
        """A stanza of the client."""
        try:
            self._chat.receive(self, element)
        finally:
            if self.management is not None:
                self.management.received()

    def confirmed(self, h: int) -> None:
        """The client has handled so many stanzas.

        :raises TooHigh: if it was not sent so many.
        """
        self._settle(h)
        self._ask()

    def _settle(self, h: int) -> None:
        if self.management is not None:
            for sent in self.management.confirmed(h):
                if sent.delivery is not None:
                    sent.delivery.reached = True

    def answer(self) -> None:
        """Tell the client how many of its stanzas were handled."""
        if self.management is not None and self.stream is not None:
            self.stream.send(Ack(h=self.management.handled))

    # -- resuming

    def enable(self, resume: bool, longest: int | None) -> Enabled:
        """Manage the stream from now on.

        :param longest: seconds that the client wishes it to be resumable for.
        """
        most = self._chat.limits.resume_seconds
        seconds = most if longest is None else min(longest, most)
        resumable = resume and seconds > 0
        self.management = Management(secrets.token_urlsafe(16) if resumable else None, seconds)
        if self.management.id is None:
            return Enabled()
        self._chat.resumable[self.management.id] = self
        return Enabled(id=self.management.id, resume=True, max=seconds)

    def detach(self) -> None:
        """The connection is gone."""
        self.stream = None
        managed = self.management
        if managed is None or managed.id is None:
            self._chat.end(self)
        elif not self.ended:
            self._alarm = self._chat.alarms.set(managed.seconds, lambda: self._chat.end(self))

    def attach(self, stream: Stream, h: int) -> None:
        """Go on with another connection (XEP-0198 section 5).

        :raises TooHigh: if the client has handled more than it was sent.
        """
        managed = self.management
        assert managed is not None
        assert managed.id is not None
        self._settle(h)
        self.silence()
        old, self.stream = self.stream, stream
        if old is not None:
            old.replaced()
        stream.send(Resumed(previd=managed.id, h=managed.handled))
        for sent in managed.unacked:
            stream.send(sent.stanza)
        self._ask()

    def silence(self) -> None:
        """Stop the timer that ends it."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
