"""Reading long lists by time, which loses nothing while they change, and doing several things at once."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from .state import TransferError

__all__ = ["PAGE", "each", "seconds", "walk"]

PAGE = 100
"""Entries on a page: the platform's maximum."""


class Entry(Protocol):
    id: str


E = TypeVar("E", bound=Entry)
T = TypeVar("T")


def seconds(moment: dt.datetime | None) -> int:
    """Return a time as filters take it."""
    return 0 if moment is None else int(moment.timestamp())


async def walk(
    page: Callable[[Any, int], Awaitable[Sequence[E]]], key: Callable[[E], Any], place: Any = None
) -> AsyncIterator[Sequence[E]]:
    """Yield the pages of a list that is sorted by a time in seconds, or by id, lowest first.

    Each page starts with the second in which the page before ended, so some entries come twice, and none is left out
    when others are deleted or added. A second with more entries than fit on a page is read by offset: each page starts
    with the last entry of the page before, and if it doesn't, the second is read again. A short page may be a capped
    one, so only a page without anything new is the end.

    :param page: gets a page of the entries from a key on, from an offset on.
    :raises TransferError: if the server ignores the offset.
    """
    skip = 0
    same: dict[str, None] = {}  # The entries with the key `place` that were read, in order.
    while entries := await page(place, skip):
        yield entries
        first, last = entries[0].id, key(entries[-1])
        if skip and len(entries) > 1 and first == next(iter(same)):
            raise TransferError(
                f"the server ignores `skip`, so more than {len(entries)} entries of {place} can't be read"
            )
        is_shifted = skip > 0 and first not in same
        if (place is None or last > place) and not is_shifted:
            place, skip, same = last, 0, {}
        elif is_shifted:
            skip = 0
        elif len(entries) == 1:
            return
        else:
            skip += len(entries) - 1
        same |= {entry.id: None for entry in entries if key(entry) == place}


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Work on all items, several at once. The first failure stops the rest and is raised."""
    iterator = iter(items)

    async def worker() -> None:
        for item in iterator:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
