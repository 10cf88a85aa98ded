"""The stored contact lists (RFC 6121). The chat decides what each transition makes of them."""

from __future__ import annotations

from typing import Literal

from attrs import asdict, define, field, frozen

from ..config import Settings
from ..errors import unprocessable
from ..storage import Database, dump, load

__all__ = ["ContactState", "Contacts", "Subscription"]

Subscription = Literal["none", "to", "from", "both"]


def _groups(found: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(load(found)) if isinstance(found, str) else found


@frozen(kw_only=True)
class ContactState:
    """What one user's list says about another user: the state of RFC 6121, appendix A.

    :ivar ask: the user's own request is not answered yet (pending out).
    :ivar pending_in: the contact's request is not answered yet.
    :ivar approved: a request is approved before it is made.
    :ivar listed: whether the contact list shows the contact.
    :ivar request: the contact's request as it came, to be delivered again at each login.
    :ivar groups: names of the groups that the user put the contact in.
    """

    contact_id: int
    name: str | None = None
    subscription: Subscription = "none"
    ask: bool = field(default=False, converter=bool)
    pending_in: bool = field(default=False, converter=bool)
    approved: bool = field(default=False, converter=bool)
    listed: bool = field(default=False, converter=bool)
    request: str | None = None
    groups: tuple[str, ...] = field(default=(), converter=_groups)

    @property
    def to(self) -> bool:
        """Whether the user sees the contact's presence."""
        return self.subscription in ("to", "both")

    @property
    def from_(self) -> bool:
        """Whether the contact sees the user's presence."""
        return self.subscription in ("from", "both")


@define(eq=False)
class Contacts:
    """Every user's contact list."""

    _db: Database
    _settings: Settings

    def get(self, user_id: int, contact_id: int) -> ContactState:
        """Return what a user's list says about another user, by default the state `none`, not listed."""
        sql = "SELECT * FROM contacts WHERE user_id = ? AND contact_id = ?"
        return self._db.find(ContactState, sql, user_id, contact_id) or ContactState(contact_id=contact_id)

    def all(self, user_id: int) -> list[ContactState]:
        """Return everything that a user's list says, including pending requests."""
        return self._db.find_all(ContactState, "SELECT * FROM contacts WHERE user_id = ?", user_id)

    def listed(self, user_id: int) -> list[ContactState]:
        """Return a user's contact list."""
        return [state for state in self.all(user_id) if state.listed]

    def groups(self, user_id: int) -> set[str]:
        """Return the groups that a user has contacts in."""
        return {group for state in self.all(user_id) for group in state.groups}

    def put(self, user_id: int, state: ContactState) -> int:
        """Store what a user's list says about another user.

        :returns: the list's new version (RFC 6121, 2.6).
        :raises Refused: 422 if the list would grow past its limit (F-089).
        """
        limit = self._settings.limits.contacts
        with self._db.transaction():
            if state.listed and not self.get(user_id, state.contact_id).listed and len(self.listed(user_id)) >= limit:
                raise unprocessable("base", f"a contact list has at most {limit} contacts")
            self._db.run("DELETE FROM contacts WHERE user_id = ? AND contact_id = ?", user_id, state.contact_id)
            if state != ContactState(contact_id=state.contact_id):
                self._db.insert("contacts", user_id=user_id, **{**asdict(state), "groups": dump(state.groups)})
            return self._next_version(user_id)

    def remove(self, user_id: int, contact_id: int) -> int:
        """Forget everything that a user's list says about another user.

        :returns: the list's new version.
        """
        return self.put(user_id, ContactState(contact_id=contact_id))

    def version(self, user_id: int) -> int:
        """Return the list's version, which grows by one with each change."""
        return self._db.value("SELECT version FROM contact_versions WHERE user_id = ?", user_id) or 0

    def _next_version(self, user_id: int) -> int:
        self._db.run(
            "INSERT INTO contact_versions VALUES (?, 1) ON CONFLICT DO UPDATE SET version = version + 1", user_id
        )
        return self.version(user_id)
