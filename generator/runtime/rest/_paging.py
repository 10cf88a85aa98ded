"""Pages of long lists, and the way from a page to the end of its list. Pure: the clients fetch the pages."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, overload

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

USER_FIELDS: Final = ("user_id", "occupants_ids", "admins_ids", "last_message_user_id", "sender_id", "recipient_id")
"""The fields of a page's items that hold ids of users."""

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
        cookies: Sequence[str] = (),
    ) -> None:
        super().__init__(operation, path, query=query, headers=headers, cookies=cookies)
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
        return PageCall(self.operation, self.path, self.paging, query=query, headers=self.headers, cookies=self.cookies)


class Seen:
    """The entries that a walk has returned, and how far it has come in reading the list again."""

    def __init__(self) -> None:
        self.ranks: dict[Any, int] = {}
        """When each entry was last read, as a running number."""
        self.known = 0
        """The entries that came last and were all known, in their old order."""
        self.passes = 1
        self._read = 0
        self._pass_from = 0
        self._last_rank = -1

    def take(self, data: PageData[T]) -> list[T]:
        """Return the entries of a page that are new; from now on they count as returned."""
        items: list[T] = []
        for key, entry in zip(data.ids, data.entries, strict=True):
            if entry is None:
                continue
            rank = self.ranks.get(key) if key is not None else None
            if rank is None:
                items.append(entry)
            if key is None or (rank is not None and rank >= self._pass_from):
                continue
            if rank is None:
                self.known = 0
            else:
                self.known = self.known + 1 if rank > self._last_rank else 1
                self._last_rank = rank
            self.ranks[key] = self._read
            self._read += 1
        return items

    def read_in_pass(self, key: Any) -> bool:
        """Return whether an entry was read since the list was last started from its head."""
        return self.ranks.get(key, -1) >= self._pass_from

    def start_again(self) -> None:
        self.passes += 1
        self._pass_from = self._read
        self.known, self._last_rank = 0, -1


class Walk(ABC, Generic[T]):
    """The way from a page to the end of its list, pure: it says what to request and takes what came.

    Lists change during a walk. No entry that has an id is returned twice. Which entries are never left out depends on
    the style of paging: see the classes. They speak of entries that have ids and stay in the list, after those that the
    first page skips. The number of requests is bounded by the pages and the changes.
    """

    def __init__(self, call: PageCall[T]) -> None:
        self._call = call
        self._seen = Seen()
        self._largest = 1

    @abstractmethod
    def take(self, data: PageData[T]) -> tuple[list[T], PageCall[T] | None]:
        """Return the new entries of a page, and the next request, if there is one."""

    def _short(self, data: PageData[T]) -> bool:
        """Return whether a page is shorter than its limit. A server may cap the limit but echo the requested one."""
        size = len(data.ids)
        honest = data.limit != self._call.number(self._call.paging.limit) or size < self._largest
        return data.limit is not None and size < data.limit and honest


class KeysetWalk(Walk[T]):
    """By a field: each page starts after the last entry of the previous one. No entry is left out unless its field
    changes.
    """

    def take(self, data: PageData[T]) -> tuple[list[T], PageCall[T] | None]:
        paging = self._call.paging
        items = self._seen.take(data)
        last = next((key for key in reversed(data.ids) if key is not None), None)
        whole = data.total is not None and data.total <= len(data.ids)
        self._largest = max(self._largest, len(data.ids))
        if not items or whole or self._short(data):
            return items, None
        if last is None:
            raise DecodeError(f"no entry of the page has {paging.id}, so iteration can't continue")
        return items, self._call.at({f"{paging.step}[{paging.operator}]": last})


class Probe(Generic[T]):
    """Finds out whether a server ignores the position, when a page comes twice: a distant place is requested once."""

    def __init__(self) -> None:
        self.is_open = False
        self._is_done = False
        self._before: tuple[int, PageData[T]] | None = None

    def opens(self, position: int, data: PageData[T]) -> bool:
        """Return whether this page makes it necessary."""
        if not self._is_done and self._before is not None and data.ids:
            before_position, before = self._before
            self.is_open = before_position != position and data.repeats(before)
        if not self.is_open:
            self._before = position, data
        return self.is_open

    def close(self) -> None:
        self.is_open, self._is_done = False, True


