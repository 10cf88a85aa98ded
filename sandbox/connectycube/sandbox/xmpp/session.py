"""A bound resource: what it was sent, acknowledged and asked for (RFC 6120 section 7, XEP-0198)."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Protocol

from attrs import define, field, frozen

from connectycube.stanzas import AckRequest, AvailablePresence, Element, Enabled, Resumed, Stanza, UnavailablePresence

from ..config import Limits
from .alarms import Alarm, Alarms
from .kinds import Message
from .management import Management

__all__ = ["Connection", "Delivery", "Session"]


class Connection(Protocol):
    """The stream that a session is bound to."""

    user_id: int | None
    resource: Session | None

    @property
    def has_room(self) -> bool:
        """Whether the client has read most of what it was sent."""
        ...

    def send(self, element: Element) -> None:
        """Send an element."""

    def fail(self, condition: str, text: str | None = None) -> None:
        """End the stream with an error."""

    def abort(self) -> None:
        """Break the connection without closing the stream."""

    def replaced(self) -> None:
        """End the stream because another one took its resource."""


@define(eq=False)
class Delivery:
    """A message on its way to a user.

    :ivar sent_at: Unix time, in case the message has to wait.
    :ivar keep: whether it waits for the user if no device receives it.
    :ivar number: its place among the messages that wait, if it has waited.
    :ivar targets: the devices it was sent to.
    :ivar reached: whether one of them has certainly received it.
    """

    user_id: int
    message: Message
    sent_at: float
    keep: bool
    number: int | None = None
    targets: set[Session] = field(factory=set)
    reached: bool = False


@frozen
class Sent:
    """A stanza that was sent and is not acknowledged yet, or that is sent once there is room."""

    stanza: Stanza
    delivery: Delivery | None


@define(eq=False)
class Session:
    """One device of a user. It outlives its connection if the stream can be resumed.

    :ivar end: ends the session for good.
    """

    user_id: int
    bare: str
    resource: str
    stream: Connection | None
    _limits: Limits
    _alarms: Alarms
    _end: Callable[[Session], None]
    jid: str = field(init=False)
    management: Management[Sent] | None = field(default=None, init=False)
    ended: bool = field(default=False, init=False)
    presence: AvailablePresence | None = field(default=None, init=False)
    """The last one it broadcast, `None` while it is unavailable."""
    interested: bool = field(default=False, init=False)
    """Whether it requested the contact list, and so receives its changes (RFC 6121 section 2.2)."""
    carbons: bool = field(default=False, init=False)
    inactive: bool = field(default=False, init=False)
    active_list: str | None = field(default=None, init=False)
    watched: set[int] = field(factory=set, init=False)
    """The users whose last activity it subscribed to (K-51)."""
    directed: set[str] = field(factory=set, init=False)
    """The addresses it sent directed presence to (RFC 6121 section 4.6.3)."""
    rooms: set[str] = field(factory=set, init=False)
    """The dialogs whose rooms it joined."""
    _held: dict[str, Stanza] = field(factory=dict, init=False)
    _backlog: Callable[[], Sent | None] | None = field(default=None, init=False)
    """Takes the next message that waited for the user."""
    _behind: deque[Sent] = field(factory=deque, init=False)
    """The messages that came after the backlog."""
    _repeated: deque[Stanza] = field(factory=deque, init=False)
    """What is still to be sent again over a resumed stream, before anything else."""
    _alarm: Alarm | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.jid = f"{self.bare}/{self.resource}"

    @property
    def available(self) -> bool:
        return self.presence is not None

    @property
    def priority(self) -> int:
        return 0 if self.presence is None else self.presence.priority or 0

    # -- sending

    def send(self, stanza: Stanza, delivery: Delivery | None = None) -> None:
        """Send a stanza, or keep it until the stream is resumed."""
        if self.ended:
            return
        if (self._backlog is not None or self._behind) and isinstance(stanza, Message):
            if delivery is not None:
                delivery.targets.add(self)
            self._behind.append(Sent(stanza, delivery))
            self._check_unacked()
            return
        if self.inactive and isinstance(stanza, (AvailablePresence, UnavailablePresence)):
            # While the client is inactive, only the last presence of each contact counts (K-52).
            self._held.pop(str(stanza.from_), None)
            self._held[str(stanza.from_)] = stanza
            return
        self._release()
        self._send(stanza, delivery)

    def set_inactive(self, inactive: bool) -> None:
        """Hold presence back while the client is inactive (K-52, CX-16)."""
        self.inactive = inactive
        if not inactive:
            self._release()

    def send_backlog(self, backlog: Callable[[], Sent | None] | None) -> None:
        """Send messages as fast as the client reads them, and before those that arrive from now on.

        :param backlog: takes the next one, or returns `None` if there are no more. Without it, send no more.
        """
        self._backlog = backlog
        self.go_on()

    def go_on(self) -> None:
        """Send more of what waits, if the client has read most of what it was sent."""
        while self._repeated and self.stream is not None and self.stream.has_room:
            self.stream.send(self._repeated.popleft())
        while (self._backlog is not None or self._behind) and self._has_room():
            sent = None if self._backlog is None else self._backlog()
            if sent is None:
                self._backlog = None
                sent = self._behind.popleft() if self._behind else None
            if sent is not None:
                self._send(sent.stanza, sent.delivery)

    def _has_room(self) -> bool:
        stream, unacked = self.stream, 0 if self.management is None else len(self.management)
        return stream is not None and stream.has_room and unacked <= self._limits.unacked_stanzas // 2

    @property
    def unacked(self) -> list[Sent]:
        """What the client has not acknowledged, oldest first, whether it was sent already or not."""
        return [*(() if self.management is None else self.management.unacked), *self._behind]

    def _release(self) -> None:
        held, self._held = self._held, {}
        for stanza in held.values():
            self._send(stanza, None)

    def _send(self, stanza: Stanza, delivery: Delivery | None) -> None:
        managed = self.management
        if delivery is not None:
            delivery.targets.add(self)
            # Without stream management, nothing will ever tell.
            delivery.reached = delivery.reached or managed is None
        if managed is not None:
            managed.sent(Sent(stanza, delivery))
        if self._repeated:
            self._repeated.append(stanza)
        elif self.stream is not None:
            self.stream.send(stanza)
        if managed is not None:
            self._request_ack()
            self._check_unacked()

    def _check_unacked(self) -> None:
        waiting = len(self._behind) + (0 if self.management is None else len(self.management))
        if waiting > self._limits.unacked_stanzas:
            # Later, because the caller may be iterating over the sessions.
            asyncio.get_running_loop().call_soon(self._give_up)

    def _give_up(self) -> None:
        stream = self.stream
        self._end(self)
        if stream is not None:
            stream.abort()

    def _request_ack(self) -> None:
        """Request an acknowledgement if one is due and not requested yet (XEP-0198 section 4)."""
        managed = self.management
        if managed is not None and len(managed) and not managed.asked and self.stream is not None:
            managed.asked = True
            self.stream.send(AckRequest())

    # -- stream management

    def acknowledged(self, h: int) -> None:
        """Take an acknowledgement of the client.

        :raises TooHigh: if it acknowledges more stanzas than it was sent.
        """
        self._settle(h)
        self.go_on()
        self._request_ack()

    def _settle(self, h: int) -> None:
        if self.management is not None:
            for sent in self.management.confirmed(h):
                if sent.delivery is not None:
                    sent.delivery.reached = True

    def enable(self, resume: bool, longest: int | None) -> Enabled:
        """Enable stream management.

        :param longest: how many seconds the client wants the stream to be resumable.
        """
        most = self._limits.resume_seconds
        seconds = most if longest is None else min(longest, most)
        resumable = resume and seconds > 0
        self.management = Management(secrets.token_urlsafe(16) if resumable else None, seconds)
        if not resumable:
            return Enabled()
        return Enabled(id=self.management.id, resume=True, max=seconds)

    def detach(self) -> None:
        """Lose the connection, and wait for a new one if the stream can be resumed."""
        self.stream = None
        managed = self.management
        if managed is None or managed.id is None:
            self._end(self)
        elif not self.ended:
            self._alarm = self._alarms.set(managed.seconds, lambda: self._end(self))

    def attach(self, stream: Connection, h: int) -> None:
        """Resume over another connection (XEP-0198 section 5).

        :raises TooHigh: if the client acknowledges more stanzas than it was sent.
        """
        managed = self.management
        assert managed is not None
        assert managed.id is not None
        self._settle(h)
        self.cancel_alarm()
        old, self.stream = self.stream, stream
        if old is not None:
            old.replaced()
        stream.send(Resumed(previd=managed.id, h=managed.handled))
        self._repeated = deque(sent.stanza for sent in managed.unacked)
        self.go_on()
        self._request_ack()

    def cancel_alarm(self) -> None:
        """Stop the timer that ends the session."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
