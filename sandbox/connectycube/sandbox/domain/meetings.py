"""Meetings (R-078 to R-082, R-092). The sandbox records nothing and sends no mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import converters, define, field, frozen

from ..clock import Clock
from ..errors import forbidden, required, unprocessable
from ..filters import Column, Condition, where
from ..ids import ObjectIds
from ..storage import Database, dump, load
from .accounts import Accounts
from .dialogs import Dialogs

__all__ = ["Meeting", "Meetings"]

COLUMNS = {
    "start_date": Column(sql="start_date"),
    "end_date": Column(sql="end_date"),
    "created_at": Column(sql="created_at", whole=True),
    "updated_at": Column(sql="updated_at", whole=True),
}
NOTIFY_RANGES = {"minutes": (0, 55), "hours": (1, 24), "days": (1, 30), "weeks": (1, 4)}
_FLAGS = ("record", "public", "scheduled", "notify")


@frozen(kw_only=True)
class Meeting:
    """A planned conference."""

    id: str
    host_id: int
    name: str
    start_date: int
    end_date: int
    attendees: Sequence[Mapping[str, Any]] = field(converter=load)
    record: bool | None = field(converter=converters.optional(bool))
    public: bool = field(converter=bool)
    scheduled: bool = field(converter=bool)
    notify: bool = field(converter=bool)
    notify_before: Mapping[str, Any] | None = field(converter=load)
    timezone: Mapping[str, Any] | None = field(converter=load)
    chat_dialog_id: str | None
    created_at: float
    updated_at: float

    def has(self, user_id: int) -> bool:
        """Return whether a user hosts or attends it."""
        return self.host_id == user_id or any(one.get("id") == user_id for one in self.attendees)


@define(eq=False)
class Meetings:
    """The application's meetings."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _accounts: Accounts
    _dialogs: Dialogs

    def get(self, meeting_id: str) -> Meeting:
        """Return a meeting by id.

        :raises Refused: 404 if there is none.
        """
        return required(self._find(meeting_id))

    def _find(self, meeting_id: str) -> Meeting | None:
        return self._db.find(Meeting, "SELECT * FROM meetings WHERE id = ?", meeting_id)

    def visible(self, meeting_id: str, user_id: int) -> Meeting | None:
        """Return a meeting that is public, or that a user hosts or attends."""
        meeting = self._find(meeting_id)
        return meeting if meeting is not None and (meeting.public or meeting.has(user_id)) else None

    def require(self, meeting_id: str, user_id: int) -> Meeting:
        """Return a meeting that a user hosts or attends.

        :raises Refused: 404 if there is none, 403 if the user does neither.
        """
        meeting = self.get(meeting_id)
        if not meeting.has(user_id):
            raise forbidden()
        return meeting

    def list(
        self, user_id: int, conditions: Sequence[Condition], scheduled: bool | None, *, skip: int, limit: int
    ) -> list[Meeting]:
        """Return a page of the meetings that a user hosts or attends (R-078)."""
        sql, values = where(conditions, COLUMNS)
        if scheduled is not None:
            sql += " AND scheduled = ?"
            values.append(int(scheduled))
        return self._db.find_all(
            Meeting,
            "SELECT * FROM meetings WHERE (host_id = ? OR EXISTS (SELECT 1 FROM json_each(attendees)"
            f" WHERE json_extract(value, '$.id') = ?)) AND {sql} ORDER BY start_date, id LIMIT ? OFFSET ?",
            user_id,
            user_id,
            *values,
            limit,
            skip,
        )

    def create(self, host_id: int, fields: Mapping[str, Any]) -> Meeting:
        """Plan a meeting (R-079).

        :raises Refused: 422 if a value is out of range.
        """
        self._accounts.get(host_id)
        now = self._clock.now()
        meeting_id = self._ids.new()
        with self._db.transaction():
            self._db.insert(
                "meetings",
                id=meeting_id,
                host_id=host_id,
                created_at=now,
                updated_at=now,
                **self._values(fields, fields),
            )
            self._make_chat(meeting_id, fields)
        return self.get(meeting_id)

    def update(self, meeting_id: str, user_id: int, fields: Mapping[str, Any]) -> Meeting:
        """Change a meeting (R-080).

        :raises Refused: 403 if the user is not its host, 422 if a value is out of range.
        """
        meeting = self._hosted(meeting_id, user_id)
        with self._db.transaction():
            whole = {"start_date": meeting.start_date, "end_date": meeting.end_date, **fields}
            values = self._values(fields, whole)
            self._db.update("meetings", "id = ?", meeting_id, updated_at=self._clock.now(), **values)
            if meeting.chat_dialog_id is None:
                self._make_chat(meeting_id, fields)
        return self.get(meeting_id)

    def _values(self, fields: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
        if whole["end_date"] < whole["start_date"]:
            raise unprocessable("end_date", "is before start_date")
        before = fields.get("notify_before")
        if before is not None:
            low, high = NOTIFY_RANGES[before["metric"]]
            if not low <= before["value"] <= high:
                raise unprocessable("notify_before", f"must be {low} to {high} {before['metric']}")
        values = {name: fields[name] for name in ("name", "start_date", "end_date") if name in fields}
        values |= {name: int(fields[name]) for name in _FLAGS if fields.get(name) is not None}
        values |= {
            name: dump(fields[name])
            for name in ("attendees", "notify_before", "timezone")
            if fields.get(name) is not None
        }
        return values

    def _make_chat(self, meeting_id: str, fields: Mapping[str, Any]) -> None:
        if fields.get("chat"):
            meeting = self.get(meeting_id)
            attendees = [one["id"] for one in meeting.attendees if "id" in one]
            dialog = self._dialogs.for_meeting(meeting.host_id, meeting.name, attendees)
            self._db.update("meetings", "id = ?", meeting_id, chat_dialog_id=dialog.id)

    def delete(self, meeting_id: str, user_id: int) -> None:
        """Delete a meeting (R-081).

        :raises Refused: 403 if the user is not its host.
        """
        self._hosted(meeting_id, user_id)
        self._db.run("DELETE FROM meetings WHERE id = ?", meeting_id)

    def _hosted(self, meeting_id: str, user_id: int) -> Meeting:
        meeting = self.get(meeting_id)
        if meeting.host_id != user_id:
            raise forbidden()
        return meeting
