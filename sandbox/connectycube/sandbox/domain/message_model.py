"""A message of the history, and a draft that is to become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ..filters import Column
from ..storage import load

__all__ = ["COLUMNS", "OWN_FIELDS", "Draft", "Message"]

OWN_FIELDS = frozenset(
    """
    _id chat_dialog_id message date_sent sender_id recipient_id attachments read_ids delivered_ids read views_count
    reactions created_at updated_at edited_at deleted_for_ids send_to_chat markable
    """.split()
)
"""Names that an application can't use for its own fields."""

COLUMNS = {
    "_id": Column(sql="messages.id"),
    "message": Column(sql="messages.body"),
    "date_sent": Column(sql="messages.date_sent"),
    "sender_id": Column(sql="messages.sender_id"),
    "recipient_id": Column(sql="messages.recipient_id"),
    "attachments.type": Column(sql="messages.attachments", items="json_extract(value, '$.type')"),
    "created_at": Column(sql="messages.created_at", whole=True),
    "updated_at": Column(sql="messages.updated_at", whole=True),
}


@frozen(kw_only=True)
class Draft:
    """A message that is to be stored."""

    sender_id: int
    body: str | None = None
    id: str | None = None
    """Chosen by the sender over chat, by the server over REST."""
    date_sent: int | None = None
    attachments: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(factory=dict)
    """The application's own fields."""
    markable: bool = False
    silent: bool = False
    """Whether offline recipients get no push notification (F-083)."""


@frozen(kw_only=True)
class Message:
    """A message of the history."""

    id: str
    dialog_id: str
    sender_id: int
    recipient_id: int
    body: str | None
    date_sent: int
    attachments: Sequence[Mapping[str, Any]] = field(converter=load)
    extra: Mapping[str, Any] = field(converter=load)
    markable: bool = field(converter=bool)
    created_at: float
    updated_at: float
    edited_at: float | None
