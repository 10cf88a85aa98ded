"""Prints results: as tables, or as JSON for scripts."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from .common import Options

__all__ = ["Printer", "clean", "progress"]

MASK: Final = "***"
ROWS: Final = 100
"""Rows of a table while a long list is streamed."""
WIDEST: Final = 40
"""Characters of a cell."""
HARMLESS: Final = "\u00a0\u202f\u3000\u200c\u200d"
"""Spaces and joiners of ordinary text, which Python does not count as printable."""


def clean(text: str) -> str:
    """Escape, as in JSON, what could control the terminal: others have written it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in HARMLESS else json.dumps(char)[1:-1] for char in text)


def masked(value: Any) -> Any:
    """Return a model without its secrets, which are those that its `repr` leaves out."""
    if isinstance(value, list):
        return [masked(entry) for entry in value]
    if not attrs.has(type(value)):
        return value
    changes = {}
    for field in attrs.fields(type(value)):
        entry = getattr(value, field.name)
        if field.repr is False and field.name != "extra" and entry is not None:
            changes[field.name] = MASK
        elif (inner := masked(entry)) is not entry:
            changes[field.name] = inner
    return attrs.evolve(value, **changes)


class Printer:
    """Prints results as the common options say."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def print(self, result: Any) -> None:
        """Print what an operation returned."""
        from connectycube.rest.pages import AsyncPage

        if result is None:
            return
        if isinstance(result, bytes):
            sys.stdout.buffer.write(result)
        elif isinstance(result, AsyncPage):
            self.rows(result.items)
            if not self._options.json and (result.total_entries or 0) > len(result.items) + (result.skip or 0):
                self._options.errors.print(
                    f"{len(result.items)} of {result.total_entries}: --all prints the whole list"
                )
        elif isinstance(result, list):
            self.rows(result)
        elif self._options.json:
            self._line(self._plain(result))
        elif isinstance(result := self._plain(result), dict):
            self._table(
                ["field", "value"], [[cell(key), cell(value)] for key, value in result.items() if is_set(value)]
            )
        else:
            print(cell(result), flush=True)

    async def stream(self, results: AsyncIterable[Any]) -> None:
        """Print a list as it comes. Only a table in a pipe has to wait for the end: it has all columns."""
        rows = 1 if self._options.json else ROWS if self._options.console.is_terminal else 0
        waiting = []
        async for result in results:
            waiting.append(result)
            if len(waiting) == rows:
                self.rows(waiting)
                waiting = []
        self.rows(waiting)

    def rows(self, results: list[Any]) -> None:
        """Print a list."""
        found = [self._plain(result) for result in results]
        if self._options.json:
            for entry in found:
                self._line(entry)
        elif found and isinstance(found[0], dict):
            names = [name for name in dict.fromkeys(key for entry in found for key in entry)
                     if any(is_set(entry.get(name)) for entry in found)]  # fmt: skip
            self._table([clean(name) for name in names], [[cell(entry.get(name)) for name in names] for entry in found])
        else:
            for entry in found:
                print(cell(entry))

    def _plain(self, result: Any) -> Any:
        if not self._options.show_secrets:
            result = masked(result)
        return result.to_dict() if hasattr(result, "to_dict") else result

    def _line(self, value: Any) -> None:
        unicode = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        # JSON itself leaves the control characters above ASCII as they are.
        print(clean(json.dumps(value, ensure_ascii=not unicode, default=encoded)), flush=True)

    def _table(self, names: list[str], rows: list[list[str]]) -> None:
        """Print a table, on a terminal without the columns that don't fit."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        console = self._options.console
        if not console.is_terminal:
            for row in [names, *rows]:
                print("\t".join(row))
            return
        widths = [min(WIDEST, max(len(row[place]) for row in [names, *rows])) + 2 for place in range(len(names))]
        shown = max(1, sum(sum(widths[: place + 1]) <= console.width for place in range(len(names))))
        if names == ["field", "value"]:
            shown = 2
        table = Table(*names[:shown], box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*map(Text, row[:shown]))
        console.print(table)
        if shown < len(names):
            self._options.errors.print(f"also: {', '.join(names[shown:])} (--json prints all)", style="dim")


def encoded(value: Any) -> Any:
    """Return what JSON has no form for."""
    return value.isoformat() if isinstance(value, dt.date) else dict(value)


def is_set(value: Any) -> bool:
    return value is not None and value != [] and value != {}


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell."""
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        return ""
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=encoded))


@contextmanager
def progress(options: Options, wanted: bool) -> Generator[dict[str, Any]]:
    """Show a progress bar on a terminal, for as long as the block runs.

    :returns: the argument of the method that is to report to it.
    """
    if not wanted or not options.errors.is_terminal:
        yield {}
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=options.errors, transient=True) as bar:
        task = bar.add_task("")

        def report(sent: int, total: int | None) -> None:
            bar.update(task, completed=sent, total=total)

        yield {"progress": report}
