"""The journal of REST calls, stanzas and what goes elsewhere, for tests to assert on and the page to show.

It has a bounded size, holds no secrets, and may be read from any thread.
"""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Any, ClassVar, Literal

from attrs import asdict, frozen

from .clock import Clock, iso

__all__ = ["Entry", "Exchange", "Journal", "Medium", "Outgoing", "StanzaSeen"]

MOST_SHOWN = 65_536
"""Most characters or bytes that are kept of a body or stanza. Of larger ones, only the size is."""

HIDDEN = "•••"

_SECRETS = frozenset(
    """
    password old_password oldPassword token secret auth_key authkey signature access_token
    cb-token cb-authkey cb-administration-api-key authorization cookie set-cookie
    params download_url dowload_url web_auth web_p256dh client_identification_sequence
    """.split()
)

_SASL = re.compile(r"(<(?:\w+:)?(auth|response|challenge|success)\b(?=[^>]*xmpp-sasl)[^>]*>)[^<]+(?=<)")

Direction = Literal["in", "out"]
Medium = Literal["identity", "mail", "push", "webhook"]


@frozen(kw_only=True)
class Entry(ABC):
    """An entry of the journal.

    :ivar number: grows by one with each entry.
    :ivar at: Unix time by the sandbox's clock.
    :ivar user_id: the user it belongs to, if known.
    """

    kind: ClassVar[str]
    """`rest`, `stanza` or `outgoing`."""

    number: int
    at: float
    user_id: int | None

    @abstractmethod
    def text(self) -> str:
        """Return all of it as one line, to search in."""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in the form that the page reads."""
        return {**asdict(self), "kind": self.kind, "time": iso(self.at)}


@frozen(kw_only=True)
class Exchange(Entry):
    """A REST call and its response."""

    kind = "rest"

    method: str
    path: str
    """The path as sent, including any `.json` (CR-01) and percent-encoding."""
    operation: str | None
    """The operation's id in the spec, if the call is specified."""
    query: list[tuple[str, str]]
    request_headers: dict[str, str]
    request_body: Any
    status: int
    response_headers: dict[str, str]
    response_body: Any
    milliseconds: float
    fault: str | None = None
    """The fault that a test injected, if any."""

    def text(self) -> str:
        return f"{self.method} {self.path} {self.query} {self.request_body} {self.status} {self.response_body}"


@frozen(kw_only=True)
class StanzaSeen(Entry):
    """A stanza, or another element of a stream. Its direction is `in` if a client sent it."""

    kind = "stanza"

    direction: Direction
    resource: str | None
    xml: str

    def text(self) -> str:
        return f"{self.direction} {self.xml}"


@frozen(kw_only=True)
class Outgoing(Entry):
    """What the platform sends elsewhere. The sandbox calls the developer's servers, but only records pushes and mails.

    :ivar medium: `push` or `mail`, or for calls `webhook` or `identity`.
    :ivar to: the device, address or URL.
    :ivar content: what is sent.
    :ivar status: the HTTP status with which a call was answered.
    :ivar error: why a call failed.
    """

    kind = "outgoing"

    medium: Medium
    to: str
    content: Any
    status: int | None = None
    error: str | None = None

    def text(self) -> str:
        return f"{self.medium} {self.to} {self.content} {self.status} {self.error}"


