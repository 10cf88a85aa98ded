"""Custom objects: records of the application's own classes (R-067 to R-077).

Classes are declared in the admin panel; the sandbox has none and takes every class and field.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from attrs import define, frozen

from ..clock import Clock
from ..errors import bad_request, forbidden, not_found, unprocessable
from ..filters import Condition, like
from ..ids import ObjectIds
from ..storage import Database, dump, load
from .accounts import Accounts
from .deletion import Deleted, delete_each
from .record_changes import changed

__all__ = ["Record", "Records"]

Action = Literal["read", "update", "delete"]
SYSTEM = frozenset({"_id", "_parent_id", "user_id", "created_at", "updated_at", "permissions"})
DEFAULT_PERMISSIONS = {"read": {"access": "open"}, "update": {"access": "owner"}, "delete": {"access": "owner"}}
EARTH_METRES = 6_371_000.0


@frozen(kw_only=True)
class Record:
    """A record of a class."""

    id: str
    class_name: str
    parent_id: str | None
    user_id: int
    fields: Mapping[str, Any]
    permissions: Mapping[str, Mapping[str, Any]]
    created_at: float
    updated_at: float

    def values(self) -> dict[str, Any]:
        """All that it can be filtered and sorted by."""
        return {
            **self.fields,
            "_id": self.id,
            "_parent_id": self.parent_id,
            "user_id": self.user_id,
            "created_at": int(self.created_at),
            "updated_at": int(self.updated_at),
        }


@define(kw_only=True, eq=False)
class Records:
    """All records."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _accounts: Accounts

    # -- reading

    def find(self, class_name: str, record_id: str) -> Record | None:
        row = self._db.one("SELECT * FROM records WHERE class_name = ? AND id = ?", class_name, record_id)
        return None if row is None else _record(row)

    def require(self, class_name: str, record_id: str, user_id: int, action: Action) -> Record:
        """A record that a user may read, change or delete.

        :raises Refused: 404 if there is none, 403 if the user may not.
        """
        record = self.find(class_name, record_id)
        if record is None:
            raise not_found()
        if not self.may(record, user_id, action):
            raise forbidden()
        return record

    def may(self, record: Record, user_id: int, action: Action) -> bool:
        """Whether a record's permissions let a user do something; its owner may all."""
        if record.user_id == user_id:
            return True
        rule = record.permissions[action]
        match rule["access"]:
            case "open":
                return True
            case "open_for_users_ids":
                return user_id in rule.get("users_ids", ())
            case "open_for_groups":
                user = self._accounts.find(user_id)
                return user is not None and bool(set(user.tags) & set(rule.get("users_groups", ())))
            case _:
                return False

    def get_many(self, class_name: str, ids: Iterable[str], user_id: int) -> list[Record]:
        """The records of some ids that are there and that a user may read (R-070)."""
        found = [self.find(class_name, one) for one in dict.fromkeys(ids)]
        return [one for one in found if one is not None and self.may(one, user_id, "read")]

    def search(
        self,
        class_name: str,
        conditions: Sequence[Condition],
        user_id: int,
        *,
        action: Action = "read",
        order: tuple[str, bool] | None = None,
    ) -> list[Record]:
        """The records of a class that meet all conditions and that a user may do something with."""
        rows = self._db.all("SELECT * FROM records WHERE class_name = ? ORDER BY id", class_name)
        found = []
        for record in map(_record, rows):
            values = record.values()
            if self.may(record, user_id, action) and all(_meets(one, values) for one in conditions):
                found.append(record)
        if order is not None:
            name, down = order
            found.sort(key=lambda record: _sortable(record.values().get(name)), reverse=down)
        return found

    # -- writing

    def create(self, class_name: str, user_id: int, given: Mapping[str, Any]) -> Record:
        """Make a record (R-067).

        :raises Refused: 422 if its parent is not there.
        """
        now = self._clock.now()
        record_id = self._ids.new()
        self._db.insert(
            "records",
            id=record_id,
            class_name=class_name,
            parent_id=self._parent(given.get("_parent_id"), record_id),
            user_id=user_id,
            fields=dump({name: value for name, value in given.items() if name not in SYSTEM}),
            permissions=dump({**DEFAULT_PERMISSIONS, **_permissions(given.get("permissions") or {})}),
            created_at=now,
            updated_at=now,
        )
        return self.require(class_name, record_id, user_id, "read")

    def _parent(self, given: Any, record_id: str) -> str | None:
        """The parent that a record is to have, of whatever class.

        :raises Refused: 422 if it is not there, or is below the record itself.
        """
        if given is not None and not isinstance(given, str):
            raise unprocessable("_parent_id", "must be text")
        parent = ancestor = given or None
        while ancestor is not None:
            row = self._db.one("SELECT parent_id FROM records WHERE id = ?", ancestor)
            if row is None:
                raise unprocessable("_parent_id", "is no record")
            if ancestor == record_id:
                raise unprocessable("_parent_id", "is the record itself, or one below it")
            ancestor = row["parent_id"]
        return parent

    def update(self, record: Record, given: Mapping[str, Any]) -> Record:
        """Change a record (R-072).

        :raises Refused: 422 if an operator does not fit what is there, or its parent is not there.
        """
        values: dict[str, Any] = {}
        if "_parent_id" in given:
            values["parent_id"] = self._parent(given["_parent_id"], record.id)
        if given.get("permissions"):
            values["permissions"] = dump({**record.permissions, **_permissions(given["permissions"])})
        plain = {name: value for name, value in given.items() if name not in SYSTEM}
        values["fields"] = dump(changed(record.fields, plain))
        self._db.update("records", "id = ?", record.id, updated_at=self._clock.now(), **values)
        found = self.find(record.class_name, record.id)
        assert found is not None
        return found

    def delete(self, record: Record) -> None:
        """Delete a record and all that have it as their parent, of whatever class (R-075)."""
        with self._db.transaction():
            for row in self._db.all("SELECT * FROM records WHERE parent_id = ?", record.id):
                self.delete(_record(row))
            self._db.run("DELETE FROM records WHERE id = ?", record.id)

    def delete_many(self, class_name: str, ids: Iterable[str], user_id: int) -> Deleted:
        """Delete several records; one's failure does not stop the others (R-076)."""
        return delete_each(ids, lambda one: self.delete(self.require(class_name, one, user_id, "delete")))


