"""Reads missed messages from the history, over REST."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from functools import partial
from typing import Any, Final

from connectycube.chat import Attachment, ChatMessage
from connectycube.rest import AsyncConnectyCube, ConnectyCubeError, Dialog, DialogType, Message

from .content import dialog_of, encode, key_of
from .dispatch import Dispatcher, Job
from .errors import StoreError
from .intake import Intake, Marks
from .models import Stats
from .persistence import Persistence
from .store import Entry

__all__ = ["Backfill"]

PAGE: Final = 100
"""Entries on a page."""
AT_ONCE: Final = 4
"""Histories that are read at a time."""
OVERLAP: Final = dt.timedelta(minutes=5)
"""How far the clocks of senders may be behind. What is read twice is recognized."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

logger = logging.getLogger("connectycube.bots")


class Backfill:
    """Reads the history of each dialog with activity since the checkpoint.

    The checkpoint is the time up to which nothing is missing. It advances while the bot is online and nothing is read.

    :param window: the furthest that it goes back.
    """

    def __init__(
        self,
        cube: AsyncConnectyCube,
        user_id: int,
        window: dt.timedelta,
        persistence: Persistence,
        dispatcher: Dispatcher,
        intake: Intake,
        marks: Marks,
        stats: Stats,
    ) -> None:
        self._cube = cube
        self._user_id = user_id
        self._window = window
        self._persistence = persistence
        self._dispatcher = dispatcher
        self._intake = intake
        self._marks = marks
        self._stats = stats
        self._task: asyncio.Task[None] | None = None
        self._complete = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, as far as is known."""
        return self._complete.is_set()

    def lost(self) -> None:
        """Note that the connection is lost: from now on, messages may be missed."""
        self._complete.clear()

    def resumed(self) -> None:
        """Note that the session goes on, and the server sends what was missed."""
        if self._task is None:
            self._complete.set()

    def begin(self) -> None:
        """Read what was missed before a new session."""
        self._complete.clear()
        self._dispatcher.hold()
        work = self._run(self._task)
        self._task = asyncio.get_running_loop().create_task(work, name="connectycube backfill")

    async def wait(self) -> None:
        """Wait until nothing is missing."""
        await self._complete.wait()

    async def advance(self) -> None:
        """Move the checkpoint to the present, unless something may be missing."""
        if self.complete:
            now = dt.datetime.now(dt.UTC)
            await self._persistence.insist(partial(self._persistence.store.set_checkpoint, now))

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            previous.cancel()
            await asyncio.wait([previous])
            self._dispatcher.hold()  # It may have released dialogs before it ended.
        pause = FIRST_PAUSE
        while True:
            started = dt.datetime.now(dt.UTC)
            try:
                await self._read_all(started)
                await self._persistence.insist(partial(self._persistence.store.set_checkpoint, started))
                break
            except StoreError:
                return  # The bot stops.
            except Exception as error:
                known = isinstance(error, ConnectyCubeError)
                logger.warning(
                    "missed messages can't be read, retrying in %g s: %s", pause, error,
                    exc_info=None if known else error,
                )  # fmt: skip
            # Other messages must not wait for ever. What is read later comes after them.
            self._dispatcher.hold_only()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._task = None
        self._complete.set()

    async def _read_all(self, now: dt.datetime) -> None:
        checkpoint = await self._persistence.insist(self._persistence.store.checkpoint)
        earliest = now - self._window
        since = earliest if checkpoint is None else max(checkpoint - OVERLAP, earliest)
        dialogs = await self._dialogs(since, checkpoint)
        waiting = {_name(dialog, self._user_id) for dialog in dialogs}
        self._dispatcher.hold_only(frozenset(waiting))
        limit = asyncio.Semaphore(AT_ONCE)

        async def read(dialog: Dialog) -> None:
            async with limit:
                await self._read(dialog, since, is_new=checkpoint is None)
            waiting.discard(_name(dialog, self._user_id))
            self._dispatcher.hold_only(frozenset(waiting))

        try:
            async with asyncio.TaskGroup() as group:
                for dialog in dialogs:
                    group.create_task(read(dialog))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _dialogs(self, since: dt.datetime, checkpoint: dt.datetime | None) -> list[Dialog]:
        """Return the dialogs that may have messages which the store does not know.

        Up to the checkpoint, nothing is missing before what the store knows: a stream keeps its order, and a reply
        counts once its acknowledgement has come through it. After the checkpoint, sessions may have left gaps.
        """
        active = [
            dialog
            async for dialog in self._cube.dialogs.list(
                # A message that arrives meanwhile must not move its dialog to a page that was read already.
                filters={"last_message_date_sent": {"gte": since}},
                sort_asc="created_at",
                limit=PAGE,
            )
            if dialog.last_message_id is not None
        ]
        last = {dialog.id: self._last(dialog) for dialog in active}
        if checkpoint is None:
            return active
        known = await self._persistence.insist(partial(self._persistence.store.known, list(last.values()), checkpoint))
        return [dialog for dialog in active if last[dialog.id] not in known]

    def _last(self, dialog: Dialog) -> str:
        """Return what the store calls the last message of a dialog, a reply or another's message."""
        message_id, sender_id = dialog.last_message_id or "", dialog.last_message_user_id
        if sender_id == self._user_id:
            return message_id
        private = dialog.type == DialogType.PRIVATE
        return key_of(_message(Message(id=message_id, sender_id=sender_id), dialog.id, private))

    async def _read(self, dialog: Dialog, since: dt.datetime, is_new: bool) -> None:
        """Read the history of a dialog.

        :param is_new: whether nothing was read before: what precedes an own message that is not from this store was
            answered then.
        """
        page: list[Message] = []
        answered: list[Message] = []
        async for message in self._cube.messages.list(
            chat_dialog_id=dialog.id,
            filters={"date_sent": {"gte": since}},
            sort_asc="date_sent",
            limit=PAGE,
            mark_as_read=False,
        ):
            if message.sender_id != self._user_id:
                page.append(message)
            elif is_new and not await self._is_reply(message.id):
                answered += page
                page.clear()
            if len(page) == PAGE and not is_new:
                await self._store(page, dialog)
                page.clear()
        await self._skip(answered, dialog)
        for start in range(0, len(page), PAGE):
            await self._store(page[start : start + PAGE], dialog)

    async def _is_reply(self, message_id: str) -> bool:
        """Return whether the store has an own message: an earlier process may have ended before it had read this."""
        return bool(await self._persistence.insist(partial(self._persistence.store.known, [message_id], None)))

    async def _skip(self, found: list[Message], dialog: Dialog) -> None:
        """Note messages as handled, so that a later look at the same history does not find them."""
        store = self._persistence.store
        _, entries, positions = await self._put(found, dialog, move=False)
        for entry, position in zip(entries, positions, strict=True):
            if position is not None:
                await self._persistence.insist(partial(store.finish, entry.key))

    async def _put(
        self, found: list[Message], dialog: Dialog, move: bool
    ) -> tuple[list[ChatMessage], list[Entry], list[int | None]]:
        private = dialog.type == DialogType.PRIVATE
        messages = [_message(message, dialog.id, private) for message in found]
        entries = [
            Entry(key=key_of(message), dialog=dialog_of(message), message=encode(message), from_history=True)
            for message in messages
        ]
        moved = frozenset(entry.key for entry in entries if move and self._is_waiting(entry.key))
        put = partial(self._persistence.store.put, entries, moved)
        return messages, entries, await self._persistence.insist(put)

    def _is_waiting(self, key: str) -> bool:
        """Return whether a message came over the chat while the history is read, and is not handled yet."""
        return self._dispatcher.is_held(key) or key in self._intake.storing

    async def _store(self, found: list[Message], dialog: Dialog) -> None:
        """Store messages, and hand on those that are new. Their live copies move behind what is older."""
        messages, entries, positions = await self._put(found, dialog, move=True)
        new = []
        for origin, message, entry, position in zip(found, messages, entries, positions, strict=True):
            if position is None:
                continue
            if self._dispatcher.is_held(entry.key):
                self._dispatcher.move(entry.key, position)
                continue
            self._stats.received += 1
            self._stats.backfilled += 1
            if self._user_id not in origin.delivered_ids:
                self._marks.send(message)
            new.append(Job(entry.key, entry.dialog, position, message, from_history=True))
        self._dispatcher.feed(new)


