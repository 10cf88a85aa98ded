"""Outbound messages: stored before they are sent, and sent until the server has them."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from connectycube.chat import (
    AsyncChat,
    ChatError,
    MessageBlocked,
    MessageFailed,
    MessageRefused,
    MessageTooLong,
    RecipientBlocked,
)
from connectycube.rest import ConnectyCubeError, InvalidArgument

from .content import Content, decode_content, encode
from .models import Stats
from .persistence import Persistence
from .store import Failure, Reply

__all__ = ["Outbox"]

MOST_AT_ONCE: Final = 500
"""Replies that are on their way to the server at a time."""
MOST_WAITING: Final = 5000
"""Replies in memory before those who send more have to wait."""
MOST_BOUNCING: Final = 1000
"""Replies that are remembered in case the server sends them back after it has accepted them."""
PAUSE: Final = 1.0
"""Seconds before a reply is sent again that could not be."""

logger = logging.getLogger("connectycube.bots")


class Outbox:
    """Sends what is stored, in order.

    :param refused: called with the id of each reply that is refused, its failure if kept, the error and its origin.
    """

    def __init__(
        self,
        chat: AsyncChat,
        persistence: Persistence,
        stats: Stats,
        refused: Callable[[str, Failure | None, Exception, object], None],
    ) -> None:
        self._chat = chat
        self._persistence = persistence
        self._stats = stats
        self._refused = refused
        self._waiting: list[tuple[int, Reply]] = []
        self._ids: dict[str, asyncio.Event] = {}
        """The ids of the replies that wait for the server, and what is set when they no longer do."""
        self._origins: dict[str, object] = {}
        self._acknowledged: dict[str, object] = {}
        """The latest replies that the server has, and their origins."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._pause: asyncio.TimerHandle | None = None
        self._stopped = False
        self._started = False

    @property
    def unsent(self) -> int:
        """How many replies wait for the server."""
        return len(self._waiting) + len(self._tasks)

    async def load(self) -> None:
        """Take up what is stored and not sent, as another process may have left it."""
        for reply in await self._persistence.store.unsent():
            if reply.id not in self._ids:
                self.add(reply)

    async def left(self, reply_id: str) -> None:
        """Wait until the server has a reply or has refused it."""
        waiting = self._ids.get(reply_id)
        if waiting is not None:
            await waiting.wait()

    def start(self) -> None:
        """Begin to send: the chat is connected."""
        self._started = True
        self._pump()

    async def put(self, reply_id: str, content: Content, origin: object = None) -> None:
        """Store a reply, and send it in the background. If its id was stored before, do nothing.

        :param origin: what `refused` gets.
        :raises StoreError: if the bot stops before it is stored.
        """
        reply = Reply(id=reply_id, dialog=content.dialog, content=encode(content))
        await self._room.wait()
        stored = await self._persistence.insist(partial(self._persistence.store.put_reply, reply))
        if stored is not None:
            if origin is not None:
                self._origins[reply_id] = origin
            self.add(stored)

    def add(self, reply: Reply) -> None:
        """Send a reply that is stored."""
        self._ids.setdefault(reply.id, asyncio.Event())
        heapq.heappush(self._waiting, (reply.position, reply))
        self._empty.clear()
        if len(self._waiting) >= MOST_WAITING:
            self._room.clear()
        self._pump()

    def _pump(self) -> None:
        while self._waiting and len(self._tasks) < MOST_AT_ONCE and self._pause is None:
            if self._stopped or not self._started:
                return
            _, reply = heapq.heappop(self._waiting)
            task = asyncio.get_running_loop().create_task(self._send(reply), name=f"connectycube reply {reply.id}")
            self._tasks.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if len(self._waiting) < MOST_WAITING // 2:
            self._room.set()
        self._pump()
        if not self._waiting and not self._tasks:
            self._empty.set()
        if not task.cancelled():
            task.result()  # An error is a bug of ours: the loop reports it.

    async def _send(self, reply: Reply) -> None:
        content = decode_content(reply.content)
        chat = self._chat
        try:
            if content.to is None:
                await chat.reply(content.answered, content.body, message_id=reply.id, **content.options)
            else:
                await chat.send(
                    content.to, content.body, dialog_id=content.dialog_id, message_id=reply.id, **content.options
                )
        except (InvalidArgument, MessageRefused, MessageTooLong) as error:
            self._persistence.later(self._fail(reply, error))
        except (ChatError, ConnectyCubeError) as error:
            self._postpone(reply, error)
        else:
            self._stats.sent += 1
            self._acknowledged[reply.id] = self._origins.pop(reply.id, None)
            if len(self._acknowledged) > MOST_BOUNCING:
                del self._acknowledged[next(iter(self._acknowledged))]
            self._persistence.later(self._note_sent(reply))

    async def _note_sent(self, reply: Reply) -> None:
        await self._persistence.insist(partial(self._persistence.store.sent, reply.id))
        self._forget(reply)

    async def _fail(self, reply: Reply, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        failure = await self._persistence.insist(partial(self._persistence.store.fail_reply, reply.id, text))
        self._forget(reply)
        origin = self._origins.pop(reply.id, None)
        if failure is not None:
            self._refused(reply.id, failure, error, origin)

    def _forget(self, reply: Reply) -> None:
        if (left := self._ids.pop(reply.id, None)) is not None:
            left.set()

    def bounced(self, event: MessageFailed | MessageBlocked) -> None:
        """Report a reply that the server sends back after it has accepted it. It is not kept: it was sent."""
        if event.message_id not in self._acknowledged:
            return
        origin = self._acknowledged.pop(event.message_id)
        error = event.error if isinstance(event, MessageFailed) else RecipientBlocked(event.message_id, None)
        self._refused(event.message_id, None, error, origin)

    def _postpone(self, reply: Reply, error: Exception) -> None:
        """Send a reply later, and those behind it after it."""
        logger.info("%s; the bot will retry", error)
        heapq.heappush(self._waiting, (reply.position, reply))
        if self._pause is None and not self._stopped:
            self._pause = asyncio.get_running_loop().call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._pump()

    async def flush(self, timeout: float) -> None:
        """Wait until the server has everything, or the time is over."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            logger.warning("%d replies are still unsent and stay in the store", self.unsent)

    async def stop(self) -> None:
        """Send nothing more. What the server has not acknowledged stays stored."""
        self._stopped = True
        self._room.set()
        if self._pause is not None:
            self._pause.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
