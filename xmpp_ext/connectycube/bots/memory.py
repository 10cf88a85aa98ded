"""A store that ends with the process."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from enum import Enum

from attrs import define, evolve

from .store import Counts, Entry, Failure, Reply, Stored

__all__ = ["MemoryStore"]


class _State(Enum):
    WAITING = 0
    DONE = 1
    FAILED = 2


@define
class _Row:
    """A message or a reply. Its content is dropped once it is done."""

    position: int
    content: Entry | Reply | None
    state: _State
    at: dt.datetime
    error: str = ""


class MemoryStore:
    """Keeps everything in memory, and nothing across a restart of the process."""

    name = "memory"
    durable = False

    def __init__(self) -> None:
        self.position = 0
        self._rows: dict[str, _Row] = {}
        """Messages by key and replies by id, the oldest first."""
        self._checkpoint: dt.datetime | None = None

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def put(self, entries: Sequence[Entry], moved: Collection[str] = ()) -> list[int | None]:
        """Store messages in this order."""
        return [self._put(entry, entry.key in moved) for entry in entries]

    def _put(self, entry: Entry, move: bool) -> int | None:
        row = self._rows.get(entry.key)
        if row is None:
            self._add(entry.key, entry)
            return self.position
        if not move or row.state is not _State.WAITING:
            return None
        self._move(entry.key, row)
        return self.position

    def _add(self, key: str, content: Entry | Reply) -> None:
        self.position += 1
        self._rows[key] = _Row(self.position, content, _State.WAITING, _now())

    def _move(self, key: str, row: _Row) -> None:
        self.position += 1
        row.position = self.position
        self._rows[key] = self._rows.pop(key)

    async def pending(self, after: int, limit: int) -> list[Stored]:
        """Return the first messages beyond a position that are not handled yet."""
        found = [
            Stored(row.position, row.content)
            for row in self._rows.values()
            if row.position > after and row.state is _State.WAITING and isinstance(row.content, Entry)
        ]
        return found[:limit]

    async def finish(self, key: str) -> None:
        """Note that a message was handled."""
        if (row := self._rows.get(key)) is not None:
            row.state, row.content = _State.DONE, None

    async def fail(self, key: str, error: str) -> Failure | None:
        """Note that a message can't be handled."""
        return self._failed(key, error)

    def _failed(self, key: str, error: str) -> Failure | None:
        row = self._rows.get(key)
        if row is None or row.content is None:
            return None
        row.state, row.error, row.at = _State.FAILED, error, _now()
        return _failure(key, row)

    async def known(self, ids: Collection[str], until: dt.datetime | None) -> set[str]:
        """Return the keys of messages that were stored, and ids of replies that were sent, up to a time."""
        return {
            key
            for key in ids
            if (row := self._rows.get(key)) is not None
            and (
                until is None
                or (row.at <= until and not (isinstance(row.content, Reply) and row.state is not _State.DONE))
            )
        }

    async def put_reply(self, reply: Reply) -> Reply | None:
        """Store a reply."""
        if reply.id in self._rows:
            return None
        self._add(reply.id, reply)
        return evolve(reply, position=self.position)

    async def unsent(self) -> list[Reply]:
        """Return the replies that are not sent yet, in order."""
        return [
            evolve(row.content, position=row.position)
            for row in self._rows.values()
            if row.state is _State.WAITING and isinstance(row.content, Reply)
        ]

    async def sent(self, reply_id: str) -> None:
        """Note that the server has a reply."""
        if (row := self._rows.get(reply_id)) is not None:
            row.state, row.content, row.at = _State.DONE, None, _now()

    async def fail_reply(self, reply_id: str, error: str) -> Failure | None:
        """Note that a reply can't be sent."""
        return self._failed(reply_id, error)

    async def failures(self, limit: int) -> list[Failure]:
        """Return the latest failures, oldest first."""
        found = [_failure(key, row) for key, row in self._rows.items() if row.state is _State.FAILED]
        return sorted(found, key=lambda failure: failure.failed_at)[-limit:]

    async def retry(self, failure_id: str) -> Stored | Reply | None:
        """Let a failed message or reply wait again, at the end."""
        row = self._rows.get(failure_id)
        if row is None or row.state is not _State.FAILED or row.content is None:
            return None
        self._move(failure_id, row)
        row.state = _State.WAITING
        if isinstance(row.content, Entry):
            return Stored(row.position, row.content)
        return evolve(row.content, position=row.position)

    async def changed(self) -> bool:
        """Return `False`: no other process can reach it."""
        return False

    async def checkpoint(self) -> dt.datetime | None:
        """Return the time up to which nothing is missing."""
        return self._checkpoint

    async def set_checkpoint(self, at: dt.datetime) -> None:
        """Set the time up to which nothing is missing."""
        self._checkpoint = at

    async def prune(self, before: dt.datetime, failed_before: dt.datetime) -> int:
        """Forget what was handled or sent before a time, and what failed before another."""
        limits = {_State.DONE: before, _State.FAILED: failed_before}
        old = [key for key, row in self._rows.items() if row.state in limits and row.at < limits[row.state]]
        for key in old:
            del self._rows[key]
        return len(old)

    async def counts(self) -> Counts:
        """Return how much it holds."""
        found = Counts()
        for row in self._rows.values():
            if row.state is _State.FAILED:
                found.failed += 1
            elif row.state is _State.WAITING and isinstance(row.content, Reply):
                found.unsent += 1
            elif row.state is _State.WAITING:
                found.pending += 1
        # What is done has no content any more: only the keys of messages have a colon.
        found.handled = sum(row.state is _State.DONE and ":" in key for key, row in self._rows.items())
        return found


def _failure(key: str, row: _Row) -> Failure:
    content = row.content
    assert content is not None
    is_message = isinstance(content, Entry)
    return Failure(
        id=key,
        kind="message" if is_message else "reply",
        dialog=content.dialog,
        error=row.error,
        failed_at=row.at,
        content=content.message if isinstance(content, Entry) else content.content,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
