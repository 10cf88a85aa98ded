"""Whiteboards of dialogs (R-083 to R-086)."""

from __future__ import annotations

import sqlite3

from attrs import define

from ..clock import Clock
from ..config import Settings
from ..errors import forbidden, required, unprocessable
from ..ids import ObjectIds
from ..storage import Database
from .dialog_model import DialogType
from .dialogs import Dialogs

__all__ = ["Whiteboards"]


@define(eq=False)
class Whiteboards:
    """The whiteboards of all dialogs."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _settings: Settings
    _dialogs: Dialogs

    def create(self, user_id: int, dialog_id: str, name: str) -> sqlite3.Row:
        """Create a whiteboard in a private, group or meeting dialog.

        :raises Refused: 403 if the user is not in the dialog, 422 if it has too many already.
        """
        dialog = self._dialogs.require(dialog_id, user_id)
        if dialog.type not in (DialogType.PRIVATE, DialogType.GROUP, DialogType.MEETING):
            raise unprocessable("chat_dialog_id", "has a type that can't have whiteboards")
        most = self._settings.limits.whiteboards
        if self._db.value("SELECT count(*) FROM whiteboards WHERE dialog_id = ?", dialog_id) >= most:
            raise unprocessable("chat_dialog_id", f"has {most} whiteboards already")
        now = self._clock.now()
        whiteboard_id = self._ids.new()
        self._db.insert(
            "whiteboards",
            id=whiteboard_id,
            name=name,
            dialog_id=dialog_id,
            user_id=user_id,
            created_at=now,
            updated_at=now,
        )
        return self._get(whiteboard_id)

    def list(self, user_id: int, dialog_id: str) -> list[sqlite3.Row]:
        """Return the whiteboards of a dialog that a user is in."""
        self._dialogs.require(dialog_id, user_id)
        return self._db.all("SELECT * FROM whiteboards WHERE dialog_id = ? ORDER BY id", dialog_id)

    def rename(self, user_id: int, whiteboard_id: str, name: str) -> sqlite3.Row:
        """Rename a whiteboard. Only its creator may."""
        self._own(user_id, whiteboard_id)
        self._db.update("whiteboards", "id = ?", whiteboard_id, name=name, updated_at=self._clock.now())
        return self._get(whiteboard_id)

    def delete(self, user_id: int, whiteboard_id: str) -> None:
        """Delete a whiteboard. Only its creator may."""
        self._own(user_id, whiteboard_id)
        self._db.run("DELETE FROM whiteboards WHERE id = ?", whiteboard_id)

    def _get(self, whiteboard_id: str) -> sqlite3.Row:
        return required(self._db.one("SELECT * FROM whiteboards WHERE id = ?", whiteboard_id))

    def _own(self, user_id: int, whiteboard_id: str) -> None:
        if self._get(whiteboard_id)["user_id"] != user_id:
            raise forbidden()