class PositionWalk(Walk[T]):
    """By a position that counts up: what the two styles of it share.

    If a page comes twice, the walk requests a distant place once: a server that returns entries there too ignores the
    position and has only one page.
    """

    FIRST = 0
    """The position of the list's head."""

    def __init__(self, call: PageCall[T]) -> None:
        super().__init__(call)
        given = call.number(call.paging.step)
        self._start = self._position = self.FIRST if given is None else given
        self._probe: Probe[T] = Probe()
        self._total: int | None = None
        self._changed = False

    def take(self, data: PageData[T]) -> tuple[list[T], PageCall[T] | None]:
        if self._probe.is_open:
            self._probe.close()
            ignored = any(key is None or key in self._seen.ranks for key in data.ids)
            return [], None if ignored else self._at(self._position)
        if self._probe.opens(self._position, data):
            return [], self._at(self._position + FAR)
        self._largest = max(self._largest, len(data.ids))
        gone = 0 if self._total is None or data.total is None else self._total - data.total
        self._changed = self._changed or gone != 0
        self._total = data.total
        return self._advance(data, gone)

    @abstractmethod
    def _advance(self, data: PageData[T], gone: int) -> tuple[list[T], PageCall[T] | None]:
        """Take a page after which the total is smaller by `gone`."""

    def _ended(self, data: PageData[T], reached: int) -> bool:
        if not data.ids:
            return True
        return self._short(data) if data.total is None else reached >= data.total

    def _again(self) -> PageCall[T] | None:
        """At the end of the list, start again from its head if it has changed meanwhile."""
        if not self._changed or self._seen.passes == PASSES:
            return None
        self._seen.start_again()
        self._changed, self._total, self._position = False, None, self._start
        return self._at(self._start)

    def _at(self, position: int) -> PageCall[T]:
        return self._call.at({self._call.paging.step: position})


class NumberWalk(PositionWalk[T]):
    """By page number: pages can't overlap.

    No entry is left out if the server reports the total and every change alters it: pages are read again if it fell,
    and the whole list if it changed. If as many entries disappear as appear between two requests, or the total is
    unknown, an entry that shifts to an earlier page is left out.
    """

    FIRST = 1

    def _advance(self, data: PageData[T], gone: int) -> tuple[list[T], PageCall[T] | None]:
        items = self._seen.take(data)
        if gone > 0 and self._position > self._start:
            self._position = max(self._start, self._position - math.ceil(gone / self._largest))
        elif self._ended(data, (self._position - self._start) * self._largest + len(data.ids)):
            return items, self._again()
        else:
            self._position += 1
        return items, self._at(self._position)


class OffsetWalk(PositionWalk[T]):
    """By offset: each page starts with the last entry of the previous one.

    Every entry that keeps its order among the others is returned, whatever else is added, removed or moved to the head.
    If a page starts with a new entry instead, earlier entries are gone and others have shifted into the part already
    read: the walk steps back. An entry that moves to the head past the walk is found if the list was seen to change, in
    its total or where two pages meet. The head is then read again, up to 20 entries in their old order, and again while
    it keeps changing, at most ten times.

    A change goes unnoticed if, between two requests, as many entries disappear before the walk's place as appear there,
    and the total is unknown or is balanced by entries that are added behind it. If entries already read move to the end
    a page at a time, others may be left out unless the total shows that some are missing.
    """

    def __init__(self, call: PageCall[T]) -> None:
        # Pages of one entry can't overlap.
        self._widened = call.number(call.paging.limit) == 1
        super().__init__(call.at({call.paging.limit: 2}) if self._widened else call)
        self._expected: Any = None
        """The id at the position when it was last read; `None` if the next page does not overlap."""
        self._back = 0

    def _advance(self, data: PageData[T], gone: int) -> tuple[list[T], PageCall[T] | None]:
        first = data.ids[0] if data.ids else None
        overlaps = self._expected is not None
        if overlaps and first != self._expected:
            self._changed = True
            if self._position > self._start and not self._seen.read_in_pass(first):
                # Nothing of this page is taken yet, so that what is taken never has a gap before it.
                self._back = max(self._back * 2, self._largest)
                self._position = max(self._start, self._position - self._back)
                return [], self._at(self._position)
        self._back = 0
        items = self._seen.take(data)
        alone = overlaps and data.total is None and len(data.ids) == 1 < self._largest
        if alone or self._ended(data, self._position + len(data.ids)) or self._settled():
            self._expected = None
            return items, self._again()
        last = max((place for place, key in enumerate(data.ids) if key is not None), default=0)
        if last or self._widened:
            self._position, self._expected = self._position + last, data.ids[last]
        else:
            self._position, self._expected = self._position + len(data.ids), None
        self._widened = False
        return items, self._at(self._position)

    def _settled(self) -> bool:
        complete = self._total is None or self._start + len(self._seen.ranks) >= self._total
        return self._seen.known >= SETTLED and complete


WALKS: Final[dict[str, type[Walk[Any]]]] = {"offset": OffsetWalk, "number": NumberWalk, "keyset": KeysetWalk}


def walk_from(call: PageCall[T]) -> Walk[T]:
    """Return the way through the list that a page is part of.

    :raises InvalidArgument: if the order of the entries would leave gaps in it.
    """
    paging = call.paging
    for key, value in call.query if paging.style == "keyset" else ():
        sorts = key.startswith("sort_") and (key, value) != ("sort_desc", paging.step)
        if sorts or key == "skip":
            raise InvalidArgument(key, f"can't be combined with iteration, which pages by {paging.step}: use `items`")
    return WALKS[paging.style](call)


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

    @property
    def user_ids(self) -> set[int]:
        """The ids of all users named on a page of dialogs or messages: owners, occupants, senders and recipients."""
        # F-026
        named = (getattr(item, name, None) for item in self.items for name in USER_FIELDS)
        ids = (entry for value in named for entry in (value if isinstance(value, list) else [value]))
        return {entry for entry in ids if isinstance(entry, int) and entry > 0}

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self.items[index]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.items)} items, total_entries={self.total_entries}>"
