"""Pages of long lists, and the way from a page to the end of its list. Pure: the clients fetch the pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from ._call import Call, Operation, a_list, an_object, unwrap
from ._wire import Pairs
from .errors import DecodeError, InvalidArgument

R = TypeVar("R")
T = TypeVar("T")

FAR: Final = 1_000_000
"""Places past the next page; a server that honours the offset has nothing there."""

SETTLED: Final = 20
"""Known entries in their old order after which a list read again is taken to hold nothing new."""

PASSES: Final = 10
"""How often to read a list from its head while it keeps changing."""


class Paging:
    """How a list is paged: which parameter advances and which sets the size."""

    __slots__ = ("id", "items", "limit", "operator", "step", "style")

    def __init__(self, style: str, items: str, limit: str, id: str, step: str, operator: str = "") -> None:
        self.style = style
        self.items = items
        self.limit = limit
        self.id = id
        self.step = step
        self.operator = operator


class PageData(Generic[T]):
    """One page as it came.

    `entries` has `None` where the server sent null, because every place counts. `ids` are those of the entries, `None`
    for an entry without an id.
    """

    __slots__ = ("entries", "ids", "limit", "skip", "total")

    def __init__(
        self, entries: list[T | None], ids: list[Any], total: int | None, limit: int | None, skip: int | None
    ) -> None:
        self.entries = entries
        self.ids = ids
        self.total = total
        self.limit = limit
        self.skip = skip

    @property
    def items(self) -> list[T]:
        return [entry for entry in self.entries if entry is not None]

    def repeats(self, other: PageData[T]) -> bool:
        """Return whether the other page holds the same entries."""
        return self.ids == other.ids and (None not in self.ids or self.entries == other.entries)


def page_data(
    paging: Paging, convert: Callable[[dict[str, Any]], T], envelope: str = ""
) -> Callable[[Any], PageData[T]]:
    """Return a parser of one page."""

    def parse(data: Any) -> PageData[T]:
        frame = data if isinstance(data, dict) and paging.items in data else {}
        bare = not paging.items or not isinstance(data, dict)
        raw = [
            unwrap(entry, envelope) if envelope else entry
            for entry in a_list(data if bare else frame.get(paging.items))
        ]
        entries = [None if entry is None else convert(an_object(entry)) for entry in raw]
        ids = [None if entry is None else _key(entry.get(paging.id)) for entry in raw]
        # A single object instead of a list is the whole list.
        total = 1 if bare and isinstance(data, dict) else _whole(frame.get("total_entries"))
        limit = _whole(frame.get("per_page", frame.get("limit")))
        return PageData(entries, ids, total, limit, _whole(frame.get("skip")))

    return parse


class Frame(msgspec.Struct, Generic[R]):
    """A page as msgspec reads it, see `_rows`."""

    items: list[R]
    total_entries: Any = None
    skip: Any = None
    limit: Any = None
    per_page: Any = msgspec.UNSET


def row_data(
    decoder: msgspec.json.Decoder[Frame[R]], read: Callable[[R], T], id: str
) -> Callable[[bytes], PageData[T]]:
    """Return a parser of the bytes of a page that holds nothing unusual.

    :param read: turns a row into an entry.
    :param id: the row's field that tells entries apart.
    """

    def parse(body: bytes) -> PageData[T]:
        frame = decoder.decode(body)
        entries: list[T | None] = [read(entry) for entry in frame.items]
        ids = [getattr(entry, id) for entry in frame.items]
        limit = frame.limit if frame.per_page is msgspec.UNSET else frame.per_page
        return PageData(entries, ids, _whole(frame.total_entries), _whole(limit), _whole(frame.skip))

    return parse


def _key(value: Any) -> Any:
    return value if isinstance(value, (str, int)) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class PageCall(Call[PageData[T]]):
    """A request for one page, and how to ask for the next."""

    __slots__ = ("paging",)

    def __init__(
        self,
        operation: Operation[PageData[T]],
        path: str,
        paging: Paging,
        *,
        query: Pairs,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(operation, path, query=query, headers=headers)
        self.paging = paging

    def number(self, name: str) -> int | None:
        """Return an integer of the query."""
        for key, value in self.query:
            if key == name:
                return int(value)
        return None

    def at(self, changes: Mapping[str, object]) -> PageCall[T]:
        """Return the same request with other parameters."""
        query = [(key, value) for key, value in self.query if key not in changes]
        query += [(key, str(value)) for key, value in changes.items()]
        return PageCall(self.operation, self.path, self.paging, query=query, headers=self.headers)


class Walk(Generic[T]):
    """The way from a page to the end of its list, pure: it says what to request and takes what came.

    Lists change during a walk. The guarantees, for entries that have ids and stay in the list (after the entries that
    the first page skips):

    - No entry is returned twice.
    - By offset: every entry that keeps its order among the others is returned, whatever else is added, removed or
      moved to the head. Each page starts with the last entry of the previous one. If it starts with a new entry
      instead, earlier entries are gone and others have shifted into the part already read: the walk steps back.
      An entry that moves to the head past the walk is found if the list was seen to change, in its total or where two
      pages meet. The head is then read again, up to 20 entries in their old order, and again while it keeps changing,
      at most ten times. A change goes unnoticed if, between two requests, as many entries disappear before the walk's
      place as appear there, and the total is unknown or is balanced by entries that are added behind it.
      If entries already read move to the end a page at a time, others may be left out unless the total shows that
      some are missing.
    - By page number: pages can't overlap. No entry is left out if the server reports the total and every change alters
      it: pages are read again if it fell, and the whole list if it changed. If as many entries disappear as appear
      between two requests, or the total is unknown, an entry that shifts to an earlier page is left out.
    - By field (keyset): no entry is left out unless its field changes.

    The number of requests is bounded by the pages and the changes. If a page comes twice, the walk requests a distant
    place once: a server that returns entries there too ignores the offset and has only one page.
    """

    def __init__(self, call: PageCall[T]) -> None:
        self.paging = call.paging
        # Pages of one entry can't overlap.
        self.widened = self.paging.style == "offset" and call.number(self.paging.limit) == 1
        self.call = call.at({self.paging.limit: 2}) if self.widened else call
        given = call.number(self.paging.step) if self.paging.style != "keyset" else None
        self.start = given if given is not None else int(self.paging.style == "number")
        self.position = self.start
        self.expected: Any = None
        """The id at `position` when it was last read; `None` if the next page does not overlap."""
        self.ranks: dict[Any, int] = {}
        """When each entry was last read, as a running number. Every entry in here has been returned."""
        self.read = 0
        self.pass_from = 0
        self.passes = 1
        self.changed = False
        self.known = 0
        self.last_rank = -1
        self.total: int | None = None
        self.largest = 1
        self.back = 0
        self.before: tuple[int, PageData[T]] | None = None
        self.probing = False
        self.heeded = False

    def take(self, data: PageData[T]) -> tuple[list[T], PageCall[T] | None]:
        """Return the new entries of a page, and the next request, if there is one."""
        if self.paging.style == "keyset":
            return self._keyset(data)
        if self.probing:
            self.probing, self.heeded = False, True
            ignored = any(key is None or key in self.ranks for key in data.ids)
            return [], None if ignored else self._at(self.position)
        if not self.heeded and self._repeated(data):
            self.probing = True
            return [], self._at(self.position + FAR)
        self.before = (self.position, data)
        self.largest = max(self.largest, len(data.ids))
        gone = 0 if self.total is None or data.total is None else self.total - data.total
        self.changed = self.changed or gone != 0
        self.total = data.total
        return self._offset(data) if self.paging.style == "offset" else self._number(data, gone)

    def _repeated(self, data: PageData[T]) -> bool:
        if self.before is None or not data.ids:
            return False
        position, before = self.before
        return position != self.position and data.repeats(before)

    def _offset(self, data: PageData[T]) -> tuple[list[T], PageCall[T] | None]:
        first = data.ids[0] if data.ids else None
        overlaps = self.expected is not None
        if overlaps and first != self.expected:
            self.changed = True
            if self.position > self.start and self.ranks.get(first, -1) < self.pass_from:
                # Nothing of this page is taken yet, so that what is taken never has a gap before it.
                self.back = max(self.back * 2, self.largest)
                self.position = max(self.start, self.position - self.back)
                return [], self._at(self.position)
        self.back = 0
        items = self._read(data)
        if self._ended(data, self.position + len(data.ids), overlaps) or self._settled():
            return items, self._again()
        last = max((place for place, key in enumerate(data.ids) if key is not None), default=0)
        if last or self.widened:
            self.position, self.expected = self.position + last, data.ids[last]
        else:
            self.position, self.expected = self.position + len(data.ids), None
        self.widened = False
        return items, self._at(self.position)

    def _number(self, data: PageData[T], gone: int) -> tuple[list[T], PageCall[T] | None]:
        items = self._read(data)
        if gone > 0 and self.position > self.start:
            self.position = max(self.start, self.position - math.ceil(gone / self.largest))
        elif self._ended(data, (self.position - self.start) * self.largest + len(data.ids)):
            return items, self._again()
        else:
            self.position += 1
        return items, self._at(self.position)

    def _keyset(self, data: PageData[T]) -> tuple[list[T], PageCall[T] | None]:
        items = self._read(data)
        last = next((key for key in reversed(data.ids) if key is not None), None)
        whole = data.total is not None and data.total <= len(data.ids)
        self.largest = max(self.largest, len(data.ids))
        if not items or whole or self._short(data):
            return items, None
        if last is None:
            raise DecodeError(f"no entry of the page has {self.paging.id}, so iteration can't continue")
        return items, self.call.at({f"{self.paging.step}[{self.paging.operator}]": last})

    def _read(self, data: PageData[T]) -> list[T]:
        """Return the entries of a page that are new; from now on they count as returned."""
        items: list[T] = []
        for key, entry in zip(data.ids, data.entries, strict=True):
            if entry is None:
                continue
            rank = self.ranks.get(key) if key is not None else None
            if rank is None:
                items.append(entry)
            if key is None or (rank is not None and rank >= self.pass_from):
                continue
            if rank is None:
                self.known = 0
            else:
                self.known = self.known + 1 if rank > self.last_rank else 1
                self.last_rank = rank
            self.ranks[key] = self.read
            self.read += 1
        return items

    def _short(self, data: PageData[T]) -> bool:
        """Return whether a page is shorter than its limit. A server may cap the limit but echo the requested one."""
        size = len(data.ids)
        honest = data.limit != self.call.number(self.paging.limit) or size < self.largest
        return data.limit is not None and size < data.limit and honest

    def _ended(self, data: PageData[T], reached: int, overlaps: bool = False) -> bool:
        if not data.ids:
            return True
        if data.total is not None:
            return reached >= data.total
        return self._short(data) or (overlaps and len(data.ids) == 1 < self.largest)

    def _settled(self) -> bool:
        complete = self.total is None or self.start + len(self.ranks) >= self.total
        return self.known >= SETTLED and complete

    def _again(self) -> PageCall[T] | None:
        """At the end of the list, start again from its head if it has changed meanwhile."""
        if not self.changed or self.passes == PASSES:
            return None
        self.passes += 1
        self.pass_from = self.read
        self.changed, self.known, self.last_rank = False, 0, -1
        self.position, self.expected, self.total = self.start, None, None
        return self._at(self.start)

    def _at(self, position: int) -> PageCall[T]:
        return self.call.at({self.paging.step: position})


def check_walk(call: PageCall[Any]) -> None:
    """Refuse a walk in which the order of the entries would leave gaps."""
    paging = call.paging
    if paging.style != "keyset":
        return
    for key, value in call.query:
        sorts = key.startswith("sort_") and (key, value) != ("sort_desc", paging.step)
        if sorts or key == "skip":
            raise InvalidArgument(key, f"can't be combined with iteration, which pages by {paging.step}: use `items`")


class BasePage(Generic[T]):
    """What `Page` and `AsyncPage` share: all but their iterators."""

    __slots__ = ("_call", "_data", "_fetch", "items", "limit", "skip", "total_entries")

    def __init__(self, call: PageCall[T], data: PageData[T], fetch: Any) -> None:
        self._call = call
        self._data = data
        self._fetch = fetch
        self.items = data.items
        self.total_entries = data.total
        self.limit = data.limit
        self.skip = data.skip

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.items)} items, total_entries={self.total_entries}>"
