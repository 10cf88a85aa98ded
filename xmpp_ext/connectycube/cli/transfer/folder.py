"""The folder of an export. docs/export.md describes what is in it.

`state.db` says how many bytes of each file of messages count. Messages are appended and synced before the state that
counts them is committed, and what a killed run appended beyond is cut off, so no message is lost or stored twice.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from connectycube.rest import DecodeError
from connectycube.rest.models import Message

from .state import State, TransferError, decode, encode, replace, sync

__all__ = ["FORMAT", "Folder", "is_name"]

FORMAT = 1
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE dialogs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, row BLOB NOT NULL,
    length INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,
    since INTEGER, began INTEGER, place
);
CREATE TABLE messages (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (ref TEXT PRIMARY KEY, uid TEXT, row BLOB) WITHOUT ROWID;
CREATE TABLE problems (kind TEXT, id TEXT, problem TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID
"""
ROWS = 1000
BYTES = 4 << 20
SECONDS = 1.0
"""After how many messages, how many bytes of them, or how long changes are committed."""


def is_name(text: str) -> bool:
    """Return whether a text from the server can be the name of a file: ids and uids always can."""
    # Windows reserves the names of devices.
    return re.fullmatch(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)$)[A-Za-z0-9_-]{1,100}", text) is not None


def check_entries(path: Path) -> None:
    """Refuse links, pipes and devices: a folder that someone else has made could use them to reach any file.

    :raises TransferError: if there are any.
    """
    for folder, folders, files in os.walk(path):
        for one in (Path(folder, name) for name in (*folders, *files)):
            mode = one.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise TransferError(f"{one} is a link, a pipe or a device, which an export never contains")


