"""The store in a file: SQLite on a thread of its own.

Calls that are made while a transaction is being written share the next one, so that a burst costs few disk flushes.
A transaction is on disk when its calls return (`synchronous = FULL`).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from attrs import evolve

from .errors import StoreError
from .lock import FileLock
from .store import Counts, Entry, Failure, Reply, Stored

__all__ = ["SqliteStore"]

T = TypeVar("T")
Connection: TypeAlias = sqlite3.Connection

logger = logging.getLogger("connectycube.bots")

VERSION: Final = 1
"""Version of the schema."""
APPLICATION: Final = 0x63626F74
"""Marks the file as a bot's: `cbot`."""
GROUP: Final = 1000
"""Most calls in one transaction."""
CHECKED_SIZE: Final = 64 * 1024 * 1024
"""Bytes of the largest file that is checked as a whole when it is opened."""
MESSAGE, REPLY = 0, 1
WAITING, DONE, FAILED = 0, 1, 2

SCHEMA: Final = """
CREATE TABLE items (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    dialog TEXT NOT NULL,
    content BLOB,
    history INTEGER NOT NULL DEFAULT 0,
    state INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    at REAL NOT NULL
);
CREATE INDEX open_items ON items (state, kind, position) WHERE state != 1;
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""

PROBLEMS: Final = {
    sqlite3.SQLITE_FULL: "is full: free some space on its disk",
    sqlite3.SQLITE_BUSY: "is locked by another program: close it",
    sqlite3.SQLITE_LOCKED: "is locked by another program: close it",
    sqlite3.SQLITE_CORRUPT: "is corrupt: restore a copy, or move it away to start with an empty one",
    sqlite3.SQLITE_NOTADB: "is not a database, or corrupt: restore a copy, or move it away to start with an empty one",
    sqlite3.SQLITE_READONLY: "can't be written: it is read-only",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: check its path and permissions",
    sqlite3.SQLITE_IOERR: "can't be read or written: its disk fails or is full",
}


class SqliteStore:
    """Keeps everything in a SQLite file, and beside it in its `-wal`, `-shm` and `.lock` files."""

    durable = True

    def __init__(self, path: str | Path, *, shared: bool = False) -> None:
        """:param shared: do without the lock, to look at a store that a bot may be using. It must exist."""
        self._path = Path(path)
        self.name = str(path)
        self.position = 0
        self._version = 0
        self._shared = shared
        self._lock = FileLock(self._path.with_name(self._path.name + ".lock"), self.name)
        self._calls: queue.SimpleQueue[tuple[Callable[[Connection], Any], asyncio.Future[Any]] | None]
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- the thread

    async def open(self) -> None:
        """Open the file, and create it if it does not exist.

        :raises StoreLocked: if another process uses it.
        :raises StoreError: if it can't be used.
        """
        if not self._path.parent.is_dir():
            raise StoreError(self.name, f"can't be opened: there is no folder {self._path.parent}")
        if self._shared and not self._path.is_file():
            raise StoreError(self.name, "does not exist")
        if not self._shared:
            self._lock.take()
        self._loop = asyncio.get_running_loop()
        self._calls = queue.SimpleQueue()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="connectycube store", daemon=True)
        self._thread.start()
        try:
            await opened
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was begun, and close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(thread.join)  # It releases the lock, even if this is cancelled.

    def _work(self, opened: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:
            self._lock.release()
            self._settle([(opened, self._error(error))])
            return
        self._settle([(opened, None)])
        try:
            while (batch := self._next()) is not None:
                self._settle(self._transaction(connection, batch))
        finally:
            connection.close()
            self._lock.release()

    def _next(self) -> list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] | None:
        """Return the calls that wait, as soon as there is one; `None` at the end."""
        first = self._calls.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < GROUP:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                self._calls.put(None)
                break
            batch.append(call)
        return batch

    def _transaction(
        self, connection: Connection, batch: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]]
    ) -> list[tuple[asyncio.Future[Any], Any]]:
        """Make calls in one transaction, and return the result of each. If one fails, none has had an effect."""
        position = self.position
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [(future, call(connection)) for call, future in batch]
            connection.execute("COMMIT")
        except Exception as error:
            self.position = position
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                # What is wrong with one call must not keep the others from the disk.
                if len(batch) > 1:
                    return [result for one in batch for result in self._transaction(connection, [one])]
                logger.error("a call of the store has failed", exc_info=error)
            failed = self._error(error)
            return [(future, failed) for _, future in batch]
        return results

    def _settle(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        def settle() -> None:
            for future, result in results:
                if future.done():
                    continue
                if isinstance(result, StoreError):
                    future.set_exception(StoreError(result.name, result.problem))
                else:
                    future.set_result(result)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # The loop was closed without a `close`.
            self._loop.call_soon_threadsafe(settle)

    async def _call(self, call: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        if self._thread is None or self._loop is not loop:
            raise StoreError(self.name, "is not open")
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((call, future))
        return await future

    def _error(self, error: Exception) -> StoreError:
        if isinstance(error, StoreError):
            return error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return StoreError(self.name, PROBLEMS.get(code, f"can't be used: {error}"))

    # -- opening

    def _connect(self) -> Connection:
        with contextlib.suppress(OSError):  # SQLite reports it.
            self._path.touch(mode=0o600)  # Nobody else may read the messages.
        connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        def pragma(text: str) -> Any:
            row = connection.execute(f"PRAGMA {text}").fetchone()
            return None if row is None else row[0]

        is_new = pragma("schema_version") == 0
        if is_new:
            pragma("auto_vacuum = INCREMENTAL")
        elif pragma("application_id") != APPLICATION:
            raise StoreError(self.name, "is the database of another program: choose another path")
        elif (version := pragma("user_version")) > VERSION:
            raise StoreError(
                self.name,
                f"has version {version}, but this release supports versions up to {VERSION}: install a newer release",
            )
        pragma("journal_mode = WAL")
        pragma("synchronous = FULL")
        pragma(f"journal_size_limit = {CHECKED_SIZE}")
        if is_new:
            connection.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION};"
                f" PRAGMA user_version = {VERSION}; COMMIT;"
            )
        elif self._path.stat().st_size <= CHECKED_SIZE and (found := pragma("quick_check(1)")) != "ok":
            logger.error("the check of %s found: %s", self.name, found)
            raise StoreError(self.name, PROBLEMS[sqlite3.SQLITE_CORRUPT])
        # A disk that can't be written shows now, not with the first message.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('opened_at', ?)", (_now(),))
        connection.execute("COMMIT")
        self._version = pragma("data_version")
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
        self.position = last[0] if last is not None else 0

    # -- messages

    async def put(self, entries: Sequence[Entry], moved: Collection[str] = ()) -> list[int | None]:
        """Store messages in this order, in one transaction."""

        def put(connection: Connection) -> list[int | None]:
            return [self._put(connection, entry, entry.key in moved) for entry in entries]

        return await self._call(put)

    def _put(self, connection: Connection, entry: Entry, move: bool) -> int | None:
        if move:
            connection.execute("DELETE FROM items WHERE key = ? AND state = ?", (entry.key, WAITING))
        return self._insert(connection, MESSAGE, entry.key, entry.dialog, entry.message, entry.from_history)

    def _insert(
        self, connection: Connection, kind: int, key: str, dialog: str, content: bytes, history: bool
    ) -> int | None:
        row = connection.execute(
            "INSERT INTO items (key, kind, dialog, content, history, at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO NOTHING RETURNING position",
            (key, kind, dialog, content, history, _now()),
        ).fetchone()
        if row is None:
            return None
        self.position = position = int(row[0])
        return position

    async def pending(self, after: int, limit: int) -> list[Stored]:
        """Return the first messages beyond a position that are not handled yet."""

        def pending(connection: Connection) -> list[Stored]:
            rows = connection.execute(
                "SELECT position, key, dialog, content, history FROM items"
                " WHERE state = 0 AND kind = 0 AND position > ? ORDER BY position LIMIT ?",
                (after, limit),
            )
            return [_stored(*row) for row in rows]

        return await self._call(pending)

    async def finish(self, key: str) -> None:
        """Note that a message was handled."""

        def finish(connection: Connection) -> None:
            connection.execute("UPDATE items SET state = 1, content = NULL, error = NULL WHERE key = ?", (key,))

        await self._call(finish)

    async def fail(self, key: str, error: str) -> Failure | None:
        """Note that a message can't be handled."""
        return await self._failed(key, error)

    async def _failed(self, key: str, error: str) -> Failure | None:
        def fail(connection: Connection) -> Failure | None:
            row = connection.execute(
                "UPDATE items SET state = 2, error = ?, at = ? WHERE key = ? AND content IS NOT NULL"
                " RETURNING key, kind, dialog, error, at, content",
                (error, _now(), key),
            ).fetchone()
            return None if row is None else _failure(*row)

        return await self._call(fail)

    async def known(self, ids: Collection[str], until: dt.datetime | None) -> set[str]:
        """Return the keys of messages that were stored, and ids of replies that were sent, up to a time."""

        def known(connection: Connection) -> set[str]:
            query, more = "SELECT 1 FROM items WHERE key = ?", []
            if until is not None:
                query, more = f"{query} AND at <= ? AND (kind = 0 OR state = 1)", [until.timestamp()]
            return {key for key in ids if connection.execute(query, (key, *more)).fetchone() is not None}

        return await self._call(known)

    # -- replies

    async def put_reply(self, reply: Reply) -> Reply | None:
        """Store a reply."""

        def put(connection: Connection) -> Reply | None:
            position = self._insert(connection, REPLY, reply.id, reply.dialog, reply.content, False)
            return None if position is None else evolve(reply, position=position)

        return await self._call(put)

    async def unsent(self) -> list[Reply]:
        """Return the replies that are not sent yet, in order."""

        def unsent(connection: Connection) -> list[Reply]:
            rows = connection.execute(
                "SELECT position, key, dialog, content FROM items WHERE state = 0 AND kind = 1 ORDER BY position"
            )
            return [_reply(*row) for row in rows]

        return await self._call(unsent)

    async def sent(self, reply_id: str) -> None:
        """Note that the server has a reply."""

        def sent(connection: Connection) -> None:
            connection.execute(
                "UPDATE items SET state = 1, content = NULL, error = NULL, at = ? WHERE key = ?", (_now(), reply_id)
            )

        await self._call(sent)

    async def fail_reply(self, reply_id: str, error: str) -> Failure | None:
        """Note that a reply can't be sent."""
        return await self._failed(reply_id, error)

    # -- failures, and the store as a whole

    async def failures(self, limit: int) -> list[Failure]:
        """Return the latest failures, oldest first."""

        def failures(connection: Connection) -> list[Failure]:
            rows = connection.execute(
                "SELECT key, kind, dialog, error, at, content FROM items WHERE state = 2 ORDER BY at DESC LIMIT ?",
                (limit,),
            )
            return [_failure(*row) for row in rows][::-1]

        return await self._call(failures)

    async def retry(self, failure_id: str) -> Stored | Reply | None:
        """Let a failed message or reply wait again, at the end."""

        def retry(connection: Connection) -> Stored | Reply | None:
            row = connection.execute(
                "DELETE FROM items WHERE key = ? AND state = 2 RETURNING kind, dialog, content, history", (failure_id,)
            ).fetchone()
            if row is None:
                return None
            kind, dialog, content, history = row
            position = self._insert(connection, kind, failure_id, dialog, content, bool(history))
            assert position is not None
            if kind == REPLY:
                return _reply(position, failure_id, dialog, content)
            return _stored(position, failure_id, dialog, content, history)

        return await self._call(retry)

    async def changed(self) -> bool:
        """Return whether another process has changed it since the last call."""

        def changed(connection: Connection) -> bool:
            before, self._version = self._version, connection.execute("PRAGMA data_version").fetchone()[0]
            return before != self._version

        return await self._call(changed)

    async def checkpoint(self) -> dt.datetime | None:
        """Return the time up to which nothing is missing."""

        def read(connection: Connection) -> dt.datetime | None:
            row = connection.execute("SELECT value FROM facts WHERE name = 'checkpoint'").fetchone()
            return None if row is None else _time(row[0])

        return await self._call(read)

    async def set_checkpoint(self, at: dt.datetime) -> None:
        """Set the time up to which nothing is missing."""

        def write(connection: Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('checkpoint', ?)", (at.timestamp(),))

        await self._call(write)

    async def prune(self, before: dt.datetime, failed_before: dt.datetime) -> int:
        """Forget what was handled or sent before a time, and what failed before another, and shrink the file."""

        def prune(connection: Connection) -> int:
            # What is young is not read: positions grow with time.
            end = connection.execute(
                "SELECT position FROM items WHERE state = 1 AND at >= ? ORDER BY position LIMIT 1",
                (before.timestamp(),),
            ).fetchone()
            found = connection.execute(
                "DELETE FROM items WHERE state = 1 AND at < ? AND position < ?",
                (before.timestamp(), self.position + 1 if end is None else end[0]),
            ).rowcount
            found += connection.execute(
                "DELETE FROM items WHERE state = 2 AND at < ?", (failed_before.timestamp(),)
            ).rowcount
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            return found

        return await self._call(prune)

    async def counts(self) -> Counts:
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

        return await self._call(count)


def _stored(position: int, key: str, dialog: str, content: bytes, history: int) -> Stored:
    return Stored(position, Entry(key=key, dialog=dialog, message=content, from_history=bool(history)))


def _reply(position: int, key: str, dialog: str, content: bytes) -> Reply:
    return Reply(id=key, dialog=dialog, content=content, position=position)


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
