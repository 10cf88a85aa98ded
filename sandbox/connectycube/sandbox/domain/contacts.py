"""Contact lists as they are kept (RFC 6121): what each transition makes of them is the chat's to say."""

from __future__ import annotations

import sqlite3
from typing import Literal

from attrs import define, evolve, frozen

from ..config import Settings
from ..errors import unprocessable
from ..storage import Database, dump, load

__all__ = ["ContactState", "Contacts", "Subscription"]

Subscription = Literal["none", "to", "from", "both"]


@frozen(kw_only=True)
class ContactState:
    """What is kept of one user about another: the state of RFC 6121, appendix A.

    :ivar ask: a request of the user's own is not answered yet (pending out).
    :ivar pending_in: a request of the contact's is not answered yet.
    :ivar approved: a request is granted before it is made.
    :ivar listed: whether it stands in the contact list.
    :ivar request: the contact's request as it came, to be delivered again at each login.
    :ivar groups: names of the groups that the user put the contact in.
    """

    contact_id: int
    name: str | None = None
    subscription: Subscription = "none"
    ask: bool = False
    pending_in: bool = False
    approved: bool = False
    listed: bool = False
    request: str | None = None
    groups: tuple[str, ...] = ()

    @property
    def to(self) -> bool:
        """Whether the user sees the contact's presence."""
        return self.subscription in ("to", "both")

    @property
    def from_(self) -> bool:
        """Whether the contact sees the user's presence."""
        return self.subscription in ("from", "both")

    def with_to(self, to: bool) -> ContactState:
        return evolve(self, subscription=_subscription(to, self.from_))

    def with_from(self, from_: bool) -> ContactState:
        return evolve(self, subscription=_subscription(self.to, from_))


def _subscription(to: bool, from_: bool) -> Subscription:
    if to:
        return "both" if from_ else "to"
    return "from" if from_ else "none"


@define(kw_only=True, eq=False)
class Contacts:
    """The contact lists of all users."""

    _db: Database
    _settings: Settings

    def get(self, user_id: int, contact_id: int) -> ContactState:
        """What a user has about another; nothing is the state `none`, not listed."""
        row = self._db.one("SELECT * FROM contacts WHERE user_id = ? AND contact_id = ?", user_id, contact_id)
        return ContactState(contact_id=contact_id) if row is None else _state(row)

    def all(self, user_id: int) -> list[ContactState]:
        """All that a user has about others, what is only pending included."""
        return [_state(row) for row in self._db.all("SELECT * FROM contacts WHERE user_id = ?", user_id)]

    def listed(self, user_id: int) -> list[ContactState]:
        """A user's contact list."""
        return [state for state in self.all(user_id) if state.listed]

    def groups(self, user_id: int) -> set[str]:
        """The groups that a user has contacts in."""
        return {group for state in self.all(user_id) for group in state.groups}

    def put(self, user_id: int, state: ContactState) -> int:
        """Keep what a user has about another.

        :returns: the list's new version (RFC 6121, 2.6).
        :raises Refused: 422 if the list would grow past its limit (F-089).
        """
        limit = self._settings.limits.contacts
        with self._db.transaction():
            if state.listed and not self.get(user_id, state.contact_id).listed and len(self.listed(user_id)) >= limit:
                raise unprocessable("base", f"a contact list has at most {limit} contacts")
            self._db.run("DELETE FROM contacts WHERE user_id = ? AND contact_id = ?", user_id, state.contact_id)
            if state != ContactState(contact_id=state.contact_id):
                self._db.insert(
                    "contacts",
                    user_id=user_id,
                    contact_id=state.contact_id,
                    name=state.name,
                    subscription=state.subscription,
                    ask=int(state.ask),
                    pending_in=int(state.pending_in),
                    approved=int(state.approved),
                    listed=int(state.listed),
                    request=state.request,
                    groups=dump(state.groups),
                )
            return self._next_version(user_id)

    def remove(self, user_id: int, contact_id: int) -> int:
        """Forget all that a user has about another.

        :returns: the list's new version.
        """
        return self.put(user_id, ContactState(contact_id=contact_id))

    def version(self, user_id: int) -> int:
        """The list's version: it grows by one with each change."""
        return self._db.value("SELECT version FROM contact_versions WHERE user_id = ?", user_id) or 0

    def _next_version(self, user_id: int) -> int:
        self._db.run(
            "INSERT INTO contact_versions VALUES (?, 1) ON CONFLICT DO UPDATE SET version = version + 1", user_id
        )
        return self.version(user_id)


def _state(row: sqlite3.Row) -> ContactState:
    return ContactState(
        contact_id=row["contact_id"],
        name=row["name"],
        subscription=row["subscription"],
        ask=bool(row["ask"]),
        pending_in=bool(row["pending_in"]),
        approved=bool(row["approved"]),
        listed=bool(row["listed"]),
        request=row["request"],
        groups=tuple(load(row["groups"])),
    )
