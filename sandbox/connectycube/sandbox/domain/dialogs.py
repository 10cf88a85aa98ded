"""Dialogs: creating, changing, leaving and deleting them (R-026 to R-037).

Permissions follow the table "Roles and privileges" of the platform's documentation, summed up in F-030 to F-040.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from ..bus import Bus, DialogChanged, DialogDeleted
from ..clock import Clock
from ..config import Settings
from ..errors import forbidden, required, unprocessable
from ..filters import Condition, where
from ..ids import ObjectIds
from ..storage import Database, dump
from .accounts import Accounts
from .deletion import Deleted, delete_each
from .dialog_model import COLUMNS, Dialog, DialogType, Role

__all__ = ["Dialogs"]

_MINE = """(dialogs.type = 1 OR EXISTS (SELECT 1 FROM members m WHERE m.dialog_id = dialogs.id AND m.user_id = ?))
    AND NOT EXISTS (SELECT 1 FROM dialog_views v WHERE v.dialog_id = dialogs.id AND v.user_id = ? AND v.deleted)"""
_OF_PRIVATE = ("description", "extensions", "permissions")
_GROUPS = (DialogType.GROUP, DialogType.MEETING)


@define(eq=False)
class Dialogs:
    """The application's dialogs."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _bus: Bus
    _settings: Settings
    _accounts: Accounts

    # -- reading

    def find(self, dialog_id: str) -> Dialog | None:
        """Return a dialog by id."""
        return self._db.find(Dialog, "SELECT * FROM dialogs WHERE id = ?", dialog_id)

    def get(self, dialog_id: str) -> Dialog:
        """Return a dialog by id.

        :raises Refused: 404 if there is none.
        """
        return required(self.find(dialog_id))

    def require(self, dialog_id: str, user_id: int, role: Role = Role.MEMBER) -> Dialog:
        """Return a dialog in which a user has at least a role.

        :raises Refused: 404 if there is none, 403 if the user's role is lower.
        """
        dialog = self.get(dialog_id)
        if self.role(dialog, user_id) < role:
            raise forbidden()
        return dialog

    def role(self, dialog: Dialog, user_id: int) -> Role:
        """Return a user's role in a dialog. Everybody is a member of a broadcast dialog."""
        if dialog.type is not DialogType.BROADCAST and not self.is_member(dialog.id, user_id):
            return Role.NONE
        if dialog.user_id == user_id:
            return Role.OWNER
        admin = self._db.value("SELECT 1 FROM admins WHERE dialog_id = ? AND user_id = ?", dialog.id, user_id)
        return Role.ADMIN if admin else Role.MEMBER

    def is_member(self, dialog_id: str, user_id: int) -> bool:
        """Return whether a user is in the list of occupants."""
        return bool(self._db.value("SELECT 1 FROM members WHERE dialog_id = ? AND user_id = ?", dialog_id, user_id))

    def may_write(self, dialog: Dialog, user_id: int) -> bool:
        """Return whether a user may send to a dialog. Only the owner and admins may send to a broadcast."""
        wanted = Role.ADMIN if dialog.type is DialogType.BROADCAST else Role.MEMBER
        return self.role(dialog, user_id) >= wanted

    def members(self, dialog_id: str) -> list[int]:
        """Return the occupants; in a broadcast dialog, the users who were named when it was created."""
        return self._db.column("SELECT user_id FROM members WHERE dialog_id = ? ORDER BY user_id", dialog_id)

    def readers(self, dialog: Dialog) -> list[int]:
        """Return everyone who receives the dialog's messages."""
        if dialog.type is DialogType.BROADCAST:
            return self._db.column("SELECT id FROM users ORDER BY id")
        return self.members(dialog.id)

    def admins(self, dialog_id: str) -> list[int]:
        """Return the admins, without the owner."""
        return self._db.column("SELECT user_id FROM admins WHERE dialog_id = ? ORDER BY user_id", dialog_id)

    def opponent(self, dialog: Dialog, user_id: int) -> int | None:
        """Return the other user of a private dialog, or `None` for other types."""
        return next((one for one in self.members(dialog.id) if one != user_id), None) if dialog.private else None

    def search(
        self,
        conditions: Sequence[Condition],
        *,
        user_id: int | None,
        skip: int,
        limit: int,
        order: tuple[str, bool] | None = None,
    ) -> tuple[list[Dialog], int]:
        """Return a page of the dialogs that meet all conditions, and the number of all of them.

        :param user_id: whose dialogs to search; `None` searches all of the application.
        :param order: the field to sort by, and whether to sort descending. By default, the latest message comes first.
        """
        sql, values = where(conditions, COLUMNS)
        if user_id is not None:
            sql = f"{_MINE} AND {sql}"
            values = [user_id, user_id, *values]
        field, down = order or ("last_message_date_sent", True)
        column = COLUMNS[field].sql
        if field == "last_message_date_sent":
            column = f"IFNULL({column}, dialogs.created_at)"
        way = "DESC" if down else "ASC"
        ordered = f"{column} {way}, dialogs.id {way}"
        return self._db.page(Dialog, "dialogs", sql, values, ordered, skip=skip, limit=limit)

    # -- creating

    def create(self, user_id: int, fields: Mapping[str, Any]) -> Dialog:
        """Create a dialog, which the user then owns (R-027).

        :raises Refused: 422 if something is missing or over its limit.
        """
        kind = DialogType(fields["type"])
        if kind is DialogType.MEETING:
            raise unprocessable("type", "is reserved for meetings")
        others = [one for one in fields.get("occupants_ids") or () if one != user_id]
        if kind in (DialogType.GROUP, DialogType.PRIVATE) and "occupants_ids" not in fields:
            raise unprocessable("occupants_ids", "is required")
        self._require_users("occupants_ids", others)
        if kind is DialogType.PRIVATE:
            if len(set(others)) != 1:
                raise unprocessable("occupants_ids", "must name one other user")
            return self.private(user_id, others[0], fields)
        if not fields.get("name"):
            raise unprocessable("name", "is required")
        return self._new(kind, user_id, others, fields)

    def private(self, user_id: int, other_id: int, fields: Mapping[str, Any] | None = None) -> Dialog:
        """Return the private dialog of two users, creating it if there is none (U-16)."""
        if user_id == other_id:
            raise unprocessable("recipient_id", "must be another user")
        pair = ",".join(str(one) for one in sorted((user_id, other_id)))
        dialog = self._db.find(Dialog, "SELECT * FROM dialogs WHERE pair = ?", pair)
        if dialog is not None:
            self._show(dialog.id, [user_id])
            return dialog
        given = {key: value for key, value in (fields or {}).items() if key in _OF_PRIVATE}
        return self._new(DialogType.PRIVATE, user_id, [other_id], given, pair)

    def for_meeting(self, host_id: int, name: str, attendees: Sequence[int]) -> Dialog:
        """Create the dialog of a meeting (R-079)."""
        return self._new(DialogType.MEETING, host_id, self._accounts.known(attendees), {"name": name})

    def _new(
        self, kind: DialogType, owner: int, others: Iterable[int], fields: Mapping[str, Any], pair: str | None = None
    ) -> Dialog:
        admins = [one for one in dict.fromkeys(fields.get("admins_ids") or ()) if one != owner]
        self._require_users("admins_ids", admins)
        self._require_few_admins(admins)
        now = self._clock.now()
        dialog_id = self._ids.new()
        with self._db.transaction():
            self._db.insert(
                "dialogs",
                id=dialog_id,
                type=int(kind),
                user_id=owner,
                pair=pair,
                created_at=now,
                updated_at=now,
                **self._plain_values(fields, None),
            )
            self._add_members(dialog_id, [owner, *others, *admins])
            for one in admins:
                self._db.run("INSERT INTO admins VALUES (?, ?)", dialog_id, one)
        dialog = self.get(dialog_id)
        members = self.members(dialog_id)
        self._bus.publish(DialogChanged(dialog_id=dialog_id, added=members, removed=(), by_user_id=owner))
        return dialog

    def _plain_values(self, fields: Mapping[str, Any], old: Dialog | None) -> dict[str, Any]:
        values = {name: fields[name] for name in ("name", "description", "photo") if name in fields}
        if "extensions" in fields:
            values["extensions"] = self._extensions(fields["extensions"])
        if fields.get("permissions") is not None:
            preview = fields["permissions"].get("allow_preview")
            values["allow_preview"] = None if preview is None else int(preview)
        if old is not None and old.private:
            # A private dialog shows the name and photo of the other user.
            values = {name: value for name, value in values.items() if name not in ("name", "photo")}
        return values

    def _extensions(self, given: Mapping[str, Any] | None) -> str | None:
        """Return the application's own fields that are declared, as texts (R-027)."""
        if given is None:
            return None
        allowed = self._settings.extensions
        kept = {name: _text(value) for name, value in given.items() if allowed is None or name in allowed}
        most = self._settings.limits.dialog_extensions
        if len(kept) > most:
            raise unprocessable("extensions", f"has more than {most} fields")
        return dump(kept) if kept else None

    def _require_users(self, field: str, ids: Sequence[int]) -> None:
        known = set(self._accounts.known(ids))
        unknown = [str(one) for one in ids if one not in known]
        if unknown:
            raise unprocessable(field, f"names users who don't exist: {', '.join(unknown)}")

    def _require_few_admins(self, admins: Sequence[int]) -> None:
        most = self._settings.limits.dialog_admins
        if len(admins) > most:
            raise unprocessable("admins_ids", f"has more than {most} users")

    def _add_members(self, dialog_id: str, ids: Iterable[int]) -> list[int]:
        now = self._clock.now()
        added = [
            one
            for one in dict.fromkeys(ids)
            if self._db.run("INSERT OR IGNORE INTO members VALUES (?, ?, ?)", dialog_id, one, now)
        ]
        self._show(dialog_id, added)
        return added

    # -- changing

    def update(self, dialog_id: str, user_id: int | None, fields: Mapping[str, Any]) -> Dialog:
        """Change a dialog, completely or not at all (R-028, R-034, U-15).

        :param user_id: the user who asks; `None` is the admin API.
        :raises Refused: 403 if the user's role is too low, 422 if a value is invalid.
        """
        dialog = self.get(dialog_id)
        role = Role.OWNER if user_id is None else self.role(dialog, user_id)
        if role < Role.MEMBER:
            raise forbidden()
        push, pull = fields.get("push_all") or {}, fields.get("pull_all") or {}
        self._check_update(dialog, role, user_id, fields, push, pull)
        added: list[int] = []
        removed: list[int] = []
        with self._db.transaction():
            values = self._plain_values(fields, dialog)
            self._db.update("dialogs", "id = ?", dialog_id, updated_at=self._clock.now(), **values)
            if "occupants_ids" in push:
                self._require_users("occupants_ids", push["occupants_ids"])
                added = self._add_members(dialog_id, push["occupants_ids"])
            if "occupants_ids" in pull:
                removed = self._remove_members(dialog, pull["occupants_ids"])
            self._change_admins(dialog, push.get("admins_ids") or (), pull.get("admins_ids") or ())
            self._change_pins(dialog, push.get("pinned_messages_ids") or (), pull.get("pinned_messages_ids") or ())
        if added or removed:
            self._bus.publish(DialogChanged(dialog_id=dialog_id, added=added, removed=removed, by_user_id=user_id))
        return self.get(dialog_id)

    def _check_update(
        self,
        dialog: Dialog,
        role: Role,
        user_id: int | None,
        fields: Mapping[str, Any],
        push: Mapping[str, Any],
        pull: Mapping[str, Any],
    ) -> None:
        """Check a change against the table of roles."""
        free = dialog.type in (*_GROUPS, DialogType.PRIVATE)
        plain = {"name", "photo", "description", "extensions"} & fields.keys()
        if (plain and not free and role < Role.ADMIN) or ("permissions" in fields and role < Role.ADMIN):
            raise forbidden()
        changed = push.keys() | pull.keys()
        if dialog.private and {"occupants_ids", "admins_ids"} & changed:
            raise unprocessable("base", "the users of a private dialog can't change")
        if "occupants_ids" in push and dialog.type not in _GROUPS and role < Role.ADMIN:
            raise forbidden()
        others = [one for one in pull.get("occupants_ids") or () if one != user_id]
        if others and (role < Role.ADMIN or (dialog.user_id in others and user_id is not None)):
            raise forbidden()
        if ("admins_ids" in changed and role < Role.OWNER) or ("pinned_messages_ids" in changed and role < Role.ADMIN):
            raise forbidden()

    def _remove_members(self, dialog: Dialog, ids: Iterable[int]) -> list[int]:
        removed = [
            one
            for one in dict.fromkeys(ids)
            if self._db.run("DELETE FROM members WHERE dialog_id = ? AND user_id = ?", dialog.id, one)
        ]
        for one in removed:
            self._db.run("DELETE FROM admins WHERE dialog_id = ? AND user_id = ?", dialog.id, one)
        return removed

    def _change_admins(self, dialog: Dialog, push: Iterable[int], pull: Iterable[int]) -> None:
        push = [one for one in push if one != dialog.user_id]
        self._require_users("admins_ids", push)
        outside = [one for one in push if not self.is_member(dialog.id, one)]
        if outside and dialog.type is not DialogType.BROADCAST:
            raise unprocessable("admins_ids", f"{', '.join(map(str, outside))} are not in the dialog")
        for one in pull:
            self._db.run("DELETE FROM admins WHERE dialog_id = ? AND user_id = ?", dialog.id, one)
        for one in push:
            self._db.run("INSERT OR IGNORE INTO admins VALUES (?, ?)", dialog.id, one)
        self._require_few_admins(self.admins(dialog.id))

    def _change_pins(self, dialog: Dialog, push: Sequence[str], pull: Sequence[str]) -> None:
        if not push and not pull:
            return
        for one in push:
            if not self._db.value("SELECT 1 FROM messages WHERE id = ? AND dialog_id = ?", one, dialog.id):
                raise unprocessable("pinned_messages_ids", f"{one} is not a message of the dialog")
        kept = [one for one in dict.fromkeys([*dialog.pinned, *push]) if one not in pull]
        self._db.update("dialogs", "id = ?", dialog.id, pinned=dump(kept))

    # -- leaving and deleting

    def subscribe(self, dialog_id: str, user_id: int) -> Dialog:
        """Join a public dialog (R-032, CR-38)."""
        dialog = self.get(dialog_id)
        if dialog.type is not DialogType.PUBLIC:
            raise forbidden("Only public dialogs can be subscribed to")
        added = self._add_members(dialog_id, [user_id])
        if added:
            self._bus.publish(DialogChanged(dialog_id=dialog_id, added=added, removed=(), by_user_id=user_id))
        return dialog

    def unsubscribe(self, dialog_id: str, user_id: int) -> None:
        """Leave a public dialog (R-033)."""
        dialog = self.get(dialog_id)
        if dialog.type is not DialogType.PUBLIC:
            raise forbidden("Only public dialogs can be unsubscribed from")
        self._leave(dialog, user_id)

    def delete(self, dialog_id: str, user_id: int, *, force: bool) -> None:
        """Delete a dialog for one user, or with `force` for everyone (R-029).

        :raises Refused: 404 if there is none, 403 if the user may not.
        """
        dialog = self.require(dialog_id, user_id)
        if force:
            self.require_force(dialog, user_id)
            self._db.run("DELETE FROM dialogs WHERE id = ?", dialog_id)
            self._bus.publish(DialogDeleted(dialog_id=dialog_id))
        elif dialog.type in (DialogType.PRIVATE, DialogType.BROADCAST):
            self._view(dialog_id, user_id, "deleted", True)
        else:
            self._leave(dialog, user_id)

    def delete_many(self, ids: Iterable[str], user_id: int, *, force: bool) -> Deleted:
        """Delete several dialogs (R-030)."""
        return delete_each(ids, lambda dialog_id: self.delete(dialog_id, user_id, force=force))

    def require_force(self, dialog: Dialog, user_id: int) -> None:
        """Check that a user may act for everyone: the owner may, and in a private dialog an admin.

        :raises Refused: 403 for others.
        """
        if self.role(dialog, user_id) < (Role.ADMIN if dialog.private else Role.OWNER):
            raise forbidden()

    def _leave(self, dialog: Dialog, user_id: int) -> None:
        with self._db.transaction():
            removed = self._remove_members(dialog, [user_id])
            if removed:
                self._view(dialog.id, user_id, "deleted", True)
        if removed:
            self._bus.publish(DialogChanged(dialog_id=dialog.id, added=(), removed=removed, by_user_id=user_id))

    def _show(self, dialog_id: str, ids: Iterable[int]) -> None:
        """Show a dialog again to users who deleted it for themselves."""
        for one in ids:
            self._db.run("UPDATE dialog_views SET deleted = 0 WHERE dialog_id = ? AND user_id = ?", dialog_id, one)

    def _view(self, dialog_id: str, user_id: int, column: str, value: bool) -> None:
        self._db.run(
            f"INSERT INTO dialog_views (dialog_id, user_id, {column}) VALUES (?, ?, ?)"
            f" ON CONFLICT DO UPDATE SET {column} = excluded.{column}",
            dialog_id,
            user_id,
            int(value),
        )

    def viewers(self, dialog_id: str, column: str) -> list[int]:
        """Return the users who deleted a dialog for themselves (`deleted`), or silenced it (`silent`)."""
        sql = f"SELECT user_id FROM dialog_views WHERE dialog_id = ? AND {column} ORDER BY user_id"
        return self._db.column(sql, dialog_id)

    # -- push notifications

    def set_notifications(self, dialog_id: str, user_id: int, enabled: bool) -> None:
        """Turn a user's push notifications for a dialog on or off (R-035)."""
        self._view(dialog_id, user_id, "silent", not enabled)

    def notifications(self, dialog_id: str, user_id: int) -> bool:
        """Return whether a user gets push notifications for a dialog (R-036)."""
        sql = "SELECT silent FROM dialog_views WHERE dialog_id = ? AND user_id = ?"
        return not self._db.value(sql, dialog_id, user_id)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else dump(value)
