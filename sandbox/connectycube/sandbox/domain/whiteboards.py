"""Whiteboards of dialogs (R-083 to R-086)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from ..clock import iso
from ..errors import forbidden, not_found, unprocessable
from .dialog_model import DialogType

if TYPE_CHECKING:
    from ..core import Core

__all__ = ["Whiteboards"]


class Whiteboards:
    """All whiteboards, in the wire's form."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def create(self, user_id: int, dialog_id: str, name: str) -> dict[str, Any]:
        """Make a whiteboard in a private, group or meeting dialog.

        :raises Refused: 403 if the user is not in the dialog, 422 if it has as many as it may.
        """
        dialog = self._core.dialogs.require(dialog_id, user_id)
        if dialog.type not in (DialogType.PRIVATE, DialogType.GROUP, DialogType.MEETING):
            raise unprocessable("chat_dialog_id", "is of a kind that has no whiteboards")
        most = self._core.settings.limits.whiteboards
        if self._db.value("SELECT count(*) FROM whiteboards WHERE dialog_id = ?", dialog_id) >= most:
            raise unprocessable("chat_dialog_id", f"has {most} whiteboards already")
        now = self._core.clock.now()
        number = self._core.ids.new()
        self._db.insert(
            "whiteboards", id=number, name=name, dialog_id=dialog_id, user_id=user_id, created_at=now, updated_at=now
        )
        return _wire(self._get(number))

    def list(self, user_id: int, dialog_id: str) -> list[dict[str, Any]]:
        """The whiteboards of a dialog that a user is in."""
        self._core.dialogs.require(dialog_id, user_id)
        rows = self._db.all("SELECT * FROM whiteboards WHERE dialog_id = ? ORDER BY id", dialog_id)
        return [_wire(row) for row in rows]

    def rename(self, user_id: int, whiteboard_id: str, name: str) -> dict[str, Any]:
        """Rename a whiteboard; who made it may."""
        self._own(user_id, whiteboard_id)
        self._db.update("whiteboards", "id = ?", whiteboard_id, name=name, updated_at=self._core.clock.now())
        return _wire(self._get(whiteboard_id))

    def delete(self, user_id: int, whiteboard_id: str) -> None:
        """Delete a whiteboard; who made it may."""
        self._own(user_id, whiteboard_id)
        self._db.run("DELETE FROM whiteboards WHERE id = ?", whiteboard_id)

    def _get(self, whiteboard_id: str) -> sqlite3.Row:
        row = self._db.one("SELECT * FROM whiteboards WHERE id = ?", whiteboard_id)
        if row is None:
            raise not_found()
        return row

    def _own(self, user_id: int, whiteboard_id: str) -> None:
        if self._get(whiteboard_id)["user_id"] != user_id:
            raise forbidden()


def _wire(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "_id": row["id"],
        "name": row["name"],
        "chat_dialog_id": row["dialog_id"],
        "user_id": row["user_id"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }
