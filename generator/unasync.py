"""Derive sync source from async source.

The idea is httpcore's: the two differ by `await` and by names that follow a rule, so one is written and the other is
made by substitution.
"""

from __future__ import annotations

import ast
import re
from functools import cache

ASYNC_ONLY = "# async only"
"""Ends the first line of a statement that the sync source doesn't have."""

SUBSTITUTIONS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\basync (def|for|with)\b", r"\1"),
        (r"\basync (?=client\b)", "sync "),
        (r"\bawait in_thread\(([\w.]+)(?:, )?", r"\1("),
        (r"\bawait ", ""),
        (r"\bAsyncByteStream\b", "SyncByteStream"),
        (r"\bhandle_async_request\b", "handle_request"),
        (r"\bAsync(?=[A-Z])", ""),
        (r"\b__a(enter|exit|iter|next)__", r"__\1__"),
        (r"\bStopAsyncIteration\b", "StopIteration"),
        (r"\ba(close|next|open_stream|read|read_body|iter_bytes|iter_raw|renew_once|sleep|within)\b", r"\1"),
        (r"\b_async\b", "_sync"),
        (r"\b_async_(?=[a-z])", "_sync_"),
    )
)


@cache
def unasync(source: str) -> str:
    """Return the sync twin of an async module."""
    lines = source.splitlines(keepends=True)
    for statement in _async_only(ast.parse(source), lines):
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        lines[first - 1 : last] = [""] * (last - first + 1)
    text = "".join(lines)
    for pattern, replacement in SUBSTITUTIONS:
        text = pattern.sub(replacement, text)
    return text


def _async_only(tree: ast.AST, lines: list[str]) -> list[ast.stmt]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and lines[node.lineno - 1].rstrip().endswith(ASYNC_ONLY)
    ]
