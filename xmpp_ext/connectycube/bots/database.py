"""The file of a store: SQLite on a thread of its own, which makes calls in their order and repeats what fails.

Calls that are made while a transaction is being written share the next one, so that a burst costs few disk flushes.
A transaction is on disk when its calls return (`synchronous = FULL`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from .lock import FileLock
from .store import StoreError

__all__ = ["DONE", "FAILED", "MESSAGE", "REPLY", "WAITING", "Connection", "Database"]

T = TypeVar("T")
Connection: TypeAlias = sqlite3.Connection
Call: TypeAlias = tuple[Callable[[Connection], Any], asyncio.Future[Any]]
"""What to do with the file, and what gets the result."""
Result: TypeAlias = tuple[asyncio.Future[Any], Any]

logger = logging.getLogger("connectycube.bots")

VERSION: Final = 1
"""Version of the schema."""
APPLICATION: Final = 0x63626F74
"""Marks the file as a bot's: `cbot`."""
GROUP: Final = 1000
"""Most calls in one transaction."""
CHECKED_SIZE: Final = 64 * 1024 * 1024
"""Bytes of the largest file that is checked as a whole when it is opened."""
FIRST_PAUSE: Final = 0.1
"""Seconds before what has failed is repeated; doubled each time."""
LONGEST_PAUSE: Final = 5.0
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
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    at REAL NOT NULL
);
CREATE INDEX open_items ON items (state, kind, dialog, position) WHERE state != 1;
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
    sqlite3.SQLITE_IOERR: "can't be read or written: its disk is failing or is full",
}


class Database:
    """A SQLite file, with its `-wal`, `-shm` and `.lock` files beside it.

    :ivar opened_at: when it was opened, in Unix time.
    """

    def __init__(self, path: str | Path, *, shared: bool = False) -> None:
        """:param shared: do without the lock, to look at a store that a bot may be using. It must exist."""
        self._path = Path(path)
        self.name = str(path)
        self.opened_at = 0.0
        self._version = 0
        self._shared = shared
        self._failing: StoreError | None = None
        self._closing = threading.Event()
        self._lock = FileLock(self._path.with_name(self._path.name + ".lock"), self.name)
        self._calls: queue.SimpleQueue[Call | None]
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
        self._closing.clear()
        self._failing = None
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
            self._closing.set()
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
                self._settle(self._insist(connection, batch))
        finally:
            connection.close()
            self._lock.release()

    def _next(self) -> list[Call] | None:
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

    def _insist(self, connection: Connection, batch: list[Call]) -> list[Result]:
        """Make calls, and repeat them while the file can't be used; others wait, so that their order is kept."""
        pause = FIRST_PAUSE
        while True:
            if self._failing is not None and self._closing.is_set():
                return [(future, self._failing) for _, future in batch]
            results = self._transaction(connection, batch)
            error = next((result for _, result in results if isinstance(result, StoreError)), None)
            if error is None:
                if self._failing is not None:
                    logger.warning("the store %s works again", self.name)
                self._failing = None
                return results
            if self._shared:
                return results
            if self._failing is None:
                logger.error("%s; until it can be used again, no message is acknowledged or answered", error)
            self._failing = error
            self._closing.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _transaction(self, connection: Connection, batch: list[Call]) -> list[Result]:
        """Make calls in one transaction, and return the result of each. If the file fails, none has had an effect."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [(future, call(connection)) for call, future in batch]
            connection.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                failed = self._error(error)
                return [(future, failed) for _, future in batch]
            # What is wrong with one call must not keep the others from the disk.
            if len(batch) > 1:
                return [result for one in batch for result in self._transaction(connection, [one])]
            return [(batch[0][1], error)]
        return results

    def _settle(self, results: list[Result]) -> None:
        def settle() -> None:
            for future, result in results:
                if future.done():
                    continue
                if isinstance(result, StoreError):
                    future.set_exception(StoreError(result.name, result.problem))
                    future.exception()  # Not everyone awaits it, and the error was logged.
                elif isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # The loop was closed without a `close`.
            self._loop.call_soon_threadsafe(settle)

    def call(self, call: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Call a function with the connection, after all earlier ones. Its result comes once its effect is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._thread is None or self._loop is not loop:
            future.set_exception(StoreError(self.name, "is not open"))
            future.exception()
        else:
            self._calls.put((call, future))
        return future

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
        self.opened_at = time.time()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('opened_at', ?)", (self.opened_at,))
        connection.execute("COMMIT")
        self._version = pragma("data_version")
