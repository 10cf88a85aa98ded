"""`Bot`: registers handlers, and runs them from `serve` to `stop`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from attrs import evolve

from connectycube.chat import AsyncChat, ConnectError, NotConnected, SendOptions, SentMessage, State
from connectycube.rest import AsyncConnectyCube, ConfigurationError, ConnectyCubeError, InvalidArgument

from .account import Account
from .calls import INSIDE
from .content import To
from .errors import StoreError
from .memory import MemoryStore
from .models import Stats
from .routes import Routes, check_seconds
from .running import Run
from .sqlite import SqliteStore
from .store import Failure, Store

__all__ = ["Bot"]

_is_object_id = re.compile(r"[0-9a-fA-F]{24}").fullmatch


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
        self._account = Account(cube, chat)
        self._store = _store(store)
        self._stats = Stats()
        self._run: Run | None = None
        self._new_run = partial(
            Run,
            bot=self,
            account=self._account,
            store=self._store,
            find=self._find,
            errors=self._errors,
            listeners=self._listeners,
            jobs=self._jobs,
            catch_up=catch_up,
            concurrency=_count("concurrency", concurrency),
            attempts=_count("attempts", attempts),
            handler_timeout=handler_timeout,
            counted=self._stats,
        )

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
        async with self._at_work() as run:
            closed = asyncio.ensure_future(run.chat.wait_closed())
            stopping = asyncio.ensure_future(run.stopping.wait())
            try:
                await asyncio.wait([closed, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not stopping.done():
                    closed.result()
            finally:
                closed.cancel()
                stopping.cancel()
                await asyncio.gather(closed, stopping, return_exceptions=True)

    @asynccontextmanager
    async def _at_work(self) -> AsyncGenerator[Run]:
        if self._run is not None:
            raise ConfigurationError("the bot is already running")
        self._run = run = self._new_run()
        try:
            async with run.at_work():
                yield run
        finally:
            self._run = None
            run.stopped.set()

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, then finish what is in progress. A second signal ends the process at once.

        If the bot can't start, or the chat ends permanently, print the reason and exit with status 1.
        """
        try:
            asyncio.run(self._serve_until_signalled())
        except ConnectError as error:
            sys.exit(f"the chat has ended: {error}")
        except (ConnectyCubeError, StoreError) as error:
            sys.exit(f"the bot can't run: {error}")

    async def _serve_until_signalled(self) -> None:
        loop, serving = asyncio.get_running_loop(), asyncio.ensure_future(self.serve())
        with _signals(lambda: loop.call_soon_threadsafe(serving.cancel)), contextlib.suppress(asyncio.CancelledError):
            await serving

    async def stop(self) -> None:
        """Stop the bot, and wait until it has stopped.

        Running handlers have 10 seconds to finish, and then their answers have 10 seconds to be sent. The rest stays in
        the store. When a handler calls this, it returns at once.
        """
        run = self._run
        if run is not None:
            run.stopping.set()
            if not INSIDE.get():
                await run.stopped.wait()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Bot]:
        """Run for the duration of an `async with` block, which begins once missed messages are stored.

        :raises ConnectyCubeError: as `serve` does; at the end of the block if the chat has ended permanently.
        """
        async with self._at_work() as run:
            await run.caught_up()
            yield self
            state = run.chat.state
            if state.name is State.OFFLINE and state.error is not None:
                raise state.error

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
        cube = self._account.cube
        if cube is None:
            raise ConfigurationError("the bot has no REST client: pass one as Bot(cube), or set CONNECTYCUBE_AUTH_KEY")
        return cube

    @property
    def _started(self) -> Run:
        if self._run is None or not self._run.is_set_up:
            raise NotConnected("the bot is not running: call run() or serve() first")
        return self._run

    async def send(
        self, to: To, body: str | None = None, *, message_id: str | None = None, **options: Unpack[SendOptions]
    ) -> SentMessage:
        """Send a message from anywhere in the program.

        This returns once the message is stored. The bot sends it until the server has it, across restarts.

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
        elif not isinstance(message_id, str) or not _is_object_id(message_id):
            raise InvalidArgument("message_id", f"must be 24 hexadecimal digits, not {message_id!r}")
        return await self._started.outbox.put(message_id, body, options, to=to)

    @property
    def stats(self) -> Stats:
        """What the bot has done since the process started, and what is waiting."""
        return evolve(self._stats) if self._run is None or not self._run.is_set_up else self._run.stats

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
        run.retry(failure_id)


def _store(store: str | os.PathLike[str]) -> Store:
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store):
        raise InvalidArgument("store", f"must be 'memory' or the path of a file, not {store!r}")
    if store == "memory":
        return MemoryStore()
    if "://" in os.fspath(store):
        raise InvalidArgument("store", f"must be 'memory' or the path of a file, not the address {store!r}")
    return SqliteStore(Path(store))


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgument(name, f"must be a positive whole number, not {value!r}")
    return value


@contextlib.contextmanager
def _signals(stop: Callable[[], object]) -> Generator[None]:
    """Call a function on the first SIGINT or SIGTERM; a second one has its usual effect."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def handle(_number: int, _frame: object) -> None:
        restore()
        stop()

    for number in numbers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
