"""Uploaded address books, and which of their contacts are users (R-064 to R-066)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define

from ..storage import Database
from .accounts import Accounts, User

__all__ = ["AddressBook"]


@define(eq=False)
class AddressBook:
    """Every user's address books, one per device. Without a device, a call is about all of them."""

    _db: Database
    _accounts: Accounts

    def upload(self, user_id: int, contacts: Sequence[Any], *, udid: str | None, replace: bool) -> dict[str, Any]:
        """Create, change and delete contacts, reporting invalid ones by their index (R-064)."""
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
        """Return the contacts of one device, or of all (R-065)."""
        sql = "SELECT phone, min(name) AS name FROM address_book WHERE user_id = ? AND udid = IFNULL(?, udid)"
        return [dict(row) for row in self._db.all(f"{sql} GROUP BY phone", user_id, udid)]

    def registered(self, user_id: int, udid: str | None) -> list[tuple[User, str]]:
        """Return the contacts who are users, each with their name in the address book (R-066)."""
        found = ((self._accounts.find_by("phone", one["phone"]), one["name"]) for one in self.contacts(user_id, udid))
        return [(user, name) for user, name in found if user is not None]


def _flag(value: Any) -> bool:
    return value in (1, True, "1", "true")


def _faults(contact: Any) -> list[str]:
    """Return the reasons to reject a contact, in the platform's words."""
    if not isinstance(contact, Mapping):
        return ["Fields are invalid"]
    phone, name = contact.get("phone"), contact.get("name")
    found = []
    if not isinstance(phone, str) or not 10 <= len(phone) <= 15:
        found.append("Length of 'phone' must be between 10 and 15.")
    if not _flag(contact.get("destroy")) and (not isinstance(name, str) or not 1 <= len(name) <= 255):
        found.append("Length of 'name' must be between 1 and 255.")
    return found
