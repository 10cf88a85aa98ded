"""A store that ends with the process."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Collection, Sequence
from typing import Final, TypeVar

from attrs import define, evolve

from .store import Counts, Entry, Failure, Reply, note_failure

__all__ = ["MemoryStore"]

T = TypeVar("T")

MOST_DONE: Final = 100_000
"""Messages and replies that are remembered once they are done, to recognize copies of them."""


@define
class _Row:
    """A message or reply that waits or has failed.

    :ivar at: when it was stored.
    """

    content: Entry | Reply
    at: dt.datetime
    failure: Failure | None = None


class MemoryStore:
    """Keeps everything in memory, and nothing across a restart of the process."""

    name = "memory"
    durable = False

    def __init__(self) -> None:
        self._position = 0
        self.failed: dict[str, Failure] = {}
        self._rows: dict[str, _Row] = {}
        """What waits or has failed, by key or id, in the order in which it is to be done."""
        self._done: dict[str, dt.datetime] = {}
        """When messages were stored that are handled, and replies sent, those that were done first at the front."""
        self._checkpoint: dt.datetime | None = None

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def _close(self, key: str, at: dt.datetime | None = None) -> asyncio.Future[None]:
        if (row := self._rows.pop(key, None)) is not None:
            self._done[key] = row.at if at is None else at
            if len(self._done) > MOST_DONE:
                del self._done[next(iter(self._done))]
        return _future(None)

    # -- messages

    def put(self, entries: Sequence[Entry], moved: Sequence[str] = ()) -> asyncio.Future[list[bool]]:
        """Store messages in this order."""
        new = [self._put(entry, entry.key in moved) for entry in entries]
        first = {entry.key for entry in entries}
        for key in moved:
            if key not in first:
                self._move(key)
        return _future(new)

    def _put(self, entry: Entry, move: bool) -> bool:
        if entry.key in self._rows:
            if move:
                self._move(entry.key)
            return False
        is_new = entry.key not in self._done
        if is_new:
            self._rows[entry.key] = _Row(evolve(entry), _now())
        return is_new

    def _move(self, key: str) -> None:
        """Let a message wait behind all others."""
        if (row := self._rows.get(key)) is not None and row.failure is None:
            self._rows[key] = self._rows.pop(key)

    def put_answered(self, entries: Sequence[Entry]) -> asyncio.Future[None]:
        """Store messages as handled, unless they were stored before."""
        for entry in entries:
            if self._put(entry, move=False):
                self._close(entry.key)
        return _future(None)

    def _waiting(self) -> list[Entry]:
        return [row.content for row in self._rows.values() if row.failure is None and isinstance(row.content, Entry)]

    def dialogs(self) -> asyncio.Future[dict[str, int]]:
        """Return how many messages wait in each dialog."""
        found: dict[str, int] = {}
        for entry in self._waiting():
            found[entry.dialog] = found.get(entry.dialog, 0) + 1
        return _future(found)

    def pending(self, dialog: str, limit: int) -> asyncio.Future[list[Entry]]:
        """Return the first messages of a dialog that wait to be handled."""
        return _future([evolve(entry) for entry in self._waiting() if entry.dialog == dialog][:limit])

    def begin(self, key: str, attempts: int) -> asyncio.Future[None]:
        """Note how often a handler was called for a message."""
        if (row := self._rows.get(key)) is not None and isinstance(row.content, Entry):
            row.content.attempts = attempts
        return _future(None)

    def finish(self, key: str) -> asyncio.Future[None]:
        """Note that a message was handled."""
        return self._close(key)

    def known(self, ids: Collection[str], until: dt.datetime | None) -> asyncio.Future[set[str]]:
        """Return the keys of messages that were stored, and ids of replies that were sent, up to a time."""
        if until is None:
            return _future({key for key in ids if key in self._done or key in self._rows})
        found = {key: self._done[key] for key in ids if key in self._done}
        rows = {key: self._rows[key] for key in ids if key in self._rows}
        found |= {key: row.at for key, row in rows.items() if isinstance(row.content, Entry)}
        return _future({key for key, at in found.items() if at <= until})

    # -- replies

    def put_reply(self, reply: Reply) -> asyncio.Future[Reply | None]:
        """Store a reply."""
        if reply.id in self._rows or reply.id in self._done:
            return _future(None)
        self._position += 1
        stored = evolve(reply, position=self._position)
        self._rows[reply.id] = _Row(stored, _now())
        return _future(stored)

    def unsent(self, after: int) -> asyncio.Future[list[Reply]]:
        """Return the replies beyond a position that are not sent yet, in order."""
        found = [row.content for row in self._rows.values() if row.failure is None and isinstance(row.content, Reply)]
        return _future([reply for reply in found if reply.position > after])

    def sent(self, reply_id: str) -> asyncio.Future[None]:
        """Note that the server has a reply."""
        return self._close(reply_id, _now())

    # -- failures, and the store as a whole

    async def fail(self, failure_id: str, error: str) -> Failure | None:
        """Note that a message can't be handled, or a reply not be sent."""
        row = self._rows.get(failure_id)
        if row is None:
            return None
        content = row.content
        row.failure = Failure(
            id=failure_id,
            kind="message" if isinstance(content, Entry) else "reply",
            dialog=content.dialog,
            error=error,
            failed_at=_now(),
            content=content.message if isinstance(content, Entry) else content.content,
        )
        note_failure(self.failed, row.failure)
        return row.failure

    def retry(self, failure_id: str) -> asyncio.Future[bool]:
        """Let a failed message or reply wait again, at the end."""
        self.failed.pop(failure_id, None)
        row = self._rows.get(failure_id)
        if row is None or row.failure is None:
            return _future(False)
        del self._rows[failure_id]
        if isinstance(row.content, Entry):
            self.put([evolve(row.content, attempts=0)])
        else:
            self.put_reply(row.content)
        return _future(True)

    def changed(self) -> asyncio.Future[bool]:
        """Return `False`: no other process can reach it."""
        return _future(False)

    def checkpoint(self) -> asyncio.Future[dt.datetime | None]:
        """Return the time up to which nothing is missing."""
        return _future(self._checkpoint)

    def set_checkpoint(self, at: dt.datetime) -> asyncio.Future[None]:
        """Set the time up to which nothing is missing."""
        self._checkpoint = at
        return _future(None)

    def prune(self, before: dt.datetime, failed_before: dt.datetime) -> asyncio.Future[int]:
        """Forget what was handled or sent before a time, and what failed before another."""
        done = [key for key, at in self._done.items() if at < before]
        for key in done:
            del self._done[key]
        failed = [key for key, row in self._rows.items() if row.failure and row.failure.failed_at < failed_before]
        for key in failed:
            del self._rows[key]
            self.failed.pop(key, None)
        return _future(len(done) + len(failed))

    def counts(self) -> asyncio.Future[Counts]:
        """Return how much it holds."""
        waiting = [row.content for row in self._rows.values() if row.failure is None]
        pending = sum(isinstance(content, Entry) for content in waiting)
        return _future(
            Counts(
                pending=pending,
                handled=sum(":" in key for key in self._done),  # Only the keys of messages have a colon.
                failed=len(self._rows) - len(waiting),
                unsent=len(waiting) - pending,
            )
        )


def _future(result: T) -> asyncio.Future[T]:
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