def calculated(records: Sequence[Record], calc: Sequence[Condition], group_by: str | None) -> list[dict[str, Any]]:
    """Averages, sums and the like over groups; the groups are the items then (R-069).

    :raises Refused: 400 if there are no groups, or the operator is not known.
    """
    if group_by is None or not calc:
        raise bad_request("calc and group_by want each other")
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(dump(record.values().get(group_by)), []).append(record.values())
    return [
        {group_by: load(key), **{one.field: _aggregate(one, members) for one in calc}}
        for key, members in groups.items()
    ]


def _aggregate(condition: Condition, members: Sequence[Mapping[str, Any]]) -> float | None:
    if condition.field in SYSTEM:
        raise bad_request(f"{condition.field} is not computed with")
    numbers = [
        value
        for value in (member.get(condition.field) for member in members)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    match condition.value:
        case "avg":
            return sum(numbers) / len(numbers) if numbers else None
        case "sum":
            return sum(numbers)
        case "min":
            return min(numbers, default=None)
        case "max":
            return max(numbers, default=None)
        case _:
            raise bad_request("calc is avg, min, max or sum")


def _meets(condition: Condition, values: Mapping[str, Any]) -> bool:
    value = values.get(condition.field)
    if condition.operator == "near":
        return _near(value, str(condition.value))
    return like(condition, value)


def _near(place: Any, wanted: str) -> bool:
    """Whether a place, `[longitude, latitude]`, lies within some metres of another."""
    try:
        centre, _, radius = wanted.partition(";")
        longitude, latitude = (float(part) for part in centre.split(","))
        metres = float(radius)
        if not all(map(math.isfinite, (longitude, latitude, metres))):
            raise ValueError
    except ValueError as error:
        raise bad_request("near wants longitude,latitude;metres") from error
    if not isinstance(place, list) or len(place) != 2 or not all(isinstance(part, (int, float)) for part in place):
        return False
    east, north, here_east, here_north = (math.radians(part) for part in (longitude, latitude, *place))
    half = (
        math.sin((here_north - north) / 2) ** 2
        + math.cos(north) * math.cos(here_north) * math.sin((here_east - east) / 2) ** 2
    )
    return 2 * EARTH_METRES * math.asin(math.sqrt(min(1.0, max(0.0, half)))) <= metres


def _sortable(value: Any) -> tuple[int, Any]:
    """Values of different types in one order: nothing, truths, numbers, texts, all else."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, int(value)
    if isinstance(value, (int, float)):
        return 2, value
    return (3, value) if isinstance(value, str) else (4, dump(value))


def _permissions(given: Any) -> dict[str, dict[str, Any]]:
    """Permissions as they are answered: `ids` become `users_ids`, `groups` `users_groups` (CR-34).

    :raises Refused: 422 if they are none: the spec says nothing of them in an update.
    """
    if not isinstance(given, Mapping) or not given.keys() <= DEFAULT_PERMISSIONS.keys():
        raise unprocessable("permissions", f"are for {', '.join(DEFAULT_PERMISSIONS)}")
    return {action: _rule(rule) for action, rule in given.items()}


def _rule(given: Any) -> dict[str, Any]:
    match given:
        case {"access": "open" | "owner" as access}:
            return {"access": access}
        case {"access": "open_for_users_ids", "ids": list(ids)} if all(str(one).isdecimal() for one in ids):
            return {"access": "open_for_users_ids", "users_ids": [int(one) for one in ids]}
        case {"access": "open_for_groups", "groups": list(groups)} if all(isinstance(one, str) for one in groups):
            return {"access": "open_for_groups", "users_groups": groups}
        case _:
            raise unprocessable("permissions", "want an access, and ids or groups where it is for these")


def _record(row: sqlite3.Row) -> Record:
    return Record(
        id=row["id"],
        class_name=row["class_name"],
        parent_id=row["parent_id"],
        user_id=row["user_id"],
        fields=load(row["fields"]),
        permissions=load(row["permissions"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
