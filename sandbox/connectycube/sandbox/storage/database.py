"""A thin layer over `sqlite3`: queries, nested transactions, JSON columns.

Only one thread at a time uses the database: the sandbox's loop.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from attrs import fields

T = TypeVar("T")

__all__ = ["DataFileError", "Database", "Unwritable", "dump", "load"]

SCHEMA_VERSION = 4
MIGRATIONS = {
    1: "ALTER TABLE contacts ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'",
    2: "CREATE TABLE keys (app_id INTEGER NOT NULL, auth_key TEXT NOT NULL, admin_key TEXT NOT NULL)",
    3: "CREATE TABLE recordings (id TEXT PRIMARY KEY, meeting_id TEXT NOT NULL REFERENCES meetings (id) ON DELETE"
    " CASCADE, file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, participants TEXT NOT NULL, duration"
    " REAL NOT NULL, created_at REAL NOT NULL)",
}
"""SQL that upgrades each older version to the next."""
FIRST_NUMBERS = {"users": 81000, "sessions": 550100, "files": 5000, "subscriptions": 9000, "events": 9500}
"""As on the platform, ids are large and differ between tables, so that a mix-up doesn't go unnoticed."""
UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
LOCK_SECONDS = 1.0
"""How long to wait for the data file, which a stopping sandbox may still hold."""


class DataFileError(Exception):
    """The data file can't be used: it is not a sandbox's, or of another version, damaged, or in use."""


class Unwritable(DataFileError):
    """The data file can be read but not written, for example because the disk is full."""


class Database:
    """The store.

    :param path: the data file. Without one, everything is in memory.
    :raises DataFileError: if the file can't be used.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._depth = 0
        try:
            self._connection = sqlite3.connect(
                ":memory:" if self.path is None else self.path,
                timeout=LOCK_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise DataFileError(f"{self.path} can't be opened: {error}") from error
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise DataFileError(f"{self.path} {_trouble(error)}") from error
        except DataFileError:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        if self.path is not None:
            # Each of two sandboxes on one file would delete the other's unfinished uploads as left over.
            self.run("PRAGMA locking_mode = EXCLUSIVE")
            # The data survives a killed process. Only a power failure may lose the last changes.
            self.run("PRAGMA journal_mode = WAL")
            self.run("PRAGMA synchronous = NORMAL")
        self.run("PRAGMA foreign_keys = ON")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            if self.all("SELECT name FROM sqlite_master"):
                raise DataFileError(f"{self.path} holds another program's data")
            self._create()
        elif not 0 < version <= SCHEMA_VERSION:
            raise DataFileError(
                f"{self.path} is of version {version}, this sandbox reads up to version {SCHEMA_VERSION}: "
                "use the connectycube that wrote it, or another file"
            )
        else:
            self._check()
            self._migrate(version)

    def _check(self) -> None:
        """Check an existing file.

        :raises DataFileError: if it is damaged, which would later make each call an internal error.
        """
        found = self.value("PRAGMA quick_check(1)")
        if found != "ok":
            raise DataFileError(f"{self.path} is damaged: {' '.join(found.split())}")
        # Uploads that were in progress when the sandbox was killed.
        self.run("DELETE FROM file_chunks WHERE NOT EXISTS (SELECT 1 FROM files WHERE content = file_chunks.content)")

    def _create(self) -> None:
        schema = resources.files("connectycube.sandbox.storage").joinpath("schema.sql").read_text("utf-8")
        self._connection.executescript(f"BEGIN;{schema};PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
        for table, number in FIRST_NUMBERS.items():
            self.run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, number)

    def _migrate(self, version: int) -> None:
        """Upgrade a file of an older sandbox, completely or not at all."""
        steps = [MIGRATIONS[step] for step in range(version, SCHEMA_VERSION)]
        if steps:
            self._connection.executescript(f"BEGIN;{';'.join(steps)};PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows."""
        return self._connection.execute(sql, values).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row."""
        row = self.one(sql, *values)
        return None if row is None else row[0]

    def column(self, sql: str, *values: Any) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self.all(sql, *values)]

    def find(self, kind: type[T], sql: str, *values: Any) -> T | None:
        """Return the first row as an instance of an attrs class."""
        row = self.one(sql, *values)
        return None if row is None else _instance(kind, row)

    def find_all(self, kind: type[T], sql: str, *values: Any) -> list[T]:
        """Return all rows as instances of an attrs class."""
        return [_instance(kind, row) for row in self.all(sql, *values)]

    def page(
        self, kind: type[T], table: str, where: str, values: Sequence[Any], order: str, *, skip: int, limit: int
    ) -> tuple[list[T], int]:
        """Return one page of the rows that meet a condition, and the number of all of them."""
        total = self.value(f"SELECT count(*) FROM {table} WHERE {where}", *values)
        sql = f"SELECT * FROM {table} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
        return self.find_all(kind, sql, *values, limit, skip), total

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement.

        :returns: how many rows changed.
        """
        return self._write(sql, values).rowcount

    def _write(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in UNWRITABLE:
                raise Unwritable(f"{self.path} {_trouble(error)}") from error
            raise

    def insert(self, table: str, **values: Any) -> int:
        """Insert a row.

        :returns: its row id.
        """
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self._write(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*values.values()]).lastrowid or 0

    def update(self, table: str, where: str, *keys: Any, **values: Any) -> int:
        """Update the rows that meet a condition.

        :returns: how many rows changed.
        """
        if not values:
            return 0
        parts = ", ".join(f"{name} = ?" for name in values)
        return self.run(f"UPDATE {table} SET {parts} WHERE {where}", *values.values(), *keys)

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Run a block completely or not at all. Blocks may be nested."""
        name = f"depth{self._depth}"
        self.run(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self.run(f"RELEASE {name}")
        except BaseException:
            # SQLite may have rolled back everything itself if the disk is full.
            if self._connection.in_transaction:
                self.run(f"ROLLBACK TO {name}")
                self.run(f"RELEASE {name}")
            raise
        finally:
            self._depth -= 1

    @contextmanager
    def attempt(self) -> Generator[None, None, None]:
        """Run a block completely or not at all, and go on if the data file can't be written.

        It is for what a call only notes on the side: reading works while the disk is full.
        """
        with suppress(Unwritable), self.transaction():
            yield

    def clear(self) -> None:
        """Delete all data, but keep the application's keys, and start ids over."""
        with self.transaction():
            self.run("PRAGMA defer_foreign_keys = ON")
            for table in self.column(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name != 'keys'"
            ):
                self.run(f"DELETE FROM {table}")
            for table, number in FIRST_NUMBERS.items():
                self.run("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", number, table)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _instance(kind: Any, row: sqlite3.Row) -> Any:
    """Build an attrs class from the columns of the same names; its converters read JSON and flags."""
    return kind(**{one.name: row[one.name] for one in fields(kind)})


def _trouble(error: sqlite3.DatabaseError) -> str:
    """Say what is wrong with a data file, in a few words."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_BUSY:
            return "is in use, by another sandbox or another program"
        case code if code in UNWRITABLE:
            return f"can't be written: {error}"
        case sqlite3.SQLITE_CORRUPT:
            return f"is damaged: {error}"
        case _:
            return f"is not a data file of the sandbox: {error}"


def dump(value: Any) -> str:
    """Return a value in the form of a JSON column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(text: str | None) -> Any:
    """Return the value of a JSON column."""
    return None if text is None else json.loads(text)
