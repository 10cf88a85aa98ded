"""`Bot`: its settings, and how its parts work together while it runs.

Inbound, a message goes from the chat through the intake, the store and the dispatcher to its handling, which calls the
handler. Outbound, it goes from a context or the bot through the outbox and the store to the chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Unpack

from attrs import evolve, frozen

from connectycube.chat import (
    AsyncChat,
    Connected,
    ConnectError,
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
from connectycube.rest import AsyncConnectyCube, ConfigurationError, ConnectyCubeError, InvalidArgument, Unauthorized

from .account import check_account, open_account
from .backfill import Backfill
from .calls import INSIDE, Calls, Handler
from .content import To, content_of
from .dispatch import Capacity, Dispatcher
from .handling import Handling
from .intake import Intake
from .link import OwnLink
from .memory import MemoryStore
from .models import Stats
from .outbox import Outbox
from .routes import Routes, check_seconds
from .sqlite import SqliteStore
from .store import Failure, Store, StoreError

__all__ = ["Bot"]

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


@frozen(eq=False)
class _Run:
    """The parts of a running bot."""

    cube: AsyncConnectyCube | None
    chat: AsyncChat
    calls: Calls
    outbox: Outbox
    dispatcher: Dispatcher
    backfill: Backfill | None


class _Outage:
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


class Bot(Routes):
    """A program that answers messages without losing any.

    Messages are stored before they are acknowledged, and answers before they are sent. Messages missed while the bot
    was away are read from the history. Messages of one dialog are handled in order, and dialogs in parallel.

    :param cube: a REST client. Default: one for the account in `CONNECTYCUBE_APP_ID`, `CONNECTYCUBE_AUTH_KEY`,
        `CONNECTYCUBE_LOGIN` and `CONNECTYCUBE_PASSWORD`. Without these, the chat uses the account in
        `CONNECTYCUBE_USER_ID` and `CONNECTYCUBE_PASSWORD`, and missed messages can't be read from the history.
    :param store: the path of a file, or `memory`, which keeps nothing across a restart.
    :param catch_up: how far back to look for missed messages.
    :param concurrency: maximum number of dialogs handled in parallel.
    :param attempts: how many times to call a handler before its message is kept in `failed()`.
    :param prefix: the prefix of commands.
    :param chat: arguments for the bot's `AsyncChat`, or an `AsyncChat` that is not connected yet.
    :param handler_timeout: seconds after which a handler is cancelled and counts as failed; `None` for no limit.
    :raises InvalidArgument: if an argument is invalid.
    """

    def __init__(
        self,
        cube: AsyncConnectyCube | None = None,
        *,
        store: str | os.PathLike[str] = "memory",
        catch_up: dt.timedelta = dt.timedelta(days=1),
        concurrency: int = 16,
        attempts: int = 3,
        prefix: str = "/",
        chat: AsyncChat | Mapping[str, Any] | None = None,
        handler_timeout: float | None = 300.0,
    ) -> None:
        super().__init__(prefix)
        if not isinstance(catch_up, dt.timedelta) or catch_up < dt.timedelta():
            raise InvalidArgument("catch_up", f"must be a timedelta of 0 or more, not {catch_up!r}")
        if handler_timeout is not None:
            check_seconds("handler_timeout", handler_timeout)
        self._account = check_account(cube, chat)
        self._store = _store(store)
        self._catch_up = catch_up
        self._concurrency = _count("concurrency", concurrency)
        self._attempts = _count("attempts", attempts)
        self._handler_timeout = handler_timeout
        self._stats = Stats()
        self._run: _Run | None = None
        self._stopping: asyncio.Event | None = None
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Bot {self._store.name}{'' if self._run is None else ' running'}>"

    # -- life

    async def serve(self) -> None:
        """Run until `stop` is called.

        :raises StoreError: if the store can't be opened.
        :raises ConfigurationError: if there is no account.
        :raises ConnectyCubeError: if the login fails.
        :raises ConnectError: if the chat can't connect, or ends permanently.
        """
        await self._serve(lambda run: None)

    async def _serve(self, begun: Callable[[_Run], object]) -> None:
        async with self._at_work() as run:
            self._warn_of_memory()
            begun(run)
            await run.chat.wait_closed()

    @asynccontextmanager
    async def _at_work(self) -> AsyncGenerator[_Run]:
        """Open the store, log in, connect and work, until the end of the block or until `stop` is called."""
        if self._stopping is not None:
            raise ConfigurationError("the bot is already running")
        stopping = self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        async with AsyncExitStack() as stack:
            stack.callback(self._put_away)
            await self._store.open()
            stack.push_async_callback(self._store.close)
            cube, chat = await open_account(self._account, stack)
            self._run = run = self._set_up(cube, chat, stack)
            stack.push_async_callback(self._finish, run)
            await self._begin(run)
            ending = asyncio.ensure_future(self._end(stopping, stack.pop_all()))
        try:
            yield run
        finally:
            stopping.set()
            await ending

    async def _end(self, stopping: asyncio.Event, stack: AsyncExitStack) -> None:
        await stopping.wait()
        await stack.aclose()

    def _put_away(self) -> None:
        self._run = self._stopping = None
        self._stopped.set()

    def _set_up(self, cube: AsyncConnectyCube | None, chat: AsyncChat, stack: AsyncExitStack) -> _Run:
        store, stats = self._store, self._stats
        calls, outbox = Calls(stats), Outbox(chat, store, stats)
        link = OwnLink(chat, cube, outbox)
        handling = Handling(self, store, lambda entry: link, calls, stats, self._attempts, self._handler_timeout)
        dispatcher = Dispatcher(handling.handle, store, Capacity(self._concurrency))
        intake = Intake(chat, store, stats, dispatcher)
        backfill = None if cube is None else Backfill(chat, cube, self._catch_up, store, dispatcher, intake)
        listeners: list[tuple[tuple[type[Any], ...], Callable[[Any], Any]]] = [
            ((Connected, Reconnected, Reconnecting), _Outage().noticed),
            ((MessageReceived,), intake.received),
            ((MessageFailed, MessageBlocked), outbox.bounced),
            *self._listeners,
        ]
        if backfill is not None:
            listeners.append(((Reconnecting, Reconnected), backfill.session_changed))
        for types, listener in listeners:
            chat.on(*types)(listener)
            stack.callback(chat.off, listener)
        return _Run(cube, chat, calls, outbox, dispatcher, backfill)

    async def _begin(self, run: _Run) -> None:
        """Take up what an earlier process left, and connect."""
        run.dispatcher.hold()
        await self._load(run)
        await run.chat.connect()
        run.outbox.start()
        jobs: list[tuple[float, Handler]] = [(PRUNING, self._prune), (LOOK, self._look), *self._jobs]
        if run.backfill is None:
            logger.warning("the bot has no REST client, and can't read missed messages from the history")
            run.dispatcher.hold_only()
        else:
            run.backfill.begin()
            jobs.append((CHECKPOINT, run.backfill.advance))
        run.calls.jobs.begin(run.calls.watch())
        for seconds, job in jobs:
            run.calls.jobs.begin(run.calls.repeat(seconds, job))

    def _warn_of_memory(self) -> None:
        if not self._store.durable:
            logger.warning(
                "the bot keeps messages in memory, and loses them when the process ends: pass store= to keep them"
            )

    async def _load(self, run: _Run) -> None:
        await run.dispatcher.load()
        await run.outbox.load()

    async def _prune(self) -> None:
        now = dt.datetime.now(dt.UTC)
        await self._store.prune(now - self._catch_up - KEPT, now - FAILURES_KEPT)

    async def _look(self) -> None:
        """Take up what another process, such as `connectycube-bots retry`, lets wait again."""
        if await self._store.changed():
            await self._load(self._started)

    async def _finish(self, run: _Run) -> None:
        """Let handlers finish, send what is stored, and disconnect."""
        await run.calls.jobs.finish(0)
        await run.dispatcher.stop(GRACE)
        await run.calls.background.finish(GRACE)
        if run.chat.online:
            await run.outbox.flush(GRACE)
        if run.backfill is not None:
            await run.backfill.advance()
            await run.backfill.stop()
        await run.chat.disconnect(timeout=GRACE)
        await run.outbox.stop(GRACE)

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, then finish what is in progress. A second signal ends the process at once.

        Once the bot is online, print so on the standard error stream.
        If the bot can't start, or the chat ends permanently, print the reason and exit with status 1.
        """
        try:
            asyncio.run(self._serve_until_signalled())
        except ConnectError as error:
            sys.exit(f"the chat has ended: {error}")
        except Unauthorized as error:
            sys.exit(f"the bot can't run: {error}: check its login and password")
        except (ConnectyCubeError, StoreError) as error:
            sys.exit(f"the bot can't run: {error}")

    async def _serve_until_signalled(self) -> None:
        loop, serving = asyncio.get_running_loop(), asyncio.ensure_future(self._serve(_say_online))

        def stop(_number: int, _frame: object) -> None:
            for number in before:
                signal.signal(number, signal.SIG_DFL)
            loop.call_soon_threadsafe(serving.cancel)

        in_main = threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if in_main}
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    async def stop(self) -> None:
        """Stop the bot, and wait until it has stopped.

        Running handlers have 10 seconds to finish, and then their answers have 10 seconds to be sent. The rest stays in
        the store. Returns at once if a handler calls it.
        """
        if self._stopping is not None:
            self._stopping.set()
            if not INSIDE.get():
                await self._stopped.wait()

    @asynccontextmanager
    async def running(
        self,
        *,
        cube: AsyncConnectyCube | None = None,
        chat: AsyncChat | Mapping[str, Any] | None = None,
        store: str | os.PathLike[str] | None = None,
    ) -> AsyncGenerator[Bot]:
        """Run for the duration of an `async with` block, which begins once missed messages are stored.

        With arguments, run as another account or with another store than the constructor's, for example in a test.

        :param cube: replaces the constructor's `cube`, and also its `chat` unless that is given, too.
        :param chat: replaces the constructor's `chat`, and also its `cube` unless that is given, too.
        :param store: replaces the constructor's `store`.
        :raises InvalidArgument: if an argument is invalid.
        :raises ConnectyCubeError: as `serve` does; at the end of the block if the chat has ended permanently.
        """
        own = self._account, self._store
        if cube is not None or chat is not None:
            self._account = check_account(cube, chat)
        if store is not None:
            self._store = _store(store)
        try:
            async with self._at_work() as run:
                if store is None:
                    self._warn_of_memory()
                if run.backfill is not None:
                    await run.backfill.complete.wait()
                yield self
                state = run.chat.state
                if state.name is State.OFFLINE and state.error is not None:
                    raise state.error
        finally:
            self._account, self._store = own

    # -- at work

    @property
    def chat(self) -> AsyncChat:
        """The bot's chat.

        :raises NotConnected: if the bot is not running.
        """
        return self._started.chat

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client.

        :raises ConfigurationError: if the bot has none.
        """
        cube = self._account[0] if self._run is None else self._run.cube
        if cube is None:
            raise ConfigurationError("the bot has no REST client: pass one as Bot(cube), or set CONNECTYCUBE_AUTH_KEY")
        return cube

    @property
    def _started(self) -> _Run:
        if self._run is None:
            raise NotConnected("the bot is not running: call run() or serve() first")
        return self._run

    async def send(
        self, to: To, body: str | None = None, *, message_id: str | None = None, **options: Unpack[SendOptions]
    ) -> SentMessage:
        """Send a message from anywhere in the program.

        Returns once the message is stored. The bot keeps sending it until the server has it, even across restarts.

        :param to: a user, a dialog, or the id of one.
        :param body: the text.
        :param message_id: the message's id, 24 hexadecimal digits. A message with an id that was stored before is not
            sent again. Default: a new id.
        :param options: as for `chat.send`: `attachments`, `extra`, `save_to_history`, `markable`, `destroy_after`,
            `silent`.
        :raises InvalidArgument: if an argument is invalid.
        :raises NotConnected: if the bot is not running.
        :raises StoreError: if the bot stops before the message is stored.
        """
        if message_id is None:
            message_id = os.urandom(12).hex()
        elif not isinstance(message_id, str) or not re.fullmatch("[0-9a-fA-F]{24}", message_id):
            raise InvalidArgument("message_id", f"must be 24 hexadecimal digits, not {message_id!r}")
        run = self._started
        return await run.outbox.put(message_id, content_of(body, options, to=to, user_id=run.chat.user_id))

    @property
    def stats(self) -> Stats:
        """What the bot has done since the process started, and what is waiting."""
        if self._run is None:
            return evolve(self._stats)
        dispatcher, unsent = self._run.dispatcher, self._run.outbox.unsent
        return evolve(self._stats, running=dispatcher.running, waiting=dispatcher.waiting, unsent=unsent)

    def failed(self) -> tuple[Failure, ...]:
        """Return the latest messages and replies that failed permanently, oldest first."""
        return tuple(self._store.failed.values())

    def retry(self, failure_id: str) -> None:
        """Retry a failed message or reply in the background.

        :param failure_id: the `id` of an entry of `failed()`.
        :raises InvalidArgument: if there is no such failure.
        :raises NotConnected: if the bot is not running.
        """
        run = self._started
        if failure_id not in self._store.failed:
            raise InvalidArgument("failure_id", f"is not the id of a failure: {failure_id!r}")
        self._store.retry(failure_id)
        run.calls.background.begin(self._load(run))


def _store(store: str | os.PathLike[str]) -> Store:
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store) or "://" in os.fspath(store):
        raise InvalidArgument("store", f"must be 'memory' or the path of a file, not {store!r}")
    return MemoryStore() if store == "memory" else SqliteStore(Path(store))


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgument(name, f"must be a positive whole number, not {value!r}")
    return value


def _say_online(run: _Run) -> None:
    print(f"the bot is online as user {run.chat.user_id}; Ctrl-C stops it", file=sys.stderr, flush=True)
