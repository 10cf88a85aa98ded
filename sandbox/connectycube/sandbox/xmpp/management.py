"""Stream management as counting (XEP-0198): what was handled, and what the other side has not confirmed.

No clock, no socket: the session drives it.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Management", "TooHigh"]

T = TypeVar("T")
WRAP = 1 << 32


class TooHigh(Exception):
    """The other side confirms more than it was sent.

    :ivar h: what it says.
    :ivar sent: what it was sent.
    """

    def __init__(self, h: int, sent: int) -> None:
        super().__init__(h, sent)
        self.h = h
        self.sent = sent


class Management(Generic[T]):
    """The counters of one managed stream.

    :ivar id: names the stream when it is resumed; `None` for one that can't be.
    :ivar seconds: how long it can be resumed.
    :ivar handled: stanzas of the other side.
    :ivar asked: a request for a confirmation is not answered yet.
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
        """What was sent and not confirmed, oldest first."""
        return list(self._unacked)

    def __len__(self) -> int:
        return len(self._unacked)

    def received(self) -> None:
        """A stanza of the other side is handled."""
        self.handled = (self.handled + 1) % WRAP

    def sent(self, item: T) -> None:
        """A stanza goes out."""
        self._unacked.append(item)

    def confirmed(self, h: int) -> list[T]:
        """The other side has handled so many in all.

        :returns: what that confirms.
        :raises TooHigh: if it was not sent so many.
        """
        step = (h - self._confirmed) % WRAP
        if step > len(self._unacked):
            raise TooHigh(h, (self._confirmed + len(self._unacked)) % WRAP)
        self._confirmed = h
        self.asked = False
        return [self._unacked.popleft() for _ in range(step)]
