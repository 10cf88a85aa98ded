"""The store in a file: what is written to and read from a SQLite database."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve

from .database import DONE, FAILED, MESSAGE, REPLY, WAITING, Connection, Database
from .store import MOST_FAILURES, Counts, Entry, Failure, Reply, note_failure

__all__ = ["SqliteStore"]

FINISH: Final = "UPDATE items SET state = 1, content = NULL, error = NULL WHERE key = ?"
FAILURE: Final = "key, kind, dialog, error, at, content"


class SqliteStore(Database):
    """Keeps everything in a SQLite file."""

    durable = True

    def __init__(self, path: str | Path, *, shared: bool = False) -> None:
        """:param shared: do without the lock, to look at a store that a bot may be using. It must exist."""
        super().__init__(path, shared=shared)
        self.failed: dict[str, Failure] = {}

    def _prepare(self, connection: Connection) -> None:
        super()._prepare(connection)
        self._load_failures(connection)

    # -- messages

    def put(self, entries: Sequence[Entry], moved: Sequence[str] = ()) -> asyncio.Future[list[bool]]:
        """Store messages in this order, in one transaction."""
        first = {entry.key for entry in entries}
        rest = [key for key in moved if key not in first]

        def put(connection: Connection) -> list[bool]:
            new = [self._put(connection, entry, entry.key in moved) for entry in entries]
            for key in rest:
                self._move(connection, key, WAITING)
            return new

        return self.call(put)

    def put_answered(self, entries: Sequence[Entry]) -> asyncio.Future[None]:
        """Store messages as handled, unless they were stored before."""

        def put_answered(connection: Connection) -> None:
            for entry in entries:
                if self._put(connection, entry, move=False):
                    connection.execute(FINISH, (entry.key,))

        return self.call(put_answered)

    def _put(self, connection: Connection, entry: Entry, move: bool) -> bool:
        position = self._insert(connection, MESSAGE, entry.key, entry.dialog, entry.message, entry.from_history)
        if position is None and move:
            self._move(connection, entry.key, WAITING)
        return position is not None

    def _insert(
        self, connection: Connection, kind: int, key: str, dialog: str, content: bytes, history: bool
    ) -> int | None:
        """Add an item, and return its position; `None` if it was stored before."""
        row = connection.execute(
            "INSERT INTO items (key, kind, dialog, content, history, at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO NOTHING RETURNING position",
            (key, kind, dialog, content, history, _now()),
        ).fetchone()
        return None if row is None else int(row[0])

    def _move(self, connection: Connection, key: str, state: int) -> bool:
        """Let an item in a state wait behind all others."""
        row = connection.execute(
            "DELETE FROM items WHERE key = ? AND state = ? RETURNING key, kind, dialog, content, history, attempts, at",
            (key, state),
        ).fetchone()
        if row is not None:
            connection.execute(
                "INSERT INTO items (key, kind, dialog, content, history, attempts, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return row is not None

    def dialogs(self) -> asyncio.Future[dict[str, int]]:
        """Return how many messages wait in each dialog, the one with the oldest message first."""

        def dialogs(connection: Connection) -> dict[str, int]:
            return dict(
                connection.execute(
                    "SELECT dialog, count(*) FROM items WHERE state = 0 AND kind = 0"
                    " GROUP BY dialog ORDER BY min(position)"
                )
            )

        return self.call(dialogs)

    def pending(self, dialog: str, limit: int) -> asyncio.Future[list[Entry]]:
        """Return the first messages of a dialog that wait to be handled."""

        def pending(connection: Connection) -> list[Entry]:
            rows = connection.execute(
                "SELECT key, content, history, attempts, at < ? FROM items"
                " WHERE state = 0 AND kind = 0 AND dialog = ? ORDER BY position LIMIT ?",
                (self.opened_at, dialog, limit),
            )
            return [
                Entry(
                    key=key,
                    dialog=dialog,
                    message=content,
                    from_history=bool(history),
                    attempts=attempts,
                    redelivered=bool(old),
                )
                for key, content, history, attempts, old in rows
            ]

        return self.call(pending)

    def begin(self, key: str, attempts: int) -> asyncio.Future[None]:
        """Note how often a handler was called for a message."""

        def begin(connection: Connection) -> None:
            connection.execute("UPDATE items SET attempts = ? WHERE key = ?", (attempts, key))

        return self.call(begin)

    def finish(self, key: str) -> asyncio.Future[None]:
        """Note that a message was handled."""

        def finish(connection: Connection) -> None:
            connection.execute(FINISH, (key,))

        return self.call(finish)

    def known(self, ids: Collection[str], until: dt.datetime | None) -> asyncio.Future[set[str]]:
        """Return the keys of messages that were stored, and ids of replies that were sent, up to a time."""

        def known(connection: Connection) -> set[str]:
            query = "SELECT 1 FROM items WHERE key = ?"
            more: tuple[float, ...] = ()
            if until is not None:
                query, more = f"{query} AND at <= ? AND (kind = 0 OR state = 1)", (until.timestamp(),)
            return {key for key in ids if connection.execute(query, (key, *more)).fetchone() is not None}

        return self.call(known)

    # -- replies

    def put_reply(self, reply: Reply) -> asyncio.Future[Reply | None]:
        """Store a reply."""

        def put(connection: Connection) -> Reply | None:
            position = self._insert(connection, REPLY, reply.id, reply.dialog, reply.content, False)
            return None if position is None else evolve(reply, position=position)

        return self.call(put)

    def unsent(self, after: int) -> asyncio.Future[list[Reply]]:
        """Return the replies beyond a position that are not sent yet, in order."""

        def unsent(connection: Connection) -> list[Reply]:
            rows = connection.execute(
                "SELECT position, key, dialog, content FROM items"
                " WHERE state = 0 AND kind = 1 AND position > ? ORDER BY position",
                (after,),
            )
            return [
                Reply(id=key, dialog=dialog, content=content, position=position)
                for position, key, dialog, content in rows
            ]

        return self.call(unsent)

    def sent(self, reply_id: str) -> asyncio.Future[None]:
        """Note that the server has a reply."""

        def sent(connection: Connection) -> None:
            connection.execute(
                "UPDATE items SET state = 1, content = NULL, error = NULL, at = ? WHERE key = ?", (_now(), reply_id)
            )

        return self.call(sent)

    # -- failures, and the store as a whole

    async def fail(self, failure_id: str, error: str) -> Failure | None:
        """Note that a message can't be handled, or a reply not be sent."""

        def fail(connection: Connection) -> Failure | None:
            row = connection.execute(
                "UPDATE items SET state = 2, error = ?, at = ? WHERE key = ? AND content IS NOT NULL"
                f" RETURNING {FAILURE}",
                (error, _now(), failure_id),
            ).fetchone()
            return None if row is None else _failure(*row)

        failure = await self.call(fail)
        if failure is not None:
            note_failure(self.failed, failure)
        return failure

    def _load_failures(self, connection: Connection) -> None:
        self.failed = {failure.id: failure for failure in _failures(connection, MOST_FAILURES)}

    def failures(self) -> asyncio.Future[list[Failure]]:
        """Return all failures, oldest first."""
        return self.call(_failures)

    def retry(self, failure_id: str) -> asyncio.Future[bool]:
        """Let a failed message or reply wait again, at the end."""
        self.failed.pop(failure_id, None)

        def retry(connection: Connection) -> bool:
            connection.execute("UPDATE items SET attempts = 0 WHERE key = ? AND state = 2", (failure_id,))
            return self._move(connection, failure_id, FAILED)

        return self.call(retry)

    def changed(self) -> asyncio.Future[bool]:
        """Return whether another process has changed it since the last call."""

        def changed(connection: Connection) -> bool:
            before, self._version = self._version, connection.execute("PRAGMA data_version").fetchone()[0]
            if before != self._version:
                self._load_failures(connection)
            return before != self._version

        return self.call(changed)

    def checkpoint(self) -> asyncio.Future[dt.datetime | None]:
        """Return the time up to which nothing is missing."""

        def read(connection: Connection) -> dt.datetime | None:
            row = connection.execute("SELECT value FROM facts WHERE name = 'checkpoint'").fetchone()
            return None if row is None else _time(row[0])

        return self.call(read)

    def set_checkpoint(self, at: dt.datetime) -> asyncio.Future[None]:
        """Set the time up to which nothing is missing."""

        def write(connection: Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('checkpoint', ?)", (at.timestamp(),))

        return self.call(write)

    def prune(self, before: dt.datetime, failed_before: dt.datetime) -> asyncio.Future[int]:
        """Forget what was handled or sent before a time, and what failed before another, and shrink the file."""

        def prune(connection: Connection) -> int:
            # What is young is not read: positions grow with time.
            found = connection.execute(
                "DELETE FROM items WHERE state = 1 AND at < :before AND position < coalesce("
                "(SELECT position FROM items WHERE state = 1 AND at >= :before ORDER BY position LIMIT 1), 1 << 62)",
                {"before": before.timestamp()},
            ).rowcount
            found += connection.execute(
                "DELETE FROM items WHERE state = 2 AND at < ?", (failed_before.timestamp(),)
            ).rowcount
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            self._load_failures(connection)
            return found

        return self.call(prune)

    def counts(self) -> asyncio.Future[Counts]:
        """Return how much it holds."""

        def count(connection: Connection) -> Counts:
            rows = connection.execute("SELECT state, kind, count(*) FROM items GROUP BY state, kind")
            found = {(state, kind): number for state, kind, number in rows}
            return Counts(
                pending=found.get((WAITING, MESSAGE), 0),
                handled=found.get((DONE, MESSAGE), 0),
                failed=found.get((FAILED, MESSAGE), 0) + found.get((FAILED, REPLY), 0),
                unsent=found.get((WAITING, REPLY), 0),
            )

        return self.call(count)


def _failures(connection: Connection, limit: int = -1) -> list[Failure]:
    """Return the latest failures, oldest first."""
    rows = connection.execute(f"SELECT {FAILURE} FROM items WHERE state = 2 ORDER BY at DESC LIMIT ?", (limit,))
    return [_failure(*row) for row in rows][::-1]


def _failure(key: str, kind: int, dialog: str, error: str, at: float, content: bytes) -> Failure:
    return Failure(
        id=key,
        kind="reply" if kind == REPLY else "message",
        dialog=dialog,
        error=error,
        failed_at=_time(at),
        content=content,
    )


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _now() -> float:
    return dt.datetime.now(dt.UTC).timestamp()