def _name(dialog: Dialog, user_id: int) -> str:
    """Return what the dispatcher calls a dialog."""
    if dialog.type != DialogType.PRIVATE:
        return dialog.id
    return str(next((one for one in dialog.occupants_ids if one != user_id), dialog.last_message_user_id))


def _message(message: Message, dialog_id: str, private: bool) -> ChatMessage:
    """Return a message of the history as the chat would have brought it."""
    return ChatMessage(
        id=message.id,
        body=message.message or "",
        sender_id=message.sender_id,
        recipient_id=(message.recipient_id or None) if private else None,
        dialog_id=dialog_id,
        type="chat" if private else "groupchat",
        date_sent=message.date_sent,
        attachments=tuple(_attachment(one.to_dict()) for one in message.attachments),
        extra={name: str(value) for name, value in message.extra.items()},
        markable=True,  # The history does not tell, and official clients want marks for all.
    )


def _attachment(fields: dict[str, Any]) -> Attachment:
    named = {name.replace("-", "_"): value for name, value in fields.items()}
    known = {name: value for name, value in named.items() if name in _FIELDS}
    return Attachment(**known)


_FIELDS: Final = frozenset(
    ("type", "id", "uid", "url", "data", "size", "width", "height", "duration", "content_type", "name", "latitude",
     "longitude")
)  # fmt: skip
