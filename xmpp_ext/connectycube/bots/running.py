"""A running bot: from the opened store to the closed one."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, Final

from attrs import evolve, field, frozen

from connectycube.chat import MessageBlocked, MessageFailed, MessageReceived, Reconnected, Reconnecting, State

from .account import Account
from .backfill import Backfill
from .context import RunningBot, Tools
from .dispatch import Dispatcher
from .handling import INSIDE, Failures, Handling
from .intake import Intake, Marks
from .jobs import Jobs, Watch
from .models import Stats
from .outbox import Outbox
from .persistence import Persistence
from .routes import Routes
from .store import Failure, Reply, Store

__all__ = ["Plan", "Run"]

CHECKPOINT: Final = 5.0
"""Seconds between checkpoints."""
PRUNING: Final = 3600.0
"""Seconds after which old entries are removed from the store."""
KEPT: Final = dt.timedelta(days=1)
"""How long handled messages are kept beyond the time that a backfill goes back."""
FAILURES_KEPT: Final = dt.timedelta(days=30)
LOOK: Final = 2.0
"""Seconds between two looks at what another process may have changed in the store."""

logger = logging.getLogger("connectycube.bots")


@frozen(kw_only=True)
class Plan:
    """What a bot was told before it starts."""

    account: Account
    store: Store
    catch_up: dt.timedelta
    concurrency: int
    attempts: int
    handler_timeout: float | None
    routes: Routes
    listeners: list[tuple[tuple[type[Any], ...], Callable[[Any], Awaitable[object]]]] = field(factory=list)
    jobs: list[tuple[float, Callable[[], Awaitable[object]]]] = field(factory=list)


class Run:
    """A running bot.

    :ivar chat: its chat.
    """

    def __init__(self, plan: Plan, bot: RunningBot, stats: Stats, failures: Failures) -> None:
        self._plan = plan
        self._bot = bot
        self._stats = stats
        self._failures = failures
        self._persistence = Persistence(plan.store)

    @property
    def stats(self) -> Stats:
        """What was done, and what waits."""
        dispatcher, outbox = self._dispatcher, self.outbox
        return evolve(self._stats, running=dispatcher.running, waiting=dispatcher.waiting, unsent=outbox.unsent)

    async def prepare(self) -> None:
        """Open the store, and log in.

        :raises StoreError: if the store can't be used.
        :raises ConnectyCubeError: if the login fails.
        """
        await self._plan.store.open()
        try:
            await self._set_up()
        except BaseException:
            await self._plan.account.close()
            await self._plan.store.close()
            raise

    async def open(self) -> None:
        """Connect the chat, and begin to work.

        :raises ConnectyCubeError: if the chat can't be connected.
        """
        try:
            await self._begin()
        except BaseException:
            await self.close(0)
            raise

    async def _set_up(self) -> None:
        plan, persistence, stats = self._plan, self._persistence, self._stats
        await self._failures.load(persistence)
        self.chat = chat = await plan.account.open()
        cube = plan.account.cube
        self.outbox = Outbox(chat, persistence, stats, self._refused)
        tools = Tools(self._bot, chat, cube, self.outbox)
        self._handling = Handling(
            plan.routes, tools, persistence, stats, self._failures, plan.attempts, plan.handler_timeout
        )
        self._dispatcher = Dispatcher(self._handling.handle, persistence, plan.concurrency)
        self._marks = Marks(chat)
        self._intake = Intake(chat.user_id, persistence, stats, self._marks, self._dispatcher)
        self._backfill = (
            None if cube is None else Backfill(chat, cube, plan.catch_up, persistence, self._dispatcher, self._intake)
        )
        self._jobs = Jobs(self._handling)
        self._watch = Watch(self._handling, stats)
        self._handlers: list[Callable[[Any], Any]] = []

    async def _begin(self) -> None:
        """Take up what an earlier process left, then connect."""
        plan, chat = self._plan, self.chat
        if not plan.store.durable:
            logger.warning(
                "the bot keeps messages in memory, and loses them when the process ends: pass store= to keep them"
            )
        if self._backfill is None:
            logger.warning("the bot has no REST client, and can't read missed messages from the history")
        self._on((MessageReceived,), self._intake.received)
        self._on((Reconnecting,), self._lost)
        self._on((Reconnected,), self._back)
        self._on((MessageFailed, MessageBlocked), self.outbox.bounced)
        for types, call in plan.listeners:
            self._on(types, _inside(call))
        chat._hold(self._intake.keep)
        self._dispatcher.hold()
        await self._dispatcher.start()
        await self.outbox.load()
        await chat.connect()
        self.outbox.start()
        self._watch.start()
        if self._backfill is None:
            self._dispatcher.hold_only()
        else:
            self._backfill.begin()
            self._jobs.start(CHECKPOINT, self._backfill.advance)
        self._jobs.start(PRUNING, self._prune)
        self._jobs.start(LOOK, self._look)
        for seconds, job in plan.jobs:
            self._jobs.start(seconds, job)

    def _on(self, types: tuple[type[Any], ...], call: Callable[[Any], Any]) -> None:
        self.chat.on(*types)(call)
        self._handlers.append(call)

    async def caught_up(self) -> None:
        """Wait until everything that was missed is stored."""
        if self._backfill is not None:
            await self._backfill.wait()

    def check(self) -> None:
        """Raise the `ConnectError` that has ended the chat permanently, if any."""
        state = self.chat.state
        if state.name is State.OFFLINE and state.error is not None:
            raise state.error

    # -- events of the chat

    def _lost(self, _: Reconnecting) -> None:
        if self._backfill is not None:
            self._backfill.lost()

    def _back(self, event: Reconnected) -> None:
        if self._backfill is None:
            return
        if event.resumed:
            self._backfill.resumed()
        else:
            self._backfill.begin()

    def _refused(self, reply_id: str, failure: Failure | None, error: Exception, origin: object) -> None:
        self._handling.refused(reply_id, failure, error, origin)

    async def _prune(self) -> None:
        now = dt.datetime.now(dt.UTC)
        before = now - self._plan.catch_up - KEPT
        store = self._plan.store
        await self._persistence.insist(partial(store.prune, before, now - FAILURES_KEPT))

    async def _look(self) -> None:
        """Take up what another process, such as `connectycube-bots retry`, lets wait again."""
        if await self._persistence.insist(self._plan.store.changed):
            await self._failures.load(self._persistence)
            await self._dispatcher.load()
            await self.outbox.load()

    # -- failures

    def retry(self, failure_id: str) -> None:
        """Handle a failed message once more, or send a failed reply once more, in the background."""
        self._persistence.later(self._retry(failure_id))

    async def _retry(self, failure_id: str) -> None:
        found = await self._persistence.insist(partial(self._plan.store.retry, failure_id))
        if isinstance(found, Reply):
            self.outbox.add(found)
        elif found is not None:
            self._dispatcher.feed([self._dispatcher.job(found)])

    # -- the end

    async def close(self, grace: float) -> None:
        """Let handlers finish, send what is stored, disconnect and close the store.

        :param grace: seconds for handlers, and then for replies.
        """
        try:
            await self._finish(grace)
        finally:
            for call in self._handlers:
                self.chat.off(call)
            await self._plan.account.close()
            await self._plan.store.close()

    async def _finish(self, grace: float) -> None:
        self._watch.stop()
        await self._jobs.stop(grace)
        await self._dispatcher.stop(grace)
        await self._handling.stop(grace)
        if self.chat.online:
            await self.outbox.flush(grace)
        if self._backfill is not None:
            if not self._persistence.failing:
                self._persistence.later(self._backfill.advance())
            await self._backfill.stop()
        await self._marks.stop()
        await self.chat.disconnect(timeout=grace)
        await self.outbox.stop()
        await self._intake.stop()
        await self._persistence.settle()


def _inside(call: Callable[[Any], Awaitable[object]]) -> Callable[[Any], Awaitable[object]]:
    """Return a handler of events that the bot does not wait for if it stops the bot."""

    @wraps(call)
    async def handler(event: Any) -> None:
        INSIDE.set(True)
        await call(event)

    return handler
