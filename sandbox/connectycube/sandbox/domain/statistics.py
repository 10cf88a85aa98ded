"""The admin API's statistics (R-095 to R-098)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from ..storage import Database

__all__ = ["Statistics"]


@define(eq=False)
class Statistics:
    """Numbers of messages and dialogs between two times in Unix seconds, each of which may be left open."""

    _db: Database

    def messages_per_day(self, after: float | None, before: float | None) -> dict[str, int]:
        """Count the messages sent on each UTC day."""
        return self._per_day("messages", "date_sent", after, before, None)

    def dialogs_per_day(self, after: float | None, before: float | None, types: Sequence[int] | None) -> dict[str, int]:
        """Count the dialogs created on each UTC day."""
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
