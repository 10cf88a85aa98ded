"""Outbound messages: stored before they are sent, and sent until the server has them."""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
import logging
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, TypeAlias

from connectycube.chat import (
    AsyncChat,
    ChatError,
    MessageBlocked,
    MessageFailed,
    MessageRefused,
    MessageTooLong,
    RecipientBlocked,
    SentMessage,
)
from connectycube.rest import ConnectyCubeError, InvalidArgument

from .calls import Tasks, text_of
from .content import Content, decode_content, encode
from .models import Stats
from .store import Replies, Reply

__all__ = ["Outbox", "Report"]

MOST_AT_ONCE: Final = 500
"""Replies that are on their way to the server at a time."""
MOST_WAITING: Final = 5000
"""Replies in memory before those who send more have to wait."""
MOST_BOUNCING: Final = 1000
"""Replies that are remembered in case the server sends them back after it has accepted them."""
PAUSE: Final = 1.0
"""Seconds before a reply is sent again that could not be."""

Report: TypeAlias = Callable[[Exception, str], None]
"""Gets the error of a reply that the server refuses, and the reply's id."""

logger = logging.getLogger("connectycube.bots")


class Outbox:
    """Sends what is stored, in order."""

    def __init__(self, chat: AsyncChat, store: Replies, stats: Stats) -> None:
        self._chat = chat
        self._store = store
        self._stats = stats
        self._waiting: list[tuple[int, Reply, Report | None, Context]] = []
        """A heap, by position. Each is sent in the context it comes from, so that it belongs to the same trace."""
        self._last = 0
        """The latest position that has been in it."""
        self._leaving: set[str] = set()
        """The ids of the replies that the server neither has nor has refused."""
        self._accepted: dict[str, Report | None] = {}
        """The latest replies that the server has."""
        self._tasks = Tasks("reply", self._over)
        self._sending = self._stopped = False
        self._pause: asyncio.TimerHandle | None = None
        self._changed: asyncio.Event | None = None
        """Made for those who wait: an event takes 700 bytes."""

    @property
    def unsent(self) -> int:
        """How many replies wait for the server."""
        return len(self._waiting) + len(self._tasks)

    async def put(self, message_id: str, content: Content, report: Report | None = None) -> SentMessage:
        """Store a message, and send it in the background. If its id was stored before, that one counts."""
        reply = Reply(id=message_id, dialog=content.dialog, content=encode(content))
        await self._until(lambda: len(self._waiting) < MOST_WAITING or self._stopped)
        stored = await self._store.put_reply(reply)
        if stored is not None:
            self.add(stored, report)
        return SentMessage(id=message_id, dialog_id=content.dialog_id, date_sent=dt.datetime.now(dt.UTC))

    async def load(self) -> None:
        """Take up what is only in the store, as an earlier process or a retry may have left it."""
        for reply in await self._store.unsent(self._last):
            if reply.position > self._last:
                self.add(reply)

    async def left(self, reply_id: str) -> None:
        """Wait until the server has a reply or has refused it."""
        await self._until(lambda: reply_id not in self._leaving)

    def start(self) -> None:
        """Begin to send: the chat is connected."""
        self._sending = True
        self._pump()

    def add(self, reply: Reply, report: Report | None = None) -> None:
        """Send a reply that is stored, after those with lower positions."""
        self._last = max(self._last, reply.position)
        self._leaving.add(reply.id)
        heapq.heappush(self._waiting, (reply.position, reply, report, copy_context()))
        self._pump()

    def _pump(self) -> None:
        while self._sending and self._pause is None and self._waiting and len(self._tasks) < MOST_AT_ONCE:
            position, reply, report, context = heapq.heappop(self._waiting)
            self._tasks.begin(self._send(position, reply, report), context)

    def _over(self) -> None:
        self._pump()
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._changed is None:
                self._changed = asyncio.Event()
            await self._changed.wait()

    async def _send(self, position: int, reply: Reply, report: Report | None) -> None:
        chat, content = self._chat, decode_content(reply.content)
        options: dict[str, Any] = {**content.options, "attachments": content.attachments, "message_id": reply.id}
        try:
            if content.answered is not None:
                await chat.reply(content.answered, content.body, **options)
            else:
                await chat.send(content.to or "", content.body, dialog_id=content.dialog_id, **options)
        except (InvalidArgument, MessageRefused, MessageTooLong) as error:
            self._leaving.discard(reply.id)
            if await self._store.fail(reply.id, text_of(error)) is not None:
                self._refused(reply.id, error, report)
        except (ChatError, ConnectyCubeError) as error:
            logger.info("%s; the bot will retry", error)
            heapq.heappush(self._waiting, (position, reply, report, copy_context()))
            # Those behind it wait as well, to keep their order.
            if self._pause is None and self._sending:
                self._pause = asyncio.get_running_loop().call_later(PAUSE, self._resume)
        else:
            self._leaving.discard(reply.id)
            self._stats.sent += 1
            self._store.sent(reply.id)
            self._accepted[reply.id] = report
            if len(self._accepted) > MOST_BOUNCING:
                del self._accepted[next(iter(self._accepted))]

    def _resume(self) -> None:
        self._pause = None
        self._pump()

    def bounced(self, event: MessageFailed | MessageBlocked) -> None:
        """Report a reply that the server sends back after it has accepted it. It is not kept: it was sent."""
        if event.message_id in self._accepted:
            report = self._accepted.pop(event.message_id)
            blocked = RecipientBlocked(event.message_id, None)
            self._refused(event.message_id, event.error if isinstance(event, MessageFailed) else blocked, report)

    def _refused(self, reply_id: str, error: Exception, report: Report | None) -> None:
        logger.warning("%s", error)
        self._stats.failed += 1
        if report is not None:
            report(error, reply_id)

    async def flush(self, timeout: float) -> None:
        """Wait until the server has everything, or the time is over."""
        try:
            async with asyncio.timeout(timeout):
                await self._until(lambda: not self.unsent)
        except TimeoutError:
            logger.warning("%d replies are still unsent and stay in the store", self.unsent)

    async def stop(self, grace: float) -> None:
        """Send nothing more. What the server has not acknowledged stays stored."""
        self._sending, self._stopped = False, True
        self._wake()
        if self._pause is not None:
            self._pause.cancel()
        await self._tasks.finish(grace)
