"""Which message is handled next: in order within a dialog, and a limited number of dialogs at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import nullcontext
from typing import Final

from attrs import define, field

from .calls import Tasks
from .store import Entry, Waiting

__all__ = ["Capacity", "Dispatcher"]

MOST: Final = 10_000
"""Messages in memory. What is beyond that waits in the store."""
PAGE: Final = 100
"""Messages that are read from the store at once."""


class Capacity:
    """What the dispatchers of a process share.

    :param concurrency: how many dialogs are worked on at a time.
    :ivar suspects: what may have ended a process is handled one at a time, to see which message does it.
    :ivar loaded: how many messages are in memory.
    """

    def __init__(self, concurrency: int) -> None:
        self.slots = asyncio.Semaphore(concurrency)
        self.suspects = asyncio.Lock()
        self.loaded = 0


@define(eq=False)
class _Lane:
    """The messages of a dialog that wait, or are being handled.

    :ivar entries: the first ones, in memory.
    :ivar stored: how many may follow that are only in the store.
    :ivar suspect: whether an earlier process may have ended because of the first message.
    """

    dialog: str
    entries: deque[Entry] = field(factory=deque)
    stored: int = 0
    suspect: bool = False
    handling: bool = False
    task: asyncio.Task[None] | None = None


class Dispatcher:
    """Calls a function for one message after another.

    A message goes from the store to memory only when all those before it in its dialog are done, or with them. So the
    store alone decides about order while a dialog is held.

    :param handle: handles a message. Returns `None` once that is done, or seconds after which to call it again.
    :param capacity: limits how much is worked on at a time.
    """

    def __init__(self, handle: Callable[[Entry], Awaitable[float | None]], store: Waiting, capacity: Capacity) -> None:
        self._handle = handle
        self._store = store
        self._lanes: dict[str, _Lane] = {}
        self._tasks = Tasks("dialog")
        self._capacity = capacity
        self._loaded = 0
        """How many messages are in memory."""
        self._held: Collection[str] | None = ()
        """The dialogs whose messages stay in the store for now; `None` for all."""
        self._stopping = False

    @property
    def running(self) -> int:
        """How many messages are being handled."""
        return sum(lane.handling for lane in self._lanes.values())

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return self._loaded + sum(lane.stored for lane in self._lanes.values()) - self.running

    def feed(self, entries: Iterable[Entry]) -> None:
        """Add messages that were stored just now, in order. What an earlier process stored is read from the store."""
        for entry in entries:
            lane = self._lanes.setdefault(entry.dialog, _Lane(entry.dialog))
            if lane.stored or entry.redelivered or self._holds(lane) or self._capacity.loaded >= MOST:
                lane.stored += 1
            else:
                lane.entries.append(entry)
                self._count(1)
            self._wake(lane)

    async def load(self) -> None:
        """Take up what is only in the store, as an earlier process or a retry may have left it."""
        for dialog, count in (await self._store.dialogs()).items():
            lane = self._lanes.setdefault(dialog, _Lane(dialog))
            lane.stored = max(lane.stored, count - len(lane.entries), 1)
            self._wake(lane)

    # -- while a history is read

    def hold(self) -> None:
        """Leave the messages that arrive from now on in the store, until their dialog is released."""
        self._held = None

    def hold_only(self, dialogs: Collection[str] = ()) -> None:
        """Release all dialogs but these."""
        self._held = dialogs
        for lane in self._lanes.values():
            self._wake(lane)

    def _holds(self, lane: _Lane) -> bool:
        return self._held is None or lane.dialog in self._held

    def keys(self, dialog: str) -> set[str]:
        """Return the keys of the messages of a dialog that are in memory."""
        lane = self._lanes.get(dialog)
        return set() if lane is None else {entry.key for entry in lane.entries}

    # -- at work

    def _has_work(self, lane: _Lane) -> bool:
        return not self._stopping and bool(lane.entries or (lane.stored and not self._holds(lane)))

    def _wake(self, lane: _Lane) -> None:
        if lane.task is None and self._has_work(lane):
            lane.task = self._tasks.begin(self._work(lane))

    async def _work(self, lane: _Lane) -> None:
        while self._has_work(lane):
            if not lane.entries:
                async with self._capacity.slots:
                    if not self._holds(lane):
                        await self._load(lane)
                continue
            async with self._capacity.suspects if lane.suspect else nullcontext(), self._capacity.slots:
                lane.handling = True
                delay = await self._handle(lane.entries[0])
                lane.handling = False
            if delay is None:
                lane.entries.popleft()
                lane.suspect = False
                self._count(-1)
            elif not self._stopping:
                await asyncio.sleep(delay)  # Other dialogs use the time; this one waits, since its order counts.
        lane.task = None
        if not lane.entries and not lane.stored:
            del self._lanes[lane.dialog]

    async def _load(self, lane: _Lane) -> None:
        """Read the next messages of a dialog. Those that are stored meanwhile may be among them, or follow."""
        before = lane.stored
        found = await self._store.pending(lane.dialog, PAGE)
        lane.entries.extend(found)
        self._count(len(found))
        lane.suspect = bool(found and found[0].attempts)
        lane.stored = lane.stored - before if len(found) < PAGE else max(lane.stored - PAGE, 1)

    def _count(self, number: int) -> None:
        self._loaded += number
        self._capacity.loaded += number

    async def stop(self, grace: float) -> None:
        """Begin nothing more, let handlers finish, and cancel those that take too long: their messages stay stored."""
        self._stopping = True
        for lane in self._lanes.values():
            if lane.task is not None and not lane.handling:
                lane.task.cancel()
        await self._tasks.finish(grace)
        self._count(-self._loaded)
