"""Plots of the benchmarks: bars, drawn from docs/data/benchmarks.csv for the pages that have the tables."""

from __future__ import annotations

import csv
from html import escape
from itertools import groupby

from .pages import PROJECT

__all__ = ["figures", "plots"]

WIDTH, ROW = 400, 40


def figures() -> list[dict[str, str]]:
    """Return the rows of the data file."""
    with (PROJECT / "docs" / "data" / "benchmarks.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def plots(page: str) -> str:
    """Return the plots of a page, as HTML."""
    rows = [row for row in figures() if row["page"] == page]
    return "".join(f"{_plot(chart, list(bars))}\n\n" for chart, bars in groupby(rows, lambda row: row["chart"]))


def number(text: str) -> str:
    """Return a number as the tables have it."""
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}"


def _plot(chart: str, rows: list[dict[str, str]]) -> str:
    most = max(float(row["value"]) for row in rows)
    bars = ""
    for index, row in enumerate(rows):
        top, length = index * ROW, max(2.0, float(row["value"]) / most * WIDTH)
        kind = "ours" if row["label"] == "connectycube" else "other"
        bars += (
            f'<text x="0" y="{top + 16}">{escape(row["label"])}</text>'
            f'<text x="{WIDTH}" y="{top + 16}" text-anchor="end">{number(row["value"])} {escape(row["unit"])}</text>'
            f'<rect class="{kind}" x="0" y="{top + 22}" width="{length:.1f}" height="10" rx="2"/>'
        )
    size = f"0 0 {WIDTH} {len(rows) * ROW}"
    return (
        f'<figure class="plot"><figcaption>{escape(chart)}</figcaption>'
        f'<svg role="img" viewBox="{size}" aria-label="{escape(chart)}">{bars}</svg></figure>'
    )
