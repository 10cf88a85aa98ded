"""Uploaded phone books and who of them is registered (R-064 to R-066)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core import Core

__all__ = ["AddressBook"]


class AddressBook:
    """The phone books of all users, one for each device; what names no device is for all of them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def upload(self, user_id: int, contacts: Sequence[Any], *, udid: str | None, replace: bool) -> dict[str, Any]:
        """Create, change and delete contacts; what is wrong is told by its index (R-064)."""
        counts = {"deleted": 0, "created": 0, "updated": 0}
        rejected: dict[str, list[str]] = {}
        with self._db.transaction():
            if replace:
                counts["deleted"] = len(self.contacts(user_id, udid))
                self._db.run("DELETE FROM address_book WHERE user_id = ? AND udid = IFNULL(?, udid)", user_id, udid)
            for index, contact in enumerate(contacts):
                reasons = _faults(contact)
                if reasons:
                    rejected[str(index)] = reasons
                else:
                    self._apply(user_id, udid, contact, counts)
        return {**counts, "rejected": rejected}

    def _apply(self, user_id: int, udid: str | None, contact: Mapping[str, Any], counts: dict[str, int]) -> None:
        phone, name = contact["phone"], contact.get("name")
        key = (user_id, udid, phone)
        where = "user_id = ? AND udid = IFNULL(?, udid) AND phone = ?"
        if _flag(contact.get("destroy")):
            counts["deleted"] += bool(self._db.run(f"DELETE FROM address_book WHERE {where}", *key))
        elif self._db.update("address_book", where, *key, name=name):
            counts["updated"] += 1
        else:
            self._db.insert("address_book", user_id=user_id, udid=udid or "", phone=phone, name=name)
            counts["created"] += 1

    def contacts(self, user_id: int, udid: str | None) -> list[dict[str, str]]:
        """The contacts of one device, or without one of all (R-065)."""
        sql = "SELECT phone, min(name) AS name FROM address_book WHERE user_id = ? AND udid = IFNULL(?, udid)"
        sql += " GROUP BY phone"
        return [{"phone": row["phone"], "name": row["name"]} for row in self._db.all(sql, user_id, udid)]

    def registered(self, user_id: int, udid: str | None, *, compact: bool) -> list[dict[str, Any]]:
        """The contacts who are users (R-066)."""
        found = []
        for contact in self.contacts(user_id, udid):
            user = self._core.accounts.find_by("phone", contact["phone"])
            if user is not None:
                short = {"id": user.id, "phone": user.phone, "address_book_name": contact["name"]}
                found.append(short if compact else {**user.to_wire(), **short})
        return found


def _flag(value: Any) -> bool:
    return value in (1, True, "1", "true")


def _faults(contact: Any) -> list[str]:
    """Why a contact is refused."""
    if not isinstance(contact, Mapping):
        return ["Fields are invalid"]
    phone, name = contact.get("phone"), contact.get("name")
    found = []
    if not isinstance(phone, str) or not 10 <= len(phone) <= 15:
        found.append("Length of 'phone' must be between 10 and 15.")
    if not _flag(contact.get("destroy")) and (not isinstance(name, str) or not 1 <= len(name) <= 255):
        found.append("Length of 'name' must be between 1 and 255.")
    return found
