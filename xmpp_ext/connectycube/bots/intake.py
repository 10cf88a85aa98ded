"""Inbound messages: stored before they are acknowledged, marked as delivered and handled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from connectycube.chat import AsyncChat, ChatError, ChatMessage, MessageReceived
from connectycube.rest import InvalidArgument

from .content import dialog_of, encode, key_of
from .dispatch import Dispatcher, Job
from .models import Stats
from .persistence import Persistence
from .store import Entry

__all__ = ["Intake", "Marks"]

logger = logging.getLogger("connectycube.bots")

MOST_MARKS: Final = 1000
"""Delivered marks on their way."""


class Marks:
    """Sends delivered marks in the background. One that is lost is sent again only if its message comes again."""

    def __init__(self, chat: AsyncChat) -> None:
        self._chat = chat
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, message: ChatMessage) -> None:
        """Mark a message as delivered if its sender wants that, and its dialog is known."""
        if not message.markable or message.id is None or message.sender_id is None or message.dialog_id is None:
            return
        if len(self._tasks) >= MOST_MARKS:
            logger.debug("too many delivered marks are pending: %s gets none", message.id)
            return
        task = asyncio.get_running_loop().create_task(self._send(message), name="connectycube mark")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, message: ChatMessage) -> None:
        try:
            await self._chat.mark_delivered(message)
        except (ChatError, InvalidArgument) as error:
            logger.debug("message %s is not marked as delivered: %s", message.id, error)

    async def stop(self) -> None:
        """Give up those that are on their way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class Intake:
    """Stores what the chat receives and the history has, and hands on what is new."""

    def __init__(
        self,
        user_id: int,
        persistence: Persistence,
        stats: Stats,
        marks: Marks,
        dispatcher: Dispatcher,
    ) -> None:
        self._user_id = user_id
        self._persistence = persistence
        self._stats = stats
        self._marks = marks
        self._dispatcher = dispatcher
        self._staged: list[tuple[Entry, ChatMessage]] = []
        self._reads: list[tuple[list[tuple[Entry, ChatMessage]], Callable[[], None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._storing: set[str] = set()
        """The keys of messages that are not stored yet."""

    def received(self, event: MessageReceived) -> None:
        """Note a message. It belongs to the read that is in progress."""
        message = event.message
        if message.sender_id == self._user_id:
            return
        key = key_of(message)
        self._staged.append((Entry(key=key, dialog=dialog_of(message), message=encode(message)), message))
        self._storing.add(key)

    def keep(self, done: Callable[[], None]) -> None:
        """Store the messages of a read from the socket, and call a function afterwards."""
        read, self._staged = self._staged, []
        if not read and self._task is None:
            done()
            return
        self._reads.append((read, done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._store(), name="connectycube intake")

    async def _store(self) -> None:
        try:
            while self._reads:
                reads, self._reads = self._reads, []
                await self._store_reads(reads)
        finally:
            self._task = None

    async def _store_reads(self, reads: list[tuple[list[tuple[Entry, ChatMessage]], Callable[[], None]]]) -> None:
        found = [one for read, _ in reads for one in read]
        positions: list[int | None] = []
        if found:
            put = partial(self._persistence.store.put, [entry for entry, _ in found])
            positions = await self._persistence.insist(put)
        for _, done in reads:
            done()
        new = []
        for (entry, message), position in zip(found, positions, strict=True):
            self._storing.discard(entry.key)
            self._marks.send(message)
            if position is None:
                self._stats.duplicates += 1
            else:
                self._stats.received += 1
                new.append(Job(entry.key, entry.dialog, position, message, from_history=False))
        self._dispatcher.feed(new)

    async def put_missed(self, messages: Sequence[ChatMessage], delivered: Collection[str] = ()) -> None:
        """Store messages of a dialog that were missed, in this order. Their live copies move behind what is older.

        :param delivered: ids of messages that are marked as delivered already.
        """
        entries = [_missed(message) for message in messages]
        moved = frozenset(
            entry.key for entry in entries if self._dispatcher.is_held(entry.key) or entry.key in self._storing
        )
        positions = await self._persistence.insist(partial(self._persistence.store.put, entries, moved))
        new = []
        for message, entry, position in zip(messages, entries, positions, strict=True):
            if position is None:
                continue
            if self._dispatcher.is_held(entry.key):
                self._dispatcher.move(entry.key, position)
                continue
            self._stats.received += 1
            self._stats.backfilled += 1
            if message.id not in delivered:
                self._marks.send(message)
            new.append(Job(entry.key, entry.dialog, position, message, from_history=True))
        self._dispatcher.feed(new)

    async def put_answered(self, messages: Sequence[ChatMessage]) -> None:
        """Note messages as handled, so that a later look at the same history does not find them."""
        store, entries = self._persistence.store, [_missed(message) for message in messages]
        positions = await self._persistence.insist(partial(store.put, entries))
        for entry, position in zip(entries, positions, strict=True):
            if position is not None:
                await self._persistence.insist(partial(store.finish, entry.key))

    async def stop(self) -> None:
        """Give up what is not stored yet: the server has not been told that it arrived."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def _missed(message: ChatMessage) -> Entry:
    return Entry(key=key_of(message), dialog=dialog_of(message), message=encode(message), from_history=True)
