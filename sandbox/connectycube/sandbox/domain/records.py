"""Custom objects: records of the application's own classes (R-067 to R-077).

On the platform, classes are declared in the admin panel. The sandbox has none, and accepts every class and field.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from attrs import define, field, frozen

from ..clock import Clock
from ..errors import bad_request, forbidden, required, unprocessable
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
    fields: Mapping[str, Any] = field(converter=load)
    permissions: Mapping[str, Mapping[str, Any]] = field(converter=load)
    created_at: float
    updated_at: float

    def values(self) -> dict[str, Any]:
        """Return all that the record can be filtered and sorted by."""
        return {
            **self.fields,
            "_id": self.id,
            "_parent_id": self.parent_id,
            "user_id": self.user_id,
            "created_at": int(self.created_at),
            "updated_at": int(self.updated_at),
        }


@define(eq=False)
class Records:
    """The records of all classes."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _accounts: Accounts

    # -- reading

    def find(self, class_name: str, record_id: str) -> Record | None:
        """Return a record of a class by id."""
        return self._db.find(Record, "SELECT * FROM records WHERE class_name = ? AND id = ?", class_name, record_id)

    def require(self, class_name: str, record_id: str, user_id: int, action: Action) -> Record:
        """Return a record that a user may read, change or delete.

        :raises Refused: 404 if there is none, 403 if the user may not.
        """
        record = required(self.find(class_name, record_id))
        if not self.may(record, user_id, action):
            raise forbidden()
        return record

    def may(self, record: Record, user_id: int, action: Action) -> bool:
        """Return whether a record's permissions let a user do something. The owner may do everything."""
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
        """Return those records, out of several ids, that exist and that a user may read (R-070)."""
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
        """Return the records of a class that meet all conditions and that a user may act on."""
        found = []
        for record in self._db.find_all(Record, "SELECT * FROM records WHERE class_name = ? ORDER BY id", class_name):
            values = record.values()
            if self.may(record, user_id, action) and all(_meets(one, values) for one in conditions):
                found.append(record)
        if order is not None:
            name, down = order
            found.sort(key=lambda record: _sortable(record.values().get(name)), reverse=down)
        return found

    # -- writing

    def create(self, class_name: str, user_id: int, given: Mapping[str, Any]) -> Record:
        """Create a record (R-067).

        :raises Refused: 422 if its parent doesn't exist.
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
        """Check the parent that a record is to have, which may be of any class.

        :raises Refused: 422 if it doesn't exist, or is a descendant of the record.
        """
        if given is not None and not isinstance(given, str):
            raise unprocessable("_parent_id", "must be text")
        parent = ancestor = given or None
        while ancestor is not None:
            row = self._db.one("SELECT parent_id FROM records WHERE id = ?", ancestor)
            if row is None:
                raise unprocessable("_parent_id", "is not a record")
            if ancestor == record_id:
                raise unprocessable("_parent_id", "is the record itself, or a descendant of it")
            ancestor = row["parent_id"]
        return parent

    def update(self, record: Record, given: Mapping[str, Any]) -> Record:
        """Change a record (R-072).

        :raises Refused: 422 if an operator doesn't suit the stored value, or the parent doesn't exist.
        """
        values: dict[str, Any] = {}
        if "_parent_id" in given:
            values["parent_id"] = self._parent(given["_parent_id"], record.id)
        if given.get("permissions"):
            values["permissions"] = dump({**record.permissions, **_permissions(given["permissions"])})
        plain = {name: value for name, value in given.items() if name not in SYSTEM}
        values["fields"] = dump(changed(record.fields, plain))
        self._db.update("records", "id = ?", record.id, updated_at=self._clock.now(), **values)
        return required(self.find(record.class_name, record.id))

    def delete(self, record: Record) -> None:
        """Delete a record and all its descendants, of any class (R-075)."""
        with self._db.transaction():
            for child in self._db.find_all(Record, "SELECT * FROM records WHERE parent_id = ?", record.id):
                self.delete(child)
            self._db.run("DELETE FROM records WHERE id = ?", record.id)

    def delete_many(self, class_name: str, ids: Iterable[str], user_id: int) -> Deleted:
        """Delete several records (R-076)."""
        return delete_each(ids, lambda one: self.delete(self.require(class_name, one, user_id, "delete")))


def calculated(records: Sequence[Record], calc: Sequence[Condition], group_by: str | None) -> list[dict[str, Any]]:
    """Return averages, sums and the like, one item per group of records (R-069).

    :raises Refused: 400 if only one of the two is given, or the operator is unknown.
    """
    if group_by is None or not calc:
        raise bad_request("calc and group_by require each other")
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(dump(record.values().get(group_by)), []).append(record.values())
    return [
        {group_by: load(key), **{one.field: _aggregate(one, members) for one in calc}}
        for key, members in groups.items()
    ]


def _aggregate(condition: Condition, members: Sequence[Mapping[str, Any]]) -> float | None:
    if condition.field in SYSTEM:
        raise bad_request(f"{condition.field} can't be used in a calculation")
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
    """Return whether a place, `[longitude, latitude]`, lies within a distance of another."""
    try:
        centre, _, radius = wanted.partition(";")
        longitude, latitude = (float(part) for part in centre.split(","))
        metres = float(radius)
        if not all(map(math.isfinite, (longitude, latitude, metres))):
            raise ValueError
    except ValueError as error:
        raise bad_request("near must be longitude,latitude;metres") from error
    if not isinstance(place, list) or len(place) != 2 or not all(isinstance(part, (int, float)) for part in place):
        return False
    east, north, here_east, here_north = (math.radians(part) for part in (longitude, latitude, *place))
    half = (
        math.sin((here_north - north) / 2) ** 2
        + math.cos(north) * math.cos(here_north) * math.sin((here_east - east) / 2) ** 2
    )
    return 2 * EARTH_METRES * math.asin(math.sqrt(min(1.0, max(0.0, half)))) <= metres


def _sortable(value: Any) -> tuple[int, Any]:
    """Return a key that puts values of different types in one order: null, booleans, numbers, texts, the rest."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, int(value)
    if isinstance(value, (int, float)):
        return 2, value
    return (3, value) if isinstance(value, str) else (4, dump(value))


def _permissions(given: Any) -> dict[str, dict[str, Any]]:
    """Return permissions in the form of answers: `ids` become `users_ids`, `groups` `users_groups` (CR-34).

    :raises Refused: 422 if they are malformed, which the spec doesn't check in an update.
    """
    if not isinstance(given, Mapping) or not given.keys() <= DEFAULT_PERMISSIONS.keys():
        raise unprocessable("permissions", f"may only name {', '.join(DEFAULT_PERMISSIONS)}")
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
            raise unprocessable("permissions", "must name an access, with ids or groups if the access requires them")
