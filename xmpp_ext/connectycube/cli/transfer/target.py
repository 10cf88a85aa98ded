"""What an import has created, by the ids of the export: it outlives a kill, so that nothing is created twice."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import urlsplit

from .folder import FORMAT, write_report
from .state import State

__all__ = ["Target"]

SCHEMA = """
CREATE TABLE files (old TEXT PRIMARY KEY, began INTEGER NOT NULL, id INTEGER, uid TEXT) WITHOUT ROWID;
CREATE TABLE dialogs (
    old TEXT PRIMARY KEY, began INTEGER NOT NULL, new TEXT,
    place INTEGER NOT NULL DEFAULT 0, since INTEGER, pinned INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE messages (old TEXT PRIMARY KEY, new TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE losses (what TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE problems (kind TEXT, id TEXT, problem TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID
"""


class Target:
    """The state of an import into one account, in the folder of the export."""

    def __init__(self, folder: Path, base_url: str, app_id: str, user_id: int) -> None:
        parts = urlsplit(base_url)
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{parts.netloc}{parts.path}-{app_id}-{user_id}")
        self._path = folder / "imports" / name
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.state = State(self._path / "state.db", SCHEMA, FORMAT)
        # Failures are retried, except those of messages, which are skipped.
        self.state.run("DELETE FROM problems WHERE kind != 'message'")

    def start(self, table: str, old: str, now: int) -> int | None:
        """Note that something is about to be created; return when that was noted before, as it may exist already."""
        began: int | None = self.state.value(f"SELECT began FROM {table} WHERE old = ?", old)
        if began is None:
            self.state.run(f"INSERT INTO {table} (old, began) VALUES (?, ?)", old, now)
            self.state.commit()
        return began

    def file(self, old: str) -> tuple[int, str] | None:
        """Return the new id and uid of a file."""
        found: tuple[int, str] | None = self.state.run(
            "SELECT id, uid FROM files WHERE old = ? AND uid IS NOT NULL", old
        ).fetchone()
        return found

    def dialog(self, old: str) -> str | None:
        """Return the new id of a dialog."""
        new: str | None = self.state.value("SELECT new FROM dialogs WHERE old = ?", old)
        return new

    def message(self, old: str) -> str | None:
        """Return the new id of a message."""
        new: str | None = self.state.value("SELECT new FROM messages WHERE old = ?", old)
        return new

    def is_mapped(self, table: str, new: str | int) -> bool:
        """Return whether something of the target is known to be imported."""
        column = "id" if table == "files" else "new"
        return self.state.value(f"SELECT 1 FROM {table} WHERE {column} = ?", new) is not None

    def put_message(self, old: str, new: str) -> None:
        self.state.run("INSERT OR IGNORE INTO messages VALUES (?, ?)", old, new)

    def count(self, table: str) -> int:
        """Return how many dialogs, files or messages are imported, or how many problems there are."""
        sql = {"dialogs": " WHERE new IS NOT NULL", "files": " WHERE uid IS NOT NULL"}.get(table, "")
        found: int = self.state.value(f"SELECT count(*) FROM {table}{sql}")
        return found

    def lose(self, what: str, count: int = 1) -> None:
        """Count what can't be carried over."""
        sql = "INSERT INTO losses VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
        self.state.run(sql, what, count)

    def losses(self) -> dict[str, int]:
        return dict(self.state.run("SELECT what, count FROM losses").fetchall())

    def problem(self, kind: str, one: str, text: str) -> None:
        """Note what could not be imported."""
        self.state.run("INSERT OR REPLACE INTO problems VALUES (?, ?, ?)", kind, one, text)

    def finish(self) -> Path | None:
        """Write the map of the ids and the report, and return the path of the report if there are problems."""
        partial = self._path / ".ids.csv.part"
        with open(partial, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("kind", "old", "new"))
            rows.writerows(self.state.run("SELECT 'dialog', old, new FROM dialogs WHERE new IS NOT NULL"))
            rows.writerows(self.state.run("SELECT 'message', old, new FROM messages"))
            rows.writerows(self.state.run("SELECT 'file', old, uid FROM files WHERE uid IS NOT NULL"))
        partial.replace(self._path / "ids.csv")
        self.state.commit()
        return write_report(self._path / "report.jsonl", self.state)
