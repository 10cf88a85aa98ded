"""`Single`: a bot that runs in one process. `Work`: what a running bot does, there or in a fleet.

Inbound, a message goes from the chat through the intake, the store and the dispatcher to its handling, which calls the
handler. Outbound, it goes from a context or the bot through the outbox and the store to the chat.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve

from connectycube.chat import (
    AsyncChat,
    Connected,
    MessageBlocked,
    MessageFailed,
    MessageReceived,
    NotConnected,
    Reconnected,
    Reconnecting,
    SendOptions,
    SentMessage,
    State,
)
from connectycube.rest import AsyncConnectyCube, InvalidArgument

from .account import Account, open_account
from .backfill import Backfill
from .calls import Calls, Handler
from .content import To, content_of
from .dispatch import Capacity, Dispatcher
from .handling import Handling
from .intake import Intake
from .link import OwnLink, checked_cube
from .models import Stats
from .outbox import Outbox
from .store import Failure, Store

if TYPE_CHECKING:
    from . import Bot

__all__ = ["NOT_RUNNING", "Outage", "Single", "Work"]

NOT_RUNNING: Final = "the bot is not running: call run() or serve() first"
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


class Work(Protocol):
    """What a bot does while it runs."""

    @property
    def chat(self) -> AsyncChat:
        """The bot's chat."""
        ...

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client."""
        ...

    @property
    def failed(self) -> Mapping[str, Failure]:
        """The latest failures by id, oldest first."""
        ...

    @property
    def error(self) -> Exception | None:
        """Why the chat has ended permanently; `None` if it has not."""
        ...

    async def begin(self) -> None:
        """Open the store, log in, connect and work in the background. Leaves nothing behind if that fails."""
        ...

    async def finish(self) -> None:
        """Let handlers finish, send what is stored, and disconnect."""
        ...

    async def closed(self) -> None:
        """Wait until the chat has ended. Raises `ConnectError` if it ends by itself."""
        ...

    async def caught_up(self) -> None:
        """Wait until missed messages are stored."""
        ...

    async def send(
        self, to: To, body: str | None, options: SendOptions, message_id: str | None, account: str | None
    ) -> SentMessage:
        """Store a message, which is then sent."""
        ...

    def stats(self) -> Stats:
        """Return what the bot has done, and what waits."""
        ...

    def retry(self, failure_id: str) -> None:
        """Retry a failure in the background."""
        ...


class Outage:
    """Warns that the bot is offline, once, unless the first attempt to reconnect succeeds."""

    def __init__(self) -> None:
        self._warned = False

    def noticed(self, event: Connected | Reconnected | Reconnecting) -> None:
        if isinstance(event, Reconnecting):
            if event.attempt > 1 and not self._warned:
                self._warned = True
                logger.warning("the bot is offline, and keeps trying to connect: %s", event.error)
        elif self._warned:
            self._warned = False
            logger.warning("the bot is online")


class Single:
    """A bot that runs in one process."""

    def __init__(self, bot: Bot, account: Account, store: Store) -> None:
        self._bot = bot
        self._account = account
        self._store = store
        self._stats = bot._stats
        self._calls = Calls(self._stats)
        self._stack = AsyncExitStack()
        self._chat: AsyncChat | None = None
        self._cube: AsyncConnectyCube | None = account[0]
        self._outbox: Outbox
        self._dispatcher: Dispatcher
        self._backfill: Backfill | None = None

    # -- life

    async def begin(self) -> None:
        """Open the store, take up what an earlier process left, and connect."""
        async with AsyncExitStack() as stack:
            await self._store.open()
            stack.push_async_callback(self._store.close)
            self._cube, chat = await open_account(self._account, stack)
            self._set_up(self._cube, chat, stack)
            stack.push_async_callback(self._end, chat)
            self._dispatcher.hold()
            await self._load()
            await chat.connect()
            self._start()
            self._stack = stack.pop_all()

    def _set_up(self, cube: AsyncConnectyCube | None, chat: AsyncChat, stack: AsyncExitStack) -> None:
        bot, store, stats = self._bot, self._store, self._stats
        self._outbox = outbox = Outbox(chat, store, stats)
        link = OwnLink(chat, cube, outbox)
        handling = Handling(bot, store, lambda entry: link, self._calls, stats, bot._attempts, bot._handler_timeout)
        self._dispatcher = dispatcher = Dispatcher(handling.handle, store, Capacity(bot._concurrency))
        intake = Intake(chat, store, stats, dispatcher)
        backfill = None if cube is None else Backfill(chat, cube, bot._catch_up, store, dispatcher, intake)
        listeners: list[tuple[tuple[type[Any], ...], Callable[[Any], Any]]] = [
            ((Connected, Reconnected, Reconnecting), Outage().noticed),
            ((MessageReceived,), intake.received),
            ((MessageFailed, MessageBlocked), outbox.bounced),
            *bot._listeners,
        ]
        if backfill is not None:
            listeners.append(((Reconnecting, Reconnected), backfill.session_changed))
        for types, listener in listeners:
            chat.on(*types)(listener)
            stack.callback(chat.off, listener)
        self._chat, self._backfill = chat, backfill

    def _start(self) -> None:
        self._outbox.start()
        jobs: list[tuple[float, Handler]] = [(PRUNING, self._prune), (LOOK, self._look), *self._bot._jobs]
        if self._backfill is None:
            logger.warning("the bot has no REST client, and can't read missed messages from the history")
            self._dispatcher.hold_only()
        else:
            self._backfill.begin()
            jobs.append((CHECKPOINT, self._backfill.advance))
        self._calls.jobs.begin(self._calls.watch())
        for seconds, job in jobs:
            self._calls.jobs.begin(self._calls.repeat(seconds, job))

    async def _load(self) -> None:
        await self._dispatcher.load()
        await self._outbox.load()

    async def _prune(self) -> None:
        now = dt.datetime.now(dt.UTC)
        await self._store.prune(now - self._bot._catch_up - KEPT, now - FAILURES_KEPT)

    async def _look(self) -> None:
        """Take up what another process, such as `connectycube-bots retry`, lets wait again."""
        if await self._store.changed():
            await self._load()

    async def finish(self) -> None:
        """Let handlers finish, send what is stored, and disconnect."""
        await self._stack.aclose()

    async def _end(self, chat: AsyncChat) -> None:
        await self._calls.jobs.finish(0)
        await self._dispatcher.stop(GRACE)
        await self._calls.background.finish(GRACE)
        if chat.online:
            await self._outbox.flush(GRACE)
        if self._backfill is not None:
            await self._backfill.advance()
            await self._backfill.stop()
        await chat.disconnect(timeout=GRACE)
        await self._outbox.stop(GRACE)

    async def closed(self) -> None:
        """Wait until the chat has ended."""
        await self.chat.wait_closed()

    async def caught_up(self) -> None:
        """Wait until missed messages are stored."""
        if self._backfill is not None:
            await self._backfill.complete.wait()

    # -- at work

    @property
    def chat(self) -> AsyncChat:
        """The bot's chat."""
        if self._chat is None:
            raise NotConnected(NOT_RUNNING)
        return self._chat

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client."""
        return checked_cube(self._cube)

    @property
    def error(self) -> Exception | None:
        """Why the chat has ended permanently."""
        state = self.chat.state
        return state.error if state.name is State.OFFLINE else None

    @property
    def failed(self) -> Mapping[str, Failure]:
        """The latest failures by id."""
        return self._store.failed

    async def send(
        self, to: To, body: str | None, options: SendOptions, message_id: str | None, account: str | None
    ) -> SentMessage:
        """Store a message, which is then sent."""
        if account is not None:
            raise InvalidArgument("account", "can be chosen only in a fleet, with store='nats://...'")
        content = content_of(body, options, to=to, user_id=self.chat.user_id)
        return await self._outbox.put(message_id or os.urandom(12).hex(), content)

    def stats(self) -> Stats:
        """Return what the bot has done, and what waits."""
        dispatcher = self._dispatcher
        return evolve(self._stats, running=dispatcher.running, waiting=dispatcher.waiting, unsent=self._outbox.unsent)

    def retry(self, failure_id: str) -> None:
        """Retry a failure in the background."""
        self._store.retry(failure_id)  # The calls of a store take effect in order.
        self._calls.background.begin(self._load())
