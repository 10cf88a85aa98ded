"""A running bot: from the opened store to the closed one."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field

from connectycube.chat import (
    AsyncChat,
    ChatMessage,
    MessageBlocked,
    MessageFailed,
    MessageReceived,
    Reconnected,
    Reconnecting,
)

from .account import Account
from .backfill import Backfill
from .calls import INSIDE, Calls
from .commands import Handler
from .dispatch import Dispatcher
from .handling import Handling
from .intake import Intake
from .models import Stats
from .outbox import Outbox
from .routes import Match
from .store import Store

if TYPE_CHECKING:
    from . import Bot

__all__ = ["Run"]

CHECKPOINT: Final = 5.0
"""Seconds between checkpoints."""
PRUNING: Final = 3600.0
"""Seconds after which old entries are removed from the store."""
KEPT: Final = dt.timedelta(days=1)
"""How long handled messages are kept beyond the time that a backfill goes back."""
FAILURES_KEPT: Final = dt.timedelta(days=30)
LOOK: Final = 2.0
"""Seconds between two looks at what another process may have changed in the store."""
GRACE: Final = 10.0
"""Seconds that handlers have to finish when the bot stops, and then seconds to send their replies."""

logger = logging.getLogger("connectycube.bots")


@define(kw_only=True, eq=False)
class Run:
    """A running bot: its parts, and how they belong together.

    Inbound, a message goes from the chat through the intake, the store and the dispatcher to its handling, which calls
    the handler. Outbound, it goes from a context or the bot through the outbox and the store to the chat.

    :ivar is_set_up: whether its parts exist.
    :ivar stopping: set to stop it.
    :ivar stopped: set when it has stopped.
    """

    bot: Bot
    account: Account
    store: Store
    find: Callable[[ChatMessage], Match | None]
    errors: Sequence[Handler]
    listeners: Sequence[tuple[tuple[type[Any], ...], Handler]]
    jobs: Sequence[tuple[float, Handler]]
    catch_up: dt.timedelta
    concurrency: int
    attempts: int
    handler_timeout: float | None
    counted: Stats
    stopping: asyncio.Event = field(factory=asyncio.Event)
    stopped: asyncio.Event = field(factory=asyncio.Event)
    chat: AsyncChat = field(init=False)
    outbox: Outbox = field(init=False)
    is_set_up: bool = field(default=False, init=False)
    _calls: Calls = field(init=False)
    _dispatcher: Dispatcher = field(init=False)
    _backfill: Backfill | None = field(init=False)

    @property
    def stats(self) -> Stats:
        """What was done, and what waits."""
        dispatcher, outbox = self._dispatcher, self.outbox
        return evolve(self.counted, running=dispatcher.running, waiting=dispatcher.waiting, unsent=outbox.unsent)

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Open the store, log in, connect and work, and put everything away afterwards."""
        async with AsyncExitStack() as stack:
            await self.store.open()
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.account.close)
            self.chat = await self.account.open()
            self._set_up(stack)
            stack.push_async_callback(self._finish)
            await self._begin()
            yield

    def _set_up(self, stack: AsyncExitStack) -> None:
        chat, store, stats, cube = self.chat, self.store, self.counted, self.account.cube
        self._calls = Calls(stats)
        self.outbox = Outbox(chat, store, stats)
        handling = Handling(
            self.bot, self.find, self.errors, store=store, outbox=self.outbox, calls=self._calls, stats=stats,
            attempts=self.attempts, timeout=self.handler_timeout,
        )  # fmt: skip
        self._dispatcher = Dispatcher(handling.handle, store, self.concurrency)
        intake = Intake(chat, store, stats, self._dispatcher)
        self._backfill = None
        if cube is not None:
            self._backfill = Backfill(chat, cube, self.catch_up, store, self._dispatcher, intake)

        def on(types: tuple[type[Any], ...], call: Callable[[Any], Any]) -> None:
            chat.on(*types)(call)
            stack.callback(chat.off, call)

        on((MessageReceived,), intake.received)
        on((Reconnecting, Reconnected), self._session_changed)
        on((MessageFailed, MessageBlocked), self.outbox.bounced)
        for types, listener in self.listeners:
            on(types, _inside(listener))
        self.is_set_up = True

    async def _begin(self) -> None:
        """Take up what an earlier process left, and connect."""
        if not self.store.durable:
            logger.warning(
                "the bot keeps messages in memory, and loses them when the process ends: pass store= to keep them"
            )
        if self._backfill is None:
            logger.warning("the bot has no REST client, and can't read missed messages from the history")
        self._dispatcher.hold()
        await self._load()
        await self.chat.connect()
        self.outbox.start()
        self._calls.watch()
        if self._backfill is None:
            self._dispatcher.hold_only()
        else:
            self._backfill.begin()
            self._calls.repeat(CHECKPOINT, self._backfill.advance)
        self._calls.repeat(PRUNING, self._prune)
        self._calls.repeat(LOOK, self._look)
        for seconds, job in self.jobs:
            self._calls.repeat(seconds, job)

    async def caught_up(self) -> None:
        """Wait until everything that was missed is stored."""
        if self._backfill is not None:
            await self._backfill.wait()

    def _session_changed(self, event: Reconnecting | Reconnected) -> None:
        if self._backfill is None:
            return
        if isinstance(event, Reconnecting):
            self._backfill.lost()
        elif event.resumed:
            self._backfill.resumed()
        else:
            self._backfill.begin()

    async def _prune(self) -> None:
        now = dt.datetime.now(dt.UTC)
        await self.store.prune(now - self.catch_up - KEPT, now - FAILURES_KEPT)

    async def _look(self) -> None:
        """Take up what another process, such as `connectycube-bots retry`, lets wait again."""
        if await self.store.changed():
            await self._load()

    def retry(self, failure_id: str) -> None:
        """Handle a failed message once more, or send a failed reply once more, in the background."""
        self.store.retry(failure_id)
        self._calls.begin(self._load())

    async def _load(self) -> None:
        """Take up what is only in the store."""
        await self._dispatcher.load()
        await self.outbox.load()

    async def _finish(self) -> None:
        """Let handlers finish, send what is stored, and disconnect."""
        await self._calls.stop_jobs()
        await self._dispatcher.stop(GRACE)
        await self._calls.stop(GRACE)
        if self.chat.online:
            await self.outbox.flush(GRACE)
        if self._backfill is not None:
            await self._backfill.advance()
            await self._backfill.stop()
        await self.chat.disconnect(timeout=GRACE)
        await self.outbox.stop(GRACE)


def _inside(call: Handler) -> Handler:
    """Return a handler of events that the bot does not wait for if it stops the bot."""

    @wraps(call)
    async def handler(event: Any) -> None:
        INSIDE.set(True)
        await call(event)

    return handler