class Folder:
    """An export on disk, which no other process uses at the same time.

    :param create: whether to make a folder that doesn't exist or is empty an export.
    :raises TransferError: if it is not an export, or a newer version's.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        self._lines: dict[str, list[bytes]] = {}
        self._rows = self._bytes = 0
        self._committed = time.monotonic()
        known = (path / "state.db").exists()
        if not known and (not create or (path.exists() and any(path.iterdir()))):
            raise TransferError(f"{path} is not a folder that `connectycube export` wrote")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_entries(path)
        # The first thing in the folder, by which the next run recognizes it if this one is killed at once.
        self.state = State(path / "state.db", SCHEMA, FORMAT)
        try:
            for name in ("messages", "files"):
                (path / name).mkdir(mode=0o700, exist_ok=True)
            self._messages: int = self.state.value("SELECT ifnull(sum(messages), 0) FROM dialogs")
            self._clean()
        except BaseException:
            self.close()
            raise

    def _clean(self) -> None:
        """Remove what a killed run left unfinished."""
        lengths = dict(self.state.run("SELECT id, length FROM dialogs").fetchall())
        for path in (self.path / "messages").iterdir():
            length = lengths.pop(path.stem, 0)
            if path.stat().st_size < length:
                raise TransferError(f"{path} is shorter than it was written: export to a new folder")
            if length:
                os.truncate(path, length)
            else:
                path.unlink()
        missing = next((one for one, length in lengths.items() if length), None)
        if missing is not None:
            raise TransferError(f"{self.messages_path(missing)} is missing: export to a new folder")
        for path in (*self.path.glob(".*.part"), *(self.path / "files").glob(".*.part")):
            path.unlink()

    def close(self) -> None:
        self.state.close()

    # -- what is known

    def get(self, name: str) -> Any:
        return self.state.value("SELECT value FROM meta WHERE name = ?", name)

    def put(self, name: str, value: Any) -> None:
        self.state.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def bind(self, source: dict[str, Any]) -> None:
        """Note whose export it is.

        :raises TransferError: if it is another's.
        """
        known = self.get("source")
        if known is None:
            self.put("source", encode(source))
        elif decode(known) != source:
            found = decode(known)
            whose = "the application" if found["user_id"] is None else f"user {found['user_id']}"
            raise TransferError(
                f"{self.path} holds an export of {whose} of application {found['app_id']} at {found['base_url']}: "
                "choose another folder"
            )

    def count(self, table: str) -> int:
        """Return how many dialogs, files, messages or problems there are."""
        if table == "messages":
            return self._messages
        sql = "SELECT count(DISTINCT uid) FROM files" if table == "files" else f"SELECT count(*) FROM {table}"
        found: int = self.state.value(sql)
        return found

    # -- dialogs and messages

    def _inside(self, folder: str, name: str, suffix: str = "") -> Path:
        if not is_name(name):
            raise TransferError(f"the state in {self.path} is damaged: {name!r} can't be the name of a file")
        return self.path / folder / f"{name}{suffix}"

    def messages_path(self, dialog_id: str) -> Path:
        return self._inside("messages", dialog_id, ".jsonl")

    def file_path(self, uid: str) -> Path:
        return self._inside("files", uid)

    def put_dialog(self, dialog_id: str, row: dict[str, Any]) -> bool:
        """Store a dialog as it is now, and return whether it is new."""
        new = self.state.value("SELECT 1 FROM dialogs WHERE id = ?", dialog_id) is None
        sql = "INSERT INTO dialogs (id, row) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row"
        self.state.run(sql, dialog_id, encode(row))
        return new

    def dialogs(self) -> Iterator[tuple[str, dict[str, Any], int]]:
        """Yield the id, the content and the bytes of messages of each dialog, oldest first."""
        number = 0
        sql = "SELECT number, id, row, length FROM dialogs WHERE number > ? ORDER BY number LIMIT 1"
        while (found := self.state.run(sql, number).fetchone()) is not None:
            number, dialog_id, row, length = found
            yield dialog_id, decode(row), length

    def reading(self, dialog_id: str) -> tuple[int | None, int | None, int | str | None]:
        """Return from when on changes are unread, when the pass over them began, and how far it has come."""
        sql = "SELECT since, began, place FROM dialogs WHERE id = ?"
        since, began, place = self.state.run(sql, dialog_id).fetchone()
        return since, began, place

    def set_reading(self, dialog_id: str, since: int | None, began: int | None, place: int | str | None) -> None:
        sql = "UPDATE dialogs SET since = ?, began = ?, place = ? WHERE id = ?"
        self.state.run(sql, since, began, place, dialog_id)

    def is_new(self, message_id: str) -> bool:
        """Note a message, and return whether it was unknown."""
        return self.state.run("INSERT OR IGNORE INTO messages VALUES (?)", message_id).rowcount == 1

    def append(self, dialog_id: str, rows: Sequence[dict[str, Any]]) -> None:
        """Store messages that are new."""
        lines = [encode(row) + b"\n" for row in rows]
        self._lines.setdefault(dialog_id, []).extend(lines)
        self._rows += len(lines)
        self._messages += len(lines)
        self._bytes += sum(map(len, lines))

    def commit(self, *, if_much: bool = False) -> None:
        """Make all changes durable.

        :param if_much: only if there are many, or the last time was long ago.
        """
        is_due = self._rows >= ROWS or self._bytes >= BYTES or time.monotonic() - self._committed >= SECONDS
        if if_much and not is_due:
            return
        is_new = False
        for dialog_id, lines in self._lines.items():
            length = self.state.value("SELECT length FROM dialogs WHERE id = ?", dialog_id)
            is_new = is_new or not length
            with open(self.messages_path(dialog_id), "ab" if length else "wb") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            sql = "UPDATE dialogs SET length = length + ?, messages = messages + ? WHERE id = ?"
            self.state.run(sql, sum(map(len, lines)), len(lines), dialog_id)
        if is_new:
            sync(self.path / "messages")
        self._lines.clear()
        self._rows = self._bytes = 0
        self.state.commit()
        self._committed = time.monotonic()

    # -- files

    def want_file(self, ref: str) -> None:
        """Note a file to fetch by its uid, or by its id if it is a number."""
        self.state.run("INSERT OR IGNORE INTO files (ref) VALUES (?)", ref)

    def missing_files(self) -> Iterator[str]:
        """Yield the files that are not there yet."""
        ref = ""
        sql = "SELECT min(ref) FROM files WHERE row IS NULL AND ref > ?"
        while (ref := self.state.value(sql, ref)) is not None:
            yield ref

    def put_file(self, ref: str, uid: str, row: dict[str, Any]) -> None:
        """Note a file that has been fetched."""
        self.state.run("UPDATE files SET uid = ?, row = ? WHERE ref = ?", uid, encode(row), ref)

    def files(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the uid and the description of each file."""
        uid = ""
        sql = "SELECT uid, row FROM files WHERE row IS NOT NULL AND uid > ? ORDER BY uid LIMIT 1"
        while (found := self.state.run(sql, uid).fetchone()) is not None:
            uid, row = found
            yield uid, decode(row)

    def file_uid(self, ref: str) -> str | None:
        """Return the uid of a file that is there."""
        uid: str | None = self.state.value("SELECT uid FROM files WHERE ref = ?", ref)
        return uid

    # -- the end

    def problem(self, kind: str, one: str, text: str) -> None:
        """Note what could not be exported."""
        self.state.run("INSERT OR REPLACE INTO problems VALUES (?, ?, ?)", kind, one, text)

    def solved(self, kind: str, one: str) -> None:
        """Forget a problem of an earlier round."""
        self.state.run("DELETE FROM problems WHERE kind = ? AND id = ?", kind, one)

    def finish(self, counts: dict[str, Any]) -> Path | None:
        """Write the files that are made from the state, and note that the export is complete.

        :returns: the path of the report, if there are problems.
        """
        replace(self.path / "dialogs.jsonl", (row for _, row, _ in self.dialogs()))
        replace(self.path / "files.jsonl", (row for _, row in self.files()))
        report = write_report(self.path / "report.jsonl", self.state)
        replace(self.path / "export.json", [{"format": FORMAT, **decode(self.get("source")), **counts}])
        self.put("complete", 1)
        self.commit()
        return report


def write_report(path: Path, state: State) -> Path | None:
    """Write the problems to a file, which exists only if there are any, and return its path."""
    if not state.value("SELECT count(*) FROM problems"):
        path.unlink(missing_ok=True)
        return None

    def rows() -> Generator[dict[str, str]]:
        for kind, one, problem in state.run("SELECT kind, id, problem FROM problems"):
            yield {"kind": kind, "id": one, "problem": problem}

    replace(path, rows())
    return path


def messages_of(path: Path, start: int, end: int) -> Iterator[tuple[int, Message]]:
    """Yield the messages between two places of a file, each with the place after it.

    :raises TransferError: if a line is damaged.
    """
    if start >= end:
        return
    with open(path, "rb") as file:
        file.seek(start)
        while start < end:
            line = file.readline()
            try:
                message = Message.from_dict(dict(decode(line)))
            except (ValueError, TypeError, RecursionError, DecodeError) as error:
                raise TransferError(f"{path} is damaged at byte {start}: {error}") from error
            start += len(line)
            yield start, message
