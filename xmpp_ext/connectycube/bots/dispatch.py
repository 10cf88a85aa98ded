"""Which message is handled next: in order within a dialog, and so many dialogs at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Final

from attrs import define, field

from connectycube.chat import ChatMessage

from .content import decode_message
from .persistence import Persistence
from .store import Stored

__all__ = ["Dispatcher", "Job"]

MOST: Final = 10_000
"""Messages in memory. What is beyond that stays in the store until there is room."""


@define(eq=False)
class Job:
    """A message to handle.

    :ivar redelivered: whether an earlier process, or an earlier attempt, may have handled it in part.
    :ivar attempts: how often a handler was called for it in this process.
    :ivar failed: whether the store has it as a failure, so that it may come again.
    """

    key: str
    dialog: str
    position: int
    message: ChatMessage
    from_history: bool
    redelivered: bool = False
    attempts: int = 0
    failed: bool = False


@define(eq=False)
class _Lane:
    """The messages of a dialog.

    :ivar held: those that arrived while the dialog's history is read.
    :ivar busy: whether one of them is handled, or waits to be handled again.
    """

    dialog: str
    jobs: deque[Job] = field(factory=deque)
    held: list[Job] = field(factory=list)
    busy: bool = False


class Dispatcher:
    """Calls a function for one message after another.

    :param handle: handles a message. Returns `None` once that is done, or seconds after which to call it again.
    :param concurrency: how many dialogs are worked on at a time.
    """

    def __init__(
        self, handle: Callable[[Job], Awaitable[float | None]], persistence: Persistence, concurrency: int
    ) -> None:
        self._handle = handle
        self._persistence = persistence
        self._concurrency = concurrency
        self._lanes: dict[str, _Lane] = {}
        self._jobs: dict[str, Job] = {}
        self._ready: deque[_Lane] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        # While a history is read.
        self._held: Collection[str] | None = ()
        """The dialogs that are held; `None` for all."""
        # What is only in the store.
        self._start = 0
        self._left_out: int | None = None
        """The lowest position of what was left out for want of room."""
        self._more_left_out = False
        self._loading: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many messages wait, in memory."""
        return sum(len(lane.jobs) + len(lane.held) for lane in self._lanes.values()) - len(self._running)

    @property
    def running(self) -> int:
        """How many messages are being handled."""
        return len(self._running)

    # -- what there is to do

    def feed(self, jobs: Iterable[Job]) -> None:
        """Add messages, in order. Those that are waiting already are ignored."""
        for job in jobs:
            if self._has(job.key):
                continue
            if self._left_out is not None:
                self._left_out, self._more_left_out = min(self._left_out, job.position), True
            elif len(self._jobs) >= MOST:
                self._left_out = job.position
            else:
                self._add(job)
        self._pump()

    def _has(self, key: str) -> bool:
        job = self._jobs.get(key)
        return job is not None and not job.failed

    def _add(self, job: Job) -> None:
        self._jobs[job.key] = job
        lane = self._lanes.get(job.dialog)
        if lane is None:
            lane = self._lanes[job.dialog] = _Lane(job.dialog)
        if self.holds(job.dialog):
            lane.held.append(job)
        else:
            lane.jobs.append(job)
            self._wake(lane)

    async def start(self) -> None:
        """Add what the store holds from an earlier process.

        :raises StoreError: if it can't be read.
        """
        self._start = self._persistence.store.position
        await self.load()

    async def load(self) -> None:
        """Add what is only in the store, as far as there is room."""
        self._left_out = 0
        self._refill()
        if self._loading is not None:
            await self._loading

    def _refill(self) -> None:
        if self._left_out is not None and self._loading is None and not self._stopping:
            self._loading = asyncio.get_running_loop().create_task(self._load(), name="connectycube load")

    async def _load(self) -> None:
        try:
            while self._left_out is not None and (room := MOST - len(self._jobs)) > 0:
                first, self._more_left_out = self._left_out, False
                limit = room + len(self._jobs)  # Some of them may be waiting here already.
                found = await self._persistence.insist(partial(self._persistence.store.pending, first - 1, limit))
                rest = found[-1].position + 1 if len(found) == limit else None
                for stored in found:
                    if self._has(stored.entry.key):
                        continue
                    if len(self._jobs) >= MOST:
                        rest = stored.position
                        break
                    self._add(self.job(stored))
                if rest is not None:
                    self._left_out = rest
                elif not self._more_left_out:
                    self._left_out = None
                self._pump()
        finally:
            self._loading = None

    def job(self, stored: Stored) -> Job:
        """Return the job for a message that was read from the store."""
        entry = stored.entry
        return Job(
            entry.key,
            entry.dialog,
            stored.position,
            decode_message(entry.message),
            entry.from_history,
            redelivered=stored.position <= self._start,
        )

    # -- while a history is read

    def hold(self) -> None:
        """Keep the messages that arrive from now on back, until their dialog is released."""
        self._held = None

    def holds(self, dialog: str) -> bool:
        """Return whether the messages of a dialog are kept back."""
        return self._held is None or dialog in self._held

    def is_held(self, key: str) -> bool:
        """Return whether a message is kept back."""
        job = self._jobs.get(key)
        return job is not None and self.holds(job.dialog) and job in self._lanes[job.dialog].held

    def move(self, key: str, position: int) -> None:
        """Give a message that is kept back another position."""
        self._jobs[key].position = position

    def hold_only(self, dialogs: Collection[str] = ()) -> None:
        """Release all dialogs but these."""
        self._held = dialogs
        for lane in [lane for lane in self._lanes.values() if lane.held and lane.dialog not in dialogs]:
            lane.jobs.extend(sorted(lane.held, key=lambda job: job.position))
            lane.held.clear()
            self._wake(lane)
        self._pump()

    # -- at work

    def _wake(self, lane: _Lane) -> None:
        if lane.jobs and not lane.busy:
            lane.busy = True
            self._ready.append(lane)

    def _pump(self) -> None:
        while self._ready and len(self._running) < self._concurrency and not self._stopping:
            lane = self._ready.popleft()
            task = asyncio.get_running_loop().create_task(self._work(lane), name=f"connectycube bot {lane.dialog}")
            self._running.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._pump()
        if not task.cancelled():
            task.result()  # An error is a bug of ours: the loop reports it.

    async def _work(self, lane: _Lane) -> None:
        job = lane.jobs[0]
        delay = await self._handle(job)
        if delay is not None:
            # Others use the time; this dialog waits, since its order counts.
            asyncio.get_running_loop().call_later(delay, self._again, lane)
            return
        lane.jobs.popleft()
        # The next message need not wait until this is stored: at worst, the handler runs again.
        self._persistence.later(self._finish(job))
        lane.busy = False
        if lane.jobs:
            self._wake(lane)
        elif not lane.held:
            del self._lanes[lane.dialog]

    async def _finish(self, job: Job) -> None:
        # Until then, the store gives it to a `_load` that is in progress.
        if not job.failed:
            await self._persistence.insist(partial(self._persistence.store.finish, job.key))
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]
        if len(self._jobs) < MOST // 2:
            self._refill()

    def _again(self, lane: _Lane) -> None:
        self._ready.append(lane)
        self._pump()

    async def stop(self, grace: float) -> None:
        """Begin nothing more, let handlers finish, and cancel those that take too long: their messages stay stored."""
        self._stopping = True
        own = asyncio.current_task()
        running = {task for task in self._running if task is not own}
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
