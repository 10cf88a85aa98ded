"""What is written by hand of `chat.contacts` and `chat.privacy` of `Chat`; the rest is generated."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any, TypeVar

from ..features.contacts import Contacts
from ..features.privacy import Privacy
from ..models import Contact
from .thread import LoopThread

__all__ = ["ContactsBase", "PrivacyBase", "drained"]

T = TypeVar("T")


class ContactsBase(Mapping[int, Contact]):
    """The contacts by user id: all users with whom there is a subscription on at least one side.

    The server keeps the list; it is loaded in each new session. Every change emits `ContactsChanged`, whoever made it.
    Any thread may read the list: iterating over it uses a snapshot.
    """

    def __init__(self, contacts: Contacts, loop: LoopThread) -> None:
        self._contacts = contacts
        self._loop = loop

    def __getitem__(self, user_id: int) -> Contact:
        return self._loop.call_sync(self._contacts.__getitem__, user_id)

    def __iter__(self) -> Iterator[int]:
        return iter(self._snapshot())

    def __len__(self) -> int:
        return len(self._snapshot())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {list(self)}>"

    def items(self) -> ItemsView[int, Contact]:
        """Return a snapshot of the user ids and contacts."""
        return self._snapshot().items()

    def values(self) -> ValuesView[Contact]:
        """Return a snapshot of the contacts."""
        return self._snapshot().values()

    def _snapshot(self) -> dict[int, Contact]:
        return self._loop.call_sync(dict, self._contacts)

    @property
    def limit(self) -> int | None:
        """The maximum number of contacts, default 300; `None` for no limit."""
        return self._contacts.limit

    @limit.setter
    def limit(self, value: int | None) -> None:
        self._contacts.limit = value

    # These two iterate over the list, so they read it in the loop's thread.

    @property
    def incoming(self) -> tuple[int, ...]:
        """Users whose contact request is not answered yet."""
        return self._loop.call_sync(lambda: self._contacts.incoming)

    @property
    def outgoing(self) -> tuple[int, ...]:
        """Users who have not answered a contact request yet."""
        return self._loop.call_sync(lambda: self._contacts.outgoing)


class PrivacyBase:
    def __init__(self, privacy: Privacy, loop: LoopThread) -> None:
        self._privacy = privacy
        self._loop = loop


def drained(items: T) -> T | tuple[Any, ...]:
    """Iterate in the caller's thread: a generator may block. The callee rejects what is not iterable."""
    return tuple(items) if isinstance(items, Iterable) and not isinstance(items, (str, bytes)) else items
