"""Reads missed messages from the history, over REST."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Collection
from contextlib import aclosing
from typing import Final

from connectycube.chat import AsyncChat, ChatMessage, Reconnected, Reconnecting
from connectycube.rest import AsyncConnectyCube, ConnectyCubeError, Dialog, DialogType, Message

from .content import key_of
from .intake import Intake, Lanes
from .store import Arrivals, StoreError

__all__ = ["Backfill"]

BATCH: Final = 100
"""Messages that are stored at once."""
AT_ONCE: Final = 4
"""Histories that are read at a time."""
OVERLAP: Final = dt.timedelta(minutes=5)
"""How far the clocks of senders may be behind. What is read twice is recognized."""
ACCURACY: Final = dt.timedelta(seconds=2)
"""How far the server may be ahead of the time that it has told, which is in whole seconds."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

logger = logging.getLogger("connectycube.bots")


class Backfill:
    """Reads the history of each dialog with activity since the checkpoint.

    The checkpoint is the time up to which nothing is missing. It advances while the bot is online and nothing is read.

    :param window: the furthest that it goes back.
    :ivar complete: set while nothing is missing, as far as is known.
    """

    def __init__(
        self,
        chat: AsyncChat,
        cube: AsyncConnectyCube,
        window: dt.timedelta,
        store: Arrivals,
        lanes: Lanes,
        intake: Intake,
    ) -> None:
        self._history = chat._history(cube)
        self._user_id = chat.user_id
        self._window = window
        self._store = store
        self._lanes = lanes
        self._intake = intake
        self._task: asyncio.Task[None] | None = None
        self._has_session = True
        self._unread: Collection[str] | None = None
        """The dialogs that wait for their history; `None` for all."""
        self.complete = asyncio.Event()

    def session_changed(self, event: Reconnecting | Reconnected) -> None:
        """Note that messages may be missed from now on, or that the session goes on, or read what was missed."""
        self._has_session = isinstance(event, Reconnected)
        if isinstance(event, Reconnecting):
            self.complete.clear()
            self._hold(self._unread)
        elif not event.resumed:
            self.begin()
        else:
            self._hold(self._unread)
            if self._task is None:
                self.complete.set()

    def begin(self) -> None:
        """Read what was missed before a new session."""
        self.complete.clear()
        self._has_session = True  # Attempts to make the first one may have failed before.
        self._hold(None)
        if self._task is not None:
            self._task.cancel()  # Before it can claim that nothing is missing.
        work = self._run(self._task)
        self._task = asyncio.get_running_loop().create_task(work, name="connectycube backfill")

    def _hold(self, dialogs: Collection[str] | None) -> None:
        """Hold these dialogs only, or all if `None`.

        While there is no session, hold all: what a new one brings before it is reported comes after what was missed.
        """
        self._unread = dialogs
        if dialogs is None or not self._has_session:
            self._intake.hold(None)
            self._lanes.hold()
        else:
            self._intake.hold(dialogs)
            self._lanes.hold_only(dialogs)

    async def advance(self) -> None:
        """Move the checkpoint to the present, unless something may be missing."""
        if self.complete.is_set():
            self._store.set_checkpoint(self._now())

    def _now(self) -> dt.datetime:
        """Return the present as a checkpoint, which must lie in the future by neither clock.

        Messages are dated by the server's clock, entries of the store by the local one.
        """
        return min(self._history.now() + ACCURACY, dt.datetime.now(dt.UTC))

    async def stop(self) -> None:
        """Stop reading, and let nobody wait for it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.complete.set()

    async def _run(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])
            self._hold(None)  # It may have released dialogs before it ended.
        pause = FIRST_PAUSE
        while True:
            started = self._now()
            try:
                await self._read_all(started)
                await self._store.set_checkpoint(started)
                break
            except StoreError:
                return  # The bot stops.
            except Exception as error:
                unknown = None if isinstance(error, ConnectyCubeError) else error
                logger.warning("missed messages can't be read, retrying in %g s: %s", pause, error, exc_info=unknown)
            # Other messages must not wait for ever. What is read later comes after them.
            self._hold(())
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._task = None
        if self._has_session:  # Otherwise, more may be missing already.
            self.complete.set()

    async def _read_all(self, now: dt.datetime) -> None:
        checkpoint, earliest = await self._store.checkpoint(), now - self._window
        since = earliest if checkpoint is None else max(checkpoint - OVERLAP, earliest)
        dialogs = await self._history.dialogs(since)
        if checkpoint is not None:
            # Up to the checkpoint, nothing is missing before what the store knows: a stream keeps its order, and a
            # reply counts once its acknowledgement has come through it. After that, sessions may have left gaps.
            last = {dialog.id: self._last(dialog) for dialog in dialogs}
            known = await self._store.known(list(last.values()), checkpoint)
            dialogs = [dialog for dialog in dialogs if last[dialog.id] not in known]
        waiting = {self._name(dialog) for dialog in dialogs}
        self._hold(frozenset(waiting))
        limit = asyncio.Semaphore(AT_ONCE)

        async def read(dialog: Dialog) -> None:
            async with limit:
                await self._read(dialog, since, is_new=checkpoint is None)
            waiting.discard(self._name(dialog))
            self._hold(frozenset(waiting))

        try:
            async with asyncio.TaskGroup() as group:
                for dialog in dialogs:
                    group.create_task(read(dialog))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _name(self, dialog: Dialog) -> str:
        """Return what the lanes call a dialog."""
        if dialog.type != DialogType.PRIVATE:
            return dialog.id
        return str(next((one for one in dialog.occupants_ids if one != self._user_id), dialog.last_message_user_id))

    def _last(self, dialog: Dialog) -> str:
        """Return what the store calls the last message of a dialog, a reply or another's message."""
        message_id, sender_id = dialog.last_message_id or "", dialog.last_message_user_id
        if sender_id == self._user_id:
            return message_id
        return key_of(self._history.message(Message(id=message_id, sender_id=sender_id), dialog))

    async def _read(self, dialog: Dialog, since: dt.datetime, is_new: bool) -> None:
        # If nothing was read before, what precedes the last own message was answered, unless that message is from this
        # store, by a process that ended before it had read this.
        missed: list[Message] = []
        async with aclosing(self._history.pages(dialog, since)) as pages:
            async for page in pages:
                answered: list[Message] = []
                for message in page:
                    if message.sender_id != self._user_id:
                        missed.append(message)
                    elif is_new and not await self._store.known([message.id], None):
                        answered += missed
                        missed = []
                await self._intake.put_answered(self._messages(answered, dialog))
                if not is_new:
                    await self._put_missed(missed, dialog)
                    missed = []
        for start in range(0, len(missed), BATCH):
            await self._put_missed(missed[start : start + BATCH], dialog)

    async def _put_missed(self, found: list[Message], dialog: Dialog) -> None:
        delivered = {message.id for message in found if self._user_id in message.delivered_ids}
        await self._intake.put_missed(self._messages(found, dialog), delivered)

    def _messages(self, found: list[Message], dialog: Dialog) -> list[ChatMessage]:
        return [self._history.message(message, dialog) for message in found]
