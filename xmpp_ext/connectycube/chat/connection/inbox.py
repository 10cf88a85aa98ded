"""Which inbound stanzas count as handled: those that are processed or, for a bot, those that are durable.

A server keeps what is not acknowledged, and sends it again (XEP-0198 section 5). So a program that stores messages
before they are acknowledged loses none when it is killed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..machines.stream_management import ASKED, RECEIVED, Event, State, StreamManagement

__all__ = ["Inbox", "Keep"]

Keep = Callable[[Callable[[], None]], None]
"""Makes durable what was emitted, and calls the function that it is given afterwards, in the event loop."""


class Inbox:
    """The count of inbound stanzas.

    :ivar keep: called after each read from the socket that brought stanzas. `None`, the default, counts a stanza as
        handled as soon as it arrives.
    """

    __slots__ = ("_acks", "_arrived", "_epoch", "_manage", "_owed", "_unkept", "keep")

    def __init__(self, manage: Callable[[Event], None]) -> None:
        self._manage = manage
        self.keep: Keep | None = None
        self.reset(StreamManagement())

    def reset(self, acks: StreamManagement) -> None:
        """Count for another session."""
        self._acks = acks
        self.forget()

    def forget(self) -> None:
        """Leave it to the server to send again what is not durable: the connection is lost."""
        self._arrived = self._unkept = 0
        self._owed = False
        self._epoch = object()

    def count(self) -> None:
        """Count a stanza that has arrived."""
        if self.keep is None:
            self._acks.handle(RECEIVED)
        else:
            self._arrived += 1

    def answer(self) -> None:
        """Tell the server how many stanzas are handled, and again once those are that are not durable yet."""
        if self._acks.state is State.ON:
            self._manage(ASKED)
            self._owed = self._arrived + self._unkept > 0

    def read_over(self) -> None:
        """Have everything made durable that a read from the socket brought."""
        count, self._arrived = self._arrived, 0
        if count and self.keep is not None:
            self._unkept += count
            self.keep(partial(self._kept, self._epoch, count))

    def _kept(self, epoch: object, count: int) -> None:
        if epoch is not self._epoch:
            return  # The server sends them again.
        self._unkept -= count
        for _ in range(count):
            self._acks.handle(RECEIVED)
        if self._owed:
            self.answer()
