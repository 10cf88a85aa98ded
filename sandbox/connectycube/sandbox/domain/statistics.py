"""What the admin API counts (R-095 to R-098)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from ..storage import Database

__all__ = ["Statistics"]


@define(kw_only=True, eq=False)
class Statistics:
    """Numbers of messages and dialogs, in spans of time whose ends are Unix seconds or open."""

    _db: Database

    def messages(self, after: float | None, before: float | None) -> int:
        """Messages that were sent."""
        return sum(self._per_day("messages", "date_sent", after, before, None).values())

    def messages_per_day(self, after: float | None, before: float | None) -> dict[str, int]:
        """Messages that were sent, by UTC day."""
        return self._per_day("messages", "date_sent", after, before, None)

    def dialogs(self, after: float | None, before: float | None, types: Sequence[int] | None) -> int:
        """Dialogs that were made."""
        return sum(self._per_day("dialogs", "created_at", after, before, types).values())

    def dialogs_per_day(self, after: float | None, before: float | None, types: Sequence[int] | None) -> dict[str, int]:
        """Dialogs that were made, by UTC day."""
        return self._per_day("dialogs", "created_at", after, before, types)

    def _per_day(
        self, table: str, column: str, after: float | None, before: float | None, types: Sequence[int] | None
    ) -> dict[str, int]:
        kinds = "" if types is None else f" AND type IN ({', '.join('?' * len(types))})"
        rows = self._db.all(
            f"SELECT date({column}, 'unixepoch') AS day, count(*) AS number FROM {table}"
            f" WHERE {column} > IFNULL(?, {column} - 1) AND {column} < IFNULL(?, {column} + 1){kinds} GROUP BY day",
            after,
            before,
            *(types or ()),
        )
        return {row["day"]: row["number"] for row in rows if row["day"] is not None}
