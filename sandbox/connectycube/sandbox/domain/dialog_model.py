"""What a dialog is, and what a user can be in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from attrs import frozen

from ..filters import Column
from ..storage import load

__all__ = ["COLUMNS", "Dialog", "DialogType", "Role", "dialog_of"]


class DialogType(IntEnum):
    """Kinds of dialog (CR-16)."""

    BROADCAST = 1
    GROUP = 2
    PRIVATE = 3
    PUBLIC = 4
    MEETING = 5


class Role(IntEnum):
    """What a user is in a dialog; each may do what those below may."""

    NONE = 0
    MEMBER = 1
    ADMIN = 2
    OWNER = 3


COLUMNS = {
    "_id": Column(sql="dialogs.id"),
    "type": Column(sql="dialogs.type"),
    "name": Column(sql="dialogs.name"),
    "last_message_date_sent": Column(sql="dialogs.last_message_date_sent"),
    "created_at": Column(sql="dialogs.created_at", whole=True),
    "updated_at": Column(sql="dialogs.updated_at", whole=True),
    "extensions": Column(sql="dialogs.extensions"),
}


@frozen(kw_only=True)
class Dialog:
    """A conversation."""

    id: str
    type: DialogType
    user_id: int
    """Its owner."""
    name: str | None
    description: str | None
    photo: str | None
    extensions: Mapping[str, str] | None
    allow_preview: bool | None
    pinned: Sequence[str]
    is_muted: bool | None
    created_at: float
    updated_at: float
    last_message: str | None
    last_message_id: str | None
    last_message_user_id: int | None
    last_message_date_sent: int | None

    @property
    def private(self) -> bool:
        return self.type is DialogType.PRIVATE

    @property
    def has_marks(self) -> bool:
        """Whether its messages are marked as delivered and read; the others count views (U-51)."""
        return self.type not in (DialogType.BROADCAST, DialogType.PUBLIC)


def dialog_of(row: sqlite3.Row) -> Dialog:
    """A dialog out of the table."""

    def flag(value: Any) -> bool | None:
        return None if value is None else bool(value)

    return Dialog(
        id=row["id"],
        type=DialogType(row["type"]),
        user_id=row["user_id"],
        name=row["name"],
        description=row["description"],
        photo=row["photo"],
        extensions=load(row["extensions"]),
        allow_preview=flag(row["allow_preview"]),
        pinned=load(row["pinned"]),
        is_muted=flag(row["is_muted"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_message=row["last_message"],
        last_message_id=row["last_message_id"],
        last_message_user_id=row["last_message_user_id"],
        last_message_date_sent=row["last_message_date_sent"],
    )
