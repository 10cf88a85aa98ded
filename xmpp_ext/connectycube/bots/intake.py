"""Inbound messages: stored before they are acknowledged, marked as delivered and handled."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import compress
from typing import Protocol

from connectycube.chat import AsyncChat, ChatMessage, MessageReceived

from .content import dialog_of, encode, key_of
from .models import Stats
from .store import Arrivals, Entry, StoreError

__all__ = ["Intake", "Lanes"]


class Lanes(Protocol):
    """Takes what was stored, dialog by dialog, as the `Dispatcher` does."""

    def feed(self, entries: Iterable[Entry]) -> None:
        """Add messages that were stored just now, in order."""
        ...

    def hold(self) -> None:
        """Leave the messages that arrive from now on in the store, until their dialog is released."""
        ...

    def hold_only(self, dialogs: Collection[str] = ()) -> None:
        """Release all dialogs but these."""
        ...

    def keys(self, dialog: str) -> set[str]:
        """Return the keys of the messages of a dialog that can't move behind others any more."""
        ...


class Intake:
    """Stores what the chat receives, and what was missed. What is new goes on to the lanes."""

    def __init__(self, chat: AsyncChat, store: Arrivals, stats: Stats, lanes: Lanes) -> None:
        self._user_id = chat.user_id
        self._store = store
        self._stats = stats
        self._lanes = lanes
        self._read: list[ChatMessage] = []
        """What came with the read from the socket that is in progress."""
        self._storing = 0
        self._held: Collection[str] | None = ()
        self._behind: dict[str, dict[str, bool]] = {}
        """The keys of the messages that arrived while their dialog was held, and whether no page has had them yet."""
        self._mark = chat._hold(self._keep)

    def received(self, event: MessageReceived) -> None:
        """Note a message. It belongs to the read that is in progress."""
        if event.message.sender_id != self._user_id:
            self._read.append(event.message)

    def _keep(self, done: Callable[[], None]) -> None:
        """Store the messages of a read, and call a function afterwards. The order of the reads is kept."""
        messages, self._read = self._read, []
        if not messages and not self._storing:
            done()
            return
        entries = [_entry(message) for message in messages]
        for entry in entries:
            if self._held is None or entry.dialog in self._held:
                self._behind.setdefault(entry.dialog, {}).setdefault(entry.key, True)
        self._storing += 1
        self._store.put(entries).add_done_callback(partial(self._kept, messages, entries, done))

    def _kept(
        self, messages: list[ChatMessage], entries: list[Entry], done: Callable[[], None], stored: Future[list[bool]]
    ) -> None:
        self._storing -= 1
        if isinstance(stored.exception(), StoreError):
            return  # The bot stops. The server has not been told that they arrived.
        new = stored.result()
        done()
        for message in messages:
            self._mark(message)
        self._stats.duplicates += new.count(False)
        self._accept(entries, new)

    def _accept(self, entries: list[Entry], new: list[bool]) -> None:
        self._stats.received += new.count(True)
        self._lanes.feed(compress(entries, new))

    def hold(self, dialogs: Collection[str] | None) -> None:
        """Note the dialogs, `None` for all, in which missed messages go before those that arrive from now on."""
        self._held = dialogs
        if dialogs is not None:
            self._behind = {dialog: found for dialog, found in self._behind.items() if dialog in dialogs}

    async def put_missed(self, messages: Sequence[ChatMessage], delivered: Collection[str] = ()) -> None:
        """Store missed messages of a dialog. Those that arrived meanwhile and are not in memory yet move behind them.

        :param delivered: the ids of those that are marked as delivered already.
        """
        entries = [_entry(message, from_history=True) for message in messages]
        if not entries:
            return
        dialog, keys = entries[0].dialog, [entry.key for entry in entries]
        # What is on this page gets its place now. The rest is newer, or on a later page.
        behind = self._behind.setdefault(dialog, {})
        behind.update(dict.fromkeys(keys, False))
        fixed = self._lanes.keys(dialog)
        moved = [key for key in (*keys, *(key for key, moves in behind.items() if moves)) if key not in fixed]
        new = await self._store.put(entries, moved)
        self._stats.backfilled += new.count(True)
        self._accept(entries, new)
        for message in compress(messages, new):
            if message.id not in delivered:
                self._mark(message)

    async def put_answered(self, messages: Sequence[ChatMessage]) -> None:
        """Store messages as handled, so that a later look at the history does not find them."""
        if messages:
            await self._store.put_answered([_entry(message, from_history=True) for message in messages])


def _entry(message: ChatMessage, from_history: bool = False) -> Entry:
    return Entry(key=key_of(message), dialog=dialog_of(message), message=encode(message), from_history=from_history)
