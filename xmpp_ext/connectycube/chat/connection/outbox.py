"""Stanzas on their way to the server, and the queue of those that survive the loss of a session."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from connectycube.rest import InvalidArgument
from connectycube.stanzas import BuildError, Stanza

from ..errors import ChatError, MessageNotSent, NotConnected, OutboxFull

__all__ = ["Outbox", "Outgoing", "xml_of"]

logger = logging.getLogger("connectycube.chat")

MOST_ITEMS: Final = 20_000
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_MARKS: Final = 10_000
"""Items without anyone who waits for them. Beyond that, the oldest are dropped."""


class Outgoing:
    """A stanza on its way to the server. Only one with a `message_id` survives the loss of its session.

    :ivar xml: its text.
    :ivar message_id: its id, if it must arrive.
    :ivar on_result: called with `None` once the server has acknowledged it, or with the error if it never will.
    :ivar written: whether it was written in the current session.
    :ivar since: when it was added to the outbox, by the loop's clock.
    """

    __slots__ = ("message_id", "on_result", "since", "written", "xml")

    def __init__(
        self, xml: str, message_id: str | None = None, on_result: Callable[[ChatError | None], None] | None = None
    ) -> None:
        self.xml = xml
        self.message_id = message_id
        self.on_result = on_result
        self.written = False
        self.since = 0.0


class Outbox:
    """The items that must arrive and are not acknowledged yet, in the order in which they were sent.

    If the server closes a stream over a stanza, it does not say over which one. All that were not acknowledged are
    suspects then, and go out one by one in the next session, later in growing groups. An item that was alone when the
    server did it again is the culprit, and fails.

    :ivar pending: the items by id.
    """

    __slots__ = (
        "_bytes", "_changed", "_marks", "_overflowed", "_patience", "_progress", "_suspects", "_timer", "_trial",
        "_waiting", "_window", "pending",
    )  # fmt: skip

    def __init__(self, patience: float | None) -> None:
        """:param patience: seconds without any acknowledgement after which an item fails."""
        self.pending: dict[str, Outgoing] = {}
        self._patience = patience
        self._waiting: deque[Outgoing] = deque()
        """What is not written yet. An item that is not pending any more may still be among them."""
        self._marks: dict[str, None] = {}
        """The ids of pending items without anyone who waits for them."""
        self._bytes = 0
        self._overflowed = False
        self._suspects: set[str] = set()
        self._trial: set[str] = set()
        """The suspects that are written."""
        self._window = 1
        self._progress = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._changed: asyncio.Event | None = None
        """Made for those who wait: an event takes 700 bytes."""

    def add(self, item: Outgoing, loop: asyncio.AbstractEventLoop) -> None:
        """Add an item.

        :raises InvalidArgument: if one with the same id is pending.
        :raises OutboxFull: if too many are pending.
        """
        message_id, pending = item.message_id or "", self.pending
        if message_id in pending:
            raise InvalidArgument("message_id", f"{message_id} belongs to a message that is on its way already")
        if item.on_result is None:
            self._make_room_for_mark(message_id)
        elif len(pending) - len(self._marks) >= MOST_ITEMS or self._bytes + len(item.xml) > MOST_BYTES:
            raise OutboxFull(message_id, len(pending))
        elif self._patience is not None:
            item.since = loop.time()
            if self._timer is None:
                self._timer = loop.call_later(self._patience, self._expire, loop, self._patience)
        self._bytes += len(item.xml)
        pending[message_id] = item
        self._waiting.append(item)

    def _make_room_for_mark(self, message_id: str) -> None:
        if len(self._marks) >= MOST_MARKS:
            if not self._overflowed:
                logger.warning("more than %d automatic marks wait: the oldest are dropped", MOST_MARKS)
            self._overflowed = True
            self._remove(next(iter(self._marks)))
        self._marks[message_id] = None

    def _remove(self, message_id: str) -> Outgoing | None:
        item = self.pending.pop(message_id, None)
        if item is not None:
            self._bytes -= len(item.xml)
            if item.on_result is None:
                self._marks.pop(message_id, None)
            if self._suspects:
                self._suspects.discard(message_id)
                self._trial.discard(message_id)
            if len(self._waiting) > 2 * len(self.pending) + 1000:
                self._collect()
        return item

    def _collect(self) -> None:
        self._waiting = deque(item for item in self.pending.values() if not item.written)

    def next(self) -> Outgoing | None:
        """Take the next item to write, or return `None` if the outbox is empty or suspects await acknowledgement."""
        waiting = self._waiting
        while waiting:
            item = waiting[0]
            message_id = item.message_id or ""
            if self.pending.get(message_id) is item:
                if self._suspects:
                    if message_id not in self._suspects or len(self._trial) >= self._window:
                        return None
                    self._trial.add(message_id)
                return waiting.popleft()
            waiting.popleft()
        return None

    def _expire(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        """Fail the items that were neither acknowledged in time nor could see that others were."""
        self._timer = None
        now = loop.time()
        for item in [item for item in self.pending.values() if item.on_result is not None]:
            left = max(item.since, self._progress) + patience - now
            if left > 0:
                self._timer = loop.call_later(left, self._expire, loop, patience)
                break
            problem = f"the server did not acknowledge it within {patience:g} seconds"
            self.refuse(item.message_id or "", MessageNotSent(item.message_id or "", problem))

    async def changed(self) -> None:
        """Wait until an item is acknowledged, fails or loses its session."""
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def acknowledged(self, items: tuple[object, ...], now: float) -> None:
        """Report items as handled by the server."""
        self._progress = now
        pending, on_trial = self.pending, bool(self._trial)
        for item in items:
            if not isinstance(item, Outgoing):
                continue
            if item.message_id is not None:
                # An id may have been used again after `discard`: only the item that holds it now counts.
                if pending.get(item.message_id) is not item:
                    continue
                self._remove(item.message_id)
            if item.on_result is not None:
                item.on_result(None)
        if on_trial and not self._trial:
            self._window *= 2
        self._wake()

    def requeue(self, items: tuple[object, ...]) -> None:
        """Keep the items with an id for the next session, and fail the others: their session is over."""
        for item in items:
            if isinstance(item, Outgoing):
                item.written = False
                if item.message_id is None and item.on_result is not None:
                    item.on_result(NotConnected("the connection was lost before the server had it"))
        self._trial.clear()
        self._collect()
        self._wake()

    def suspect(self, items: tuple[object, ...]) -> str:
        """Suspect the items that were on their way when the server closed the stream over a stanza.

        :returns: the id of the culprit; empty if it is not known yet.
        """
        found = {
            item.message_id
            for item in items
            if isinstance(item, Outgoing) and item.message_id and self.pending.get(item.message_id) is item
        }
        self._window = 1
        if len(found) == 1 and found == self._trial:
            return found.pop()
        self._suspects |= found
        return ""

    def discard(self, item: Outgoing) -> None:
        """Forget an item: it will not be sent again."""
        if item.message_id is not None and self.pending.get(item.message_id) is item:
            self._remove(item.message_id)
        self._wake()

    def refuse(self, message_id: str, error: ChatError) -> None:
        """Fail the item with this id, if there is one: the server sent it back."""
        item = self._remove(message_id)
        if item is not None and item.on_result is not None:
            item.on_result(error)
        self._wake()

    def fail(self, error: ChatError) -> None:
        """Fail all items: there will be no further session."""
        for message_id in tuple(self.pending):
            self.refuse(message_id, error)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


def xml_of(stanza: Stanza) -> str:
    """Return the text of a stanza on the stream.

    :raises InvalidArgument: if an argument contains what XML can't carry.
    """
    try:
        return stanza._write("jabber:client")
    except BuildError as error:
        name = error.path[-1] if error.path else "stanza"
        raise InvalidArgument(name, f"can't be sent: {error.problem}") from error
