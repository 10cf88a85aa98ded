"""The types of dialogs and of their users' roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

from attrs import converters, field, frozen

from ..filters import Column
from ..storage import load

__all__ = ["COLUMNS", "Dialog", "DialogType", "Role"]


class DialogType(IntEnum):
    """Types of dialogs (CR-16)."""

    BROADCAST = 1
    GROUP = 2
    PRIVATE = 3
    PUBLIC = 4
    MEETING = 5


class Role(IntEnum):
    """A user's role in a dialog. Each role may do everything that the lower ones may."""

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
    type: DialogType = field(converter=DialogType)
    user_id: int
    """Its owner."""
    name: str | None
    description: str | None
    photo: str | None
    extensions: Mapping[str, str] | None = field(converter=load)
    allow_preview: bool | None = field(converter=converters.optional(bool))
    pinned: Sequence[str] = field(converter=load)
    is_muted: bool | None = field(converter=converters.optional(bool))
    created_at: float
    updated_at: float
    last_message: str | None
    last_message_id: str | None
    last_message_user_id: int | None
    last_message_date_sent: int | None

    @property
    def private(self) -> bool:
        """Whether it is a conversation of two users."""
        return self.type is DialogType.PRIVATE

    @property
    def has_marks(self) -> bool:
        """Whether its messages have delivered and read marks. In other dialogs, views are counted instead (U-51)."""
        return self.type not in (DialogType.BROADCAST, DialogType.PUBLIC)
