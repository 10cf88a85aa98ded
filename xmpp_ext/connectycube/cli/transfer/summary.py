"""What an export or import tells while it runs and at its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

__all__ = ["Progress", "Summary", "quiet"]

Progress = Callable[[str, int, int | None], None]
"""Called with what is counted, how many are done, and how many there are in all, if that is known."""


def quiet(kind: str, done: int, total: int | None) -> None:
    """Show no progress."""


@frozen(kw_only=True)
class Summary:
    """What was done.

    :ivar counts: dialogs, messages and files that the folder holds, or that are imported.
    :ivar news: how many of them this run added.
    :ivar losses: what an import could not carry over, and how often.
    :ivar problems: how many things failed.
    :ivar report: the file that lists them, if there are any.
    """

    counts: dict[str, int]
    news: dict[str, int]
    losses: dict[str, int] = field(factory=dict)
    problems: int
    report: Path | None
