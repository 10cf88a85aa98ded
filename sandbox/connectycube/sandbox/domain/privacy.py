"""Privacy lists as they are kept (XEP-0016): what they let pass is the chat's to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..bus import PassageAsked
from ..errors import forbidden
from ..storage import dump, load

if TYPE_CHECKING:
    from ..core import Core

__all__ = ["Privacy"]

Items = Sequence[Mapping[str, Any]]
"""Items of a list, in a form of the chat's choice that JSON can hold."""


class Privacy:
    """The privacy lists of all users, and which of them is the default."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def require_passage(self, sender_id: int, recipient_id: int, *, headline: bool = False) -> None:
        """Whether what a user sends to another over REST passes both users' lists.

        :raises Refused: 403 if it does not.
        """
        asked = PassageAsked(sender_id=sender_id, recipient_id=recipient_id, headline=headline)
        if sender_id != recipient_id:
            self._core.bus.publish(asked)
        if not all(asked.answers):
            raise forbidden("A privacy list forbids that")

    def names(self, user_id: int) -> list[str]:
        return self._db.column("SELECT name FROM privacy_lists WHERE user_id = ? ORDER BY name", user_id)

    def get(self, user_id: int, name: str) -> Items | None:
        """The items of a list, `None` where there is no such list."""
        sql = "SELECT items FROM privacy_lists WHERE user_id = ? AND name = ?"
        found: Items | None = load(self._db.value(sql, user_id, name))
        return found

    def set(self, user_id: int, name: str, items: Items) -> None:
        """Make a list, or replace what is in it (F-105)."""
        self._db.run(
            "INSERT INTO privacy_lists (user_id, name, items) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET items = excluded.items",
            user_id,
            name,
            dump([dict(item) for item in items]),
        )

    def delete(self, user_id: int, name: str) -> bool:
        """Delete a list.

        :returns: whether there was one.
        """
        return bool(self._db.run("DELETE FROM privacy_lists WHERE user_id = ? AND name = ?", user_id, name))

    def default(self, user_id: int) -> str | None:
        """Name of the list that is in force for all of a user's connections."""
        name: str | None = self._db.value("SELECT name FROM privacy_lists WHERE user_id = ? AND is_default", user_id)
        return name

    def set_default(self, user_id: int, name: str | None) -> bool:
        """Put a list in force, or none.

        :returns: whether there is such a list.
        """
        if name is not None and self.get(user_id, name) is None:
            return False
        self._db.run("UPDATE privacy_lists SET is_default = (name IS ?) WHERE user_id = ?", name, user_id)
        return True
