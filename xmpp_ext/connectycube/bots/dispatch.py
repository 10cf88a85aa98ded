"""Which message is handled next: in order within a dialog, and a limited number of dialogs at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from attrs import define, field

from .calls import finish
from .store import Entry, Store

__all__ = ["Dispatcher"]

MOST: Final = 10_000
"""Messages in memory. What is beyond that waits in the store."""
PAGE: Final = 100
"""Messages that are read from the store at once."""


@define(eq=False)
class _Lane:
    """The messages of a dialog that wait, or are being handled.

    :ivar entries: the first ones, in memory.
    :ivar stored: how many may follow that are only in the store.
    :ivar busy: whether a message is being handled or is to be handled again, or the lane is in the queue.
    :ivar suspect: whether an earlier process may have ended because of the first message.
    """

    dialog: str
    entries: deque[Entry] = field(factory=deque)
    stored: int = 0
    busy: bool = False
    suspect: bool = False


class Dispatcher:
    """Calls a function for one message after another.

    A message goes from the store to memory only when all those before it in its dialog are done, or with them. So the
    store alone decides about order while a dialog is held.

    :param handle: handles a message. Returns `None` once that is done, or seconds after which to call it again.
    :param concurrency: how many dialogs are worked on at a time.
    """

    def __init__(self, handle: Callable[[Entry], Awaitable[float | None]], store: Store, concurrency: int) -> None:
        self._handle = handle
        self._store = store
        self._concurrency = concurrency
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[_Lane] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._loaded = 0
        """How many messages are in memory."""
        self._held: Collection[str] | None = ()
        """The dialogs whose messages stay in the store for now; `None` for all."""
        self._suspect: _Lane | None = None
        """The lane whose message was being handled when a process ended. Others like it wait, to see which does it."""
        self._suspects: deque[_Lane] = deque()
        self._stopping = False

    @property
    def running(self) -> int:
        """How many messages are being handled."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return self._loaded + sum(lane.stored for lane in self._lanes.values()) - len(self._running)

    def feed(self, entries: Iterable[Entry]) -> None:
        """Add messages that were stored just now, in order."""
        for entry in entries:
            lane = self._lane(entry.dialog)
            if lane.stored or self._holds(lane) or self._loaded >= MOST:
                lane.stored += 1
            else:
                lane.entries.append(entry)
                self._loaded += 1
            self._wake(lane)
        self._pump()

    async def load(self) -> None:
        """Take up what is only in the store, as an earlier process or a retry may have left it."""
        for dialog, count in (await self._store.dialogs()).items():
            lane = self._lane(dialog)
            lane.stored = max(lane.stored, count - len(lane.entries), 1)
            self._wake(lane)
        self._pump()

    def _lane(self, dialog: str) -> _Lane:
        lane = self._lanes.get(dialog)
        if lane is None:
            lane = self._lanes[dialog] = _Lane(dialog)
        return lane

    # -- while a history is read

    def hold(self) -> None:
        """Leave the messages that arrive from now on in the store, until their dialog is released."""
        self._held = None

    def hold_only(self, dialogs: Collection[str] = ()) -> None:
        """Release all dialogs but these."""
        self._held = dialogs
        for lane in self._lanes.values():
            self._wake(lane)
        self._pump()

    def _holds(self, lane: _Lane) -> bool:
        return self._held is None or lane.dialog in self._held

    def keys(self, dialog: str) -> set[str]:
        """Return the keys of the messages of a dialog that are in memory."""
        lane = self._lanes.get(dialog)
        return set() if lane is None else {entry.key for entry in lane.entries}

    # -- at work

    def _wake(self, lane: _Lane) -> None:
        if not lane.busy and (lane.entries or (lane.stored and not self._holds(lane))):
            lane.busy = True
            self._ready.append(lane)

    def _pump(self) -> None:
        while self._ready and len(self._running) < self._concurrency and not self._stopping:
            work = self._work(self._ready.popleft())
            task = asyncio.get_running_loop().create_task(work, name="connectycube bot")
            self._running.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._pump()
        if not task.cancelled():
            task.result()  # An error is a bug of ours: the loop reports it.

    async def _work(self, lane: _Lane) -> None:
        if not lane.entries and not self._holds(lane):
            await self._load(lane)
        if lane.entries:
            if lane.suspect and self._suspect is not None:
                self._suspects.append(lane)
                return
            if not await self._handle_first(lane):
                return
            lane.entries.popleft()
            self._loaded -= 1
        lane.busy = False
        self._wake(lane)
        if not lane.entries and not lane.stored:
            del self._lanes[lane.dialog]

    async def _handle_first(self, lane: _Lane) -> bool:
        """Handle a message, and return whether it is done. Otherwise, it is handled again later."""
        if lane.suspect:
            self._suspect = lane
        delay = await self._handle(lane.entries[0])
        if lane.suspect:
            self._suspect, lane.suspect = None, delay is not None
            if self._suspects:
                self._again(self._suspects.popleft())
        if delay is not None:
            # Others use the time; this dialog waits, since its order counts.
            asyncio.get_running_loop().call_later(delay, self._again, lane)
        return delay is None

    async def _load(self, lane: _Lane) -> None:
        """Read the next messages of a dialog. Those that are stored meanwhile may be among them, or follow."""
        before = lane.stored
        found = await self._store.pending(lane.dialog, PAGE)
        lane.entries.extend(found)
        self._loaded += len(found)
        lane.suspect = bool(found and found[0].attempts)
        lane.stored = lane.stored - before if len(found) < PAGE else max(lane.stored - PAGE, 1)

    def _again(self, lane: _Lane) -> None:
        self._ready.append(lane)
        self._pump()

    async def stop(self, grace: float) -> None:
        """Begin nothing more, let handlers finish, and cancel those that take too long: their messages stay stored."""
        self._stopping = True
        await finish(self._running, grace)
