"""A small SQLite file that survives a kill at any point, and that one process at a time may use."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

__all__ = ["State", "TransferError", "decode", "encode", "failures", "replace", "sync"]


class TransferError(Exception):
    """An export or import can't start or continue. The message is one line that says why."""


class State:
    """A database with one transaction open at all times: only `commit` makes changes durable.

    :param schema: SQL that creates the tables.
    :param version: version of the schema, which is the format's.
    :raises TransferError: if a newer version wrote it.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            # The lock lasts until the connection is closed or the process ends, however it ends.
            self.run("PRAGMA locking_mode = EXCLUSIVE")
            self.run("PRAGMA journal_mode = WAL")
            self.run("PRAGMA synchronous = FULL")
            self.run("BEGIN IMMEDIATE")
            found = self.value("PRAGMA user_version")
            if found > version:
                raise TransferError(
                    f"{path.parent} is in format {found}, but this release supports up to {version}: upgrade it"
                )
            if found == 0:
                for statement in schema.split(";"):
                    self.run(statement)
                self.run(f"PRAGMA user_version = {version}")
                self.commit()
        except BaseException:
            self._connection.close()
            raise

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def value(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row, or `None` without one."""
        row = self.run(sql, *values).fetchone()
        return None if row is None else row[0]

    def commit(self) -> None:
        self.run("COMMIT")
        self.run("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close without keeping what is not committed."""
        self._connection.close()


@contextlib.contextmanager
def failures(folder: Path) -> Generator[None]:
    """Turn what the file system and SQLite raise into a `TransferError`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            raise TransferError(f"another export or import is using {folder}") from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise TransferError(f"the state in {folder} is damaged ({error}): export to a new folder") from error
        raise TransferError(f"can't write to {folder}: {error}") from error
    except OSError as error:
        raise TransferError(f"can't write to {error.filename or folder}: {error.strerror or error}") from error


def encode(row: Any) -> bytes:
    """Return a value as one line of JSON, without the line's end."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # Half a surrogate pair, which only an escape can express.
        return json.dumps(row).encode()


def decode(line: bytes) -> Any:
    """Read a line that `encode` wrote."""
    return json.loads(line)


def replace(path: Path, rows: Iterable[Any]) -> None:
    """Write a file of JSON lines that appears completely or not at all."""
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "wb") as file:
        for row in rows:
            file.write(encode(row) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def sync(path: Path) -> None:
    """Wait until a file or the entries of a folder are on the disk. Windows has no such call for folders."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
