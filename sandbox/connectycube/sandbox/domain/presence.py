"""Who is online, when users were last active, and the stanzas that wait for them (R-024, R-025, K-49, XEP-0203)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from ..clock import Clock
from ..storage import Database
from .accounts import Accounts

__all__ = ["OfflineMessage", "Presence"]


@frozen(kw_only=True)
class OfflineMessage:
    """A stanza that waited.

    :ivar number: its place in the order.
    :ivar stored_at: Unix time for its `<delay/>`.
    """

    number: int
    stanza: str
    stored_at: float


@define(eq=False)
class Presence:
    """Users with at least one chat connection are online. The data file doesn't keep that."""

    _db: Database
    _clock: Clock
    _accounts: Accounts
    _connections: dict[int, int] = field(factory=dict, init=False)
    active_lists: Callable[[int], Sequence[str | None]] = field(default=lambda user_id: (), init=False)
    """Returns the active privacy list of each device that a message to a user reaches. The chat replaces it."""

    def came_online(self, user_id: int) -> None:
        """Count a chat connection of a user."""
        self._connections[user_id] = self._connections.get(user_id, 0) + 1
        self._touch(user_id)

    def went_offline(self, user_id: int) -> None:
        """Forget a chat connection of a user."""
        left = self._connections.get(user_id, 0) - 1
        if left > 0:
            self._connections[user_id] = left
        else:
            self._connections.pop(user_id, None)
        self._touch(user_id)

    def _touch(self, user_id: int) -> None:
        with self._db.attempt():
            self._db.update("users", "id = ?", user_id, last_activity_at=self._clock.now())

    def is_online(self, user_id: int) -> bool:
        """Return whether a user is online."""
        return user_id in self._connections

    def online(self) -> list[int]:
        """Return the ids of the users who are online."""
        return sorted(self._connections)

    def idle_seconds(self, user_id: int) -> int | None:
        """Return the seconds since a user was last online: 0 if they are, `None` if they never were (K-49)."""
        if self.is_online(user_id):
            return 0
        user = self._accounts.find(user_id)
        if user is None or user.last_activity_at is None:
            return None
        return max(0, int(self._clock.now() - user.last_activity_at))

    def store_offline(self, user_id: int, stanza: str, number: int | None = None) -> None:
        """Keep a stanza until a user comes online.

        :param number: the place in the order that it had before; without one, it is the last.
        """
        now = self._clock.now()
        self._db.insert("offline_messages", number=number, user_id=user_id, stanza=stanza, stored_at=now)

    def take_offline(self, user_id: int) -> OfflineMessage | None:
        """Remove and return the oldest stanza waiting for a user, `None` without one."""
        sql = "SELECT * FROM offline_messages WHERE user_id = ? ORDER BY number LIMIT 1"
        found = self._db.find(OfflineMessage, sql, user_id)
        if found is not None:
            self._db.run("DELETE FROM offline_messages WHERE number = ?", found.number)
        return found

    def reset(self) -> None:
        """Take everybody offline."""
        self._connections.clear()
