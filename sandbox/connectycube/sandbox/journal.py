"""What went over the wire: each REST call and each stanza, for tests to assert on and the page to show.

It is bounded and holds no secrets. It may be read from any thread.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any, Literal

from attrs import asdict, frozen

from . import redaction
from .clock import Clock, iso

__all__ = ["Entry", "Exchange", "Journal", "StanzaSeen"]

MOST_SHOWN = 65_536
"""Most characters or bytes of one thing that are kept; of what is larger, its size is."""

Direction = Literal["in", "out"]


@frozen(kw_only=True)
class Entry(ABC):
    """One thing that went over the wire.

    :ivar number: grows by one with each entry.
    :ivar at: Unix time by the sandbox's clock.
    :ivar user_id: whose it is, where that is known.
    """

    number: int
    at: float
    user_id: int | None

    @property
    def kind(self) -> str:
        return "rest" if isinstance(self, Exchange) else "stanza"

    @abstractmethod
    def text(self) -> str:
        """All of it as one line, to search in."""

    def to_dict(self) -> dict[str, Any]:
        """As the page gets it."""
        return {**asdict(self), "kind": self.kind, "time": iso(self.at)}


@frozen(kw_only=True)
class Exchange(Entry):
    """A REST call and its answer."""

    method: str
    path: str
    """As the client sent it, with `.json` if it was there (CR-01), percent-encoded if it was."""
    operation: str | None
    """Id in the spec, where the call is one of its."""
    query: list[tuple[str, str]]
    request_headers: dict[str, str]
    request_body: Any
    status: int
    response_headers: dict[str, str]
    response_body: Any
    milliseconds: float
    fault: str | None = None
    """What a test made of the call, if anything."""

    def text(self) -> str:
        return f"{self.method} {self.path} {self.query} {self.request_body} {self.status} {self.response_body}"


@frozen(kw_only=True)
class StanzaSeen(Entry):
    """A stanza, or another element of a stream. `in` is from the client to the sandbox."""

    direction: Direction
    resource: str | None
    xml: str

    def text(self) -> str:
        return f"{self.direction} {self.xml}"


class Journal:
    """The last entries, and a way to hear of new ones."""

    def __init__(self, clock: Clock, capacity: int = 5_000) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._number = 0
        self._forgotten = 0
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    def exchange(self, **fields: Any) -> None:
        """Write a REST call down; secrets are taken out here."""
        fields["query"] = redaction.pairs(fields["query"])
        fields["request_headers"] = redaction.headers(fields["request_headers"])
        fields["response_headers"] = redaction.headers(fields["response_headers"])
        fields["request_body"] = redaction.value(fields["request_body"])
        fields["response_body"] = redaction.value(fields["response_body"])
        self._add(lambda number, at: Exchange(number=number, at=at, **fields))

    def stanza(self, direction: Direction, xml: str, *, user_id: int | None, resource: str | None = None) -> None:
        """Write a stanza down; secrets are taken out here."""
        shown = redaction.xml(xml if len(xml) <= MOST_SHOWN else f"{xml[:MOST_SHOWN]}… ({len(xml)} characters)")
        self._add(
            lambda number, at: StanzaSeen(
                number=number, at=at, user_id=user_id, direction=direction, resource=resource, xml=shown
            )
        )

    def _add(self, make: Callable[[int, float], Entry]) -> None:
        with self._changed:
            self._number += 1
            entry = make(self._number, self._clock.now())
            self._entries.append(entry)
            self._changed.notify_all()
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    @property
    def last_number(self) -> int:
        """Number of the newest entry, 0 where there is none."""
        return self._number

    def entries(self, *, user_id: int | None = None, after: int = 0, text: str = "") -> list[Entry]:
        """What is remembered, oldest first.

        :param user_id: only this user's.
        :param after: only entries with a higher number.
        :param text: only entries with this text in them, whatever its case.
        """
        wanted = text.lower()
        with self._changed:
            # From the newest: those who follow along want only the last few.
            found = list(takewhile(lambda entry: entry.number > after, reversed(self._entries)))
        return [
            entry
            for entry in reversed(found)
            if (user_id is None or entry.user_id == user_id) and (not wanted or wanted in entry.text().lower())
        ]

    def exchanges(self, *, user_id: int | None = None, after: int = 0) -> list[Exchange]:
        """The REST calls that are remembered, oldest first."""
        return [entry for entry in self.entries(user_id=user_id, after=after) if isinstance(entry, Exchange)]

    def stanzas(self, *, user_id: int | None = None, after: int = 0) -> list[StanzaSeen]:
        """The stanzas that are remembered, oldest first."""
        return [entry for entry in self.entries(user_id=user_id, after=after) if isinstance(entry, StanzaSeen)]

    def wait_for(self, wanted: Callable[[Entry], bool], *, after: int = 0, timeout: float = 5.0) -> Entry:
        """Block until there is an entry that a function says yes to. Not for the sandbox's own loop.

        :raises TimeoutError: if none comes in time.
        """

        def find() -> Entry | None:
            return next((entry for entry in self._entries if entry.number > after and wanted(entry)), None)

        with self._changed:
            found = self._changed.wait_for(find, timeout)
        if found is None:
            raise TimeoutError(f"no such entry within {timeout} s")
        return found

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever there is a new entry or all are forgotten, by the thread that does it.

        :returns: what ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def clear(self) -> None:
        """Forget all entries; the numbers go on."""
        with self._changed:
            self._entries.clear()
            self._forgotten = self._number
        self._tell()

    @property
    def forgotten(self) -> int:
        """Number of the newest entry that was forgotten by `clear`, 0 where there is none."""
        return self._forgotten

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())
