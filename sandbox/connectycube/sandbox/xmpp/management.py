"""The counters of stream management (XEP-0198): what was handled, and what the other side has not acknowledged.

The session drives them; there is no clock and no socket here.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Management", "TooHigh"]

T = TypeVar("T")
WRAP = 1 << 32


class TooHigh(Exception):
    """The other side acknowledges more than it was sent.

    :ivar h: how many stanzas it acknowledges.
    :ivar sent: how many it was sent.
    """

    def __init__(self, h: int, sent: int) -> None:
        super().__init__(h, sent)
        self.h = h
        self.sent = sent


class Management(Generic[T]):
    """The counters of one managed stream.

    :ivar id: identifies the stream when it is resumed. `None` if it can't be.
    :ivar seconds: how long it can be resumed.
    :ivar handled: how many stanzas of the other side were handled.
    :ivar asked: whether a request for an acknowledgement is pending.
    """

    def __init__(self, id: str | None, seconds: int) -> None:
        self.id = id
        self.seconds = seconds
        self.handled = 0
        self.asked = False
        self._confirmed = 0
        self._unacked: deque[T] = deque()

    @property
    def unacked(self) -> list[T]:
        """Return what was sent and not acknowledged, oldest first."""
        return list(self._unacked)

    def __len__(self) -> int:
        return len(self._unacked)

    def received(self) -> None:
        """Count a stanza of the other side."""
        self.handled = (self.handled + 1) % WRAP

    def sent(self, item: T) -> None:
        """Remember a stanza that is sent."""
        self._unacked.append(item)

    def confirmed(self, h: int) -> list[T]:
        """Take an acknowledgement.

        :param h: how many stanzas the other side has handled in total.
        :returns: those that it acknowledges.
        :raises TooHigh: if it was not sent that many.
        """
        step = (h - self._confirmed) % WRAP
        if step > len(self._unacked):
            raise TooHigh(h, (self._confirmed + len(self._unacked)) % WRAP)
        self._confirmed = h
        self.asked = False
        return [self._unacked.popleft() for _ in range(step)]