class Journal:
    """The latest entries, and a way to be notified of new ones."""

    def __init__(self, clock: Clock, capacity: int = 5_000) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._number = 0
        self._forgotten = 0
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    def exchange(self, **fields: Any) -> None:
        """Record a REST call, without its secrets."""
        fields["query"] = _pairs(fields["query"])
        fields["request_headers"] = _headers(fields["request_headers"])
        fields["response_headers"] = _headers(fields["response_headers"])
        fields["request_body"] = _value(fields["request_body"])
        fields["response_body"] = _value(fields["response_body"])
        self._add(lambda number, at: Exchange(number=number, at=at, **fields))

    def stanza(self, direction: Direction, xml: str, *, user_id: int | None, resource: str | None = None) -> None:
        """Record a stanza, without its secrets."""
        shown = _xml(xml if len(xml) <= MOST_SHOWN else f"{xml[:MOST_SHOWN]}… ({len(xml)} characters)")
        self._add(
            lambda number, at: StanzaSeen(
                number=number, at=at, user_id=user_id, direction=direction, resource=resource, xml=shown
            )
        )

    def outgoing(self, medium: Medium, to: str, content: Any, *, user_id: int | None = None, **result: Any) -> None:
        """Record what goes elsewhere, without its secrets.

        :param result: the `status` or `error` of a call.
        """
        shown = _value(content)
        self._add(
            lambda number, at: Outgoing(
                number=number, at=at, user_id=user_id, medium=medium, to=to, content=shown, **result
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
        """Number of the newest entry, 0 if there is none."""
        return self._number

    def entries(self, *, user_id: int | None = None, after: int = 0, text: str = "") -> list[Entry]:
        """Return the entries that are kept, oldest first.

        :param user_id: only this user's entries.
        :param after: only entries with a higher number.
        :param text: only entries that contain this text, ignoring case.
        """
        wanted = text.lower()
        with self._changed:
            # Searches from the newest, because followers ask only for the last few.
            found = list(takewhile(lambda entry: entry.number > after, reversed(self._entries)))
        return [
            entry
            for entry in reversed(found)
            if (user_id is None or entry.user_id == user_id) and (not wanted or wanted in entry.text().lower())
        ]

    def exchanges(self, *, user_id: int | None = None, after: int = 0) -> list[Exchange]:
        """Return the REST calls that are kept, oldest first."""
        return [entry for entry in self.entries(user_id=user_id, after=after) if isinstance(entry, Exchange)]

    def stanzas(self, *, user_id: int | None = None, after: int = 0) -> list[StanzaSeen]:
        """Return the stanzas that are kept, oldest first."""
        return [entry for entry in self.entries(user_id=user_id, after=after) if isinstance(entry, StanzaSeen)]

    def sent(self, medium: Medium | None = None, *, user_id: int | None = None, after: int = 0) -> list[Outgoing]:
        """Return what has gone elsewhere, oldest first: everything, or by one medium."""
        return [
            entry
            for entry in self.entries(user_id=user_id, after=after)
            if isinstance(entry, Outgoing) and medium in (None, entry.medium)
        ]

    def wait_for(self, wanted: Callable[[Entry], bool], *, after: int = 0, timeout: float = 5.0) -> Entry:
        """Block until there is an entry that a function accepts. Don't call it on the sandbox's own loop.

        :raises TimeoutError: if there is none in time.
        """

        def find() -> Entry | None:
            return next((entry for entry in self._entries if entry.number > after and wanted(entry)), None)

        with self._changed:
            found = self._changed.wait_for(find, timeout)
        if found is None:
            raise TimeoutError(f"no such entry within {timeout} s")
        return found

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each new entry and after `clear`, on the thread that made the change.

        :returns: a function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def clear(self) -> None:
        """Forget all entries. Numbering continues."""
        with self._changed:
            self._entries.clear()
            self._forgotten = self._number
        self._tell()

    @property
    def forgotten(self) -> int:
        """Number of the newest entry that `clear` removed, 0 if there is none."""
        return self._forgotten

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())


def _is_secret(name: str) -> bool:
    """Return whether a field, parameter or header of a name holds a secret."""
    return name.rpartition("[")[2].rstrip("]").lower() in _SECRETS or name in _SECRETS


def _value(found: Any) -> Any:
    """Return a JSON value with its secrets hidden, at any depth."""
    if isinstance(found, Mapping):
        return {
            key: HIDDEN if isinstance(inner, (str, int)) and _is_secret(str(key)) else _value(inner)
            for key, inner in found.items()
        }
    return [_value(inner) for inner in found] if isinstance(found, list) else found


def _pairs(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of a query or form with their secrets hidden."""
    return [(name, HIDDEN if _is_secret(name) else text) for name, text in found]


def _headers(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers with their secrets hidden. `Location` holds a signed address, and is left out."""
    return {name: HIDDEN if _is_secret(name) else text for name, text in found if name.lower() != "location"}


def _xml(text: str) -> str:
    """Return a stanza with its SASL data hidden."""
    return _SASL.sub(rf"\1{HIDDEN}", text) if "xmpp-sasl" in text else text
