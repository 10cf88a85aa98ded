"""`Bot`: registers handlers, and runs them from `serve` to `stop`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, Unpack

from attrs import evolve

from connectycube.chat import AsyncChat, ConnectError, Contact, NotConnected, SentMessage
from connectycube.rest import (
    AsyncConnectyCube,
    ConfigurationError,
    ConnectyCubeError,
    Dialog,
    InvalidArgument,
    User,
)

from .account import Account
from .commands import check_handler
from .content import SendOptions, content_of, place_of
from .context import Context
from .errors import StoreError
from .handling import INSIDE, Failures
from .memory import MemoryStore
from .models import Stats
from .routes import Filter, Routes, predicate
from .running import Plan, Run
from .sqlite import SqliteStore
from .store import Failure, Store

__all__ = ["Bot"]

GRACE: Final = 10.0
"""Seconds that handlers have to finish when the bot stops, and then seconds to send their replies."""

F = TypeVar("F", bound=Callable[..., Awaitable[object]])
M = TypeVar("M", bound=Callable[[Context], Awaitable[object]])
E = TypeVar("E", bound=Callable[[Context, Exception], Awaitable[object]])
L = TypeVar("L", bound=Callable[[Any], Awaitable[object]])
J = TypeVar("J", bound=Callable[[], Awaitable[object]])


class Bot:
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
        if not isinstance(catch_up, dt.timedelta) or catch_up < dt.timedelta():
            raise InvalidArgument("catch_up", f"must be a timedelta of 0 or more, not {catch_up!r}")
        if not isinstance(prefix, str):
            raise InvalidArgument("prefix", f"must be a string, not {type(prefix).__name__}")
        if handler_timeout is not None:
            _check_seconds("handler_timeout", handler_timeout)
        self._routes = Routes(prefix)
        self._plan = Plan(
            account=Account(cube, chat),
            store=_store(store),
            catch_up=catch_up,
            concurrency=_count("concurrency", concurrency),
            attempts=_count("attempts", attempts),
            handler_timeout=handler_timeout,
            routes=self._routes,
        )
        self._stats = Stats()
        self._failures = Failures()
        self._run: Run | None = None
        self._stopping: asyncio.Event | None = None
        self._stopped: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<Bot {self._plan.store.name}{'' if self._run is None else ' running'}>"

    # -- handlers

    def command(self, name: str) -> Callable[[F], F]:
        """Register a command handler: `@bot.command("weather")`.

        The words after the name are converted to the types of the handler's parameters. A parameter after `*` takes
        the rest of the text, and `*words` takes all remaining words; double quotes keep words together. If the
        arguments are wrong, the bot replies with the problem, the usage and the first line of the handler's docstring.

        :param name: the name after the prefix, in upper or lower case.
        :raises InvalidArgument: from the decorator, if the handler or the name is invalid.
        """
        names = sys._getframe(1).f_locals

        def register(call: F) -> F:
            self._routes.add_command(name, call, names)
            return call

        return register

    def message(self, which: Filter = None) -> Callable[[M], M]:
        """Register a message handler: `@bot.message(r"\\bping\\b")`.

        Each message goes to the first handler that matches: first commands, then handlers in order of registration.

        :param which: a pattern to search for in the text, or a predicate of the `ChatMessage`; `ctx.match` holds its
            result. Default: all messages.
        :raises InvalidArgument: if the pattern is invalid; from the decorator, if the handler is invalid.
        """
        matches = predicate(which)

        def register(call: M) -> M:
            self._routes.add_message(matches, call)
            return call

        return register

    def on(self, *types: type[Any]) -> Callable[[L], L]:
        """Register a handler of other events or stanzas: `@bot.on(ContactRequested)`.

        They are not stored: each reaches the handler at most once.

        :param types: event classes of `connectycube.chat`, or stanza classes.
        :raises InvalidArgument: from the decorator, if the handler is invalid.
        """
        if not types:
            raise InvalidArgument("types", "are missing: pass event or stanza classes")

        def register(call: L) -> L:
            check_handler(call)
            self._plan.listeners.append((types, call))
            return call

        return register

    def error(self, call: E) -> E:
        """Register an error handler: `@bot.error`.

        It receives the context and the exception when a message fails permanently or the server refuses an answer.

        :param call: the handler.
        :raises InvalidArgument: if the handler is invalid.
        """
        check_handler(call)
        self._routes.errors.append(call)
        return call

    def every(self, seconds: float) -> Callable[[J], J]:
        """Register a function that is called periodically while the bot runs, first after `seconds`.

        :param seconds: the time between two calls. A call that takes longer delays the next one.
        :raises InvalidArgument: if the time is invalid; from the decorator, if the function is invalid.
        """
        _check_seconds("seconds", seconds)

        def register(call: J) -> J:
            check_handler(call)
            self._plan.jobs.append((seconds, call))
            return call

        return register

    # -- life

    async def serve(self) -> None:
        """Run until `stop` is called.

        :raises StoreError: if the store can't be opened.
        :raises ConfigurationError: if there is no account.
        :raises ConnectyCubeError: if the login fails.
        :raises ConnectError: if the chat can't connect, or ends permanently.
        """
        run = await self._open()
        stopping = self._stopping
        assert stopping is not None
        waiting = [asyncio.ensure_future(one) for one in (run.chat.wait_closed(), stopping.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if waiting[0].done() and not stopping.is_set():
                waiting[0].result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await self._close(run)

    async def _open(self) -> Run:
        if self._stopped is not None:
            raise ConfigurationError("the bot is already running")
        self._stopping, self._stopped = asyncio.Event(), asyncio.Event()
        run = Run(self._plan, self, self._stats, self._failures)
        try:
            await run.prepare()
            self._run = run  # Handlers of `Connected` need it.
            await run.open()
        except BaseException:
            self._stopped.set()
            self._run = self._stopping = self._stopped = None
            raise
        return run

    async def _close(self, run: Run) -> None:
        try:
            await run.close(GRACE)
        finally:
            self._run = None
            assert self._stopped is not None
            self._stopped.set()
            self._stopping = self._stopped = None

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, then finish what is in progress. A second signal ends the process at once.

        If the bot can't start, or the chat ends permanently, print the reason and exit with status 1.
        """
        try:
            asyncio.run(self._run_until_signalled())
        except ConnectError as error:
            sys.exit(f"the chat has ended: {error}")
        except (ConnectyCubeError, StoreError) as error:
            sys.exit(f"the bot can't run: {error}")

    async def _run_until_signalled(self) -> None:
        loop, signalled = asyncio.get_running_loop(), asyncio.Event()
        with _signals(lambda: loop.call_soon_threadsafe(signalled.set)):
            serving = asyncio.ensure_future(self.serve())
            waiting = asyncio.ensure_future(signalled.wait())
            await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not serving.done():
                if self._run is None:
                    serving.cancel()
                await self.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    async def stop(self) -> None:
        """Stop the bot, and wait until it has stopped.

        Running handlers have 10 seconds to finish, and then their answers have 10 seconds to be sent. The rest stays in
        the store. When a handler calls this, it returns at once.
        """
        stopping, stopped = self._stopping, self._stopped
        if stopping is None or stopped is None:
            return
        stopping.set()
        if not INSIDE.get():
            await stopped.wait()

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

        :param cube: with `chat`, replaces both of the constructor's.
        :param chat: likewise.
        :param store: replaces the constructor's.
        :raises InvalidArgument: if an argument is invalid.
        :raises ConnectyCubeError: as `serve` does; at the end of the block if the chat has ended permanently.
        """
        own = self._plan
        if cube is not None or chat is not None:
            self._plan = evolve(self._plan, account=Account(cube, chat))
        if store is not None:
            self._plan = evolve(self._plan, store=_store(store))
        try:
            run = await self._open()
            try:
                await run.caught_up()
                yield self
                run.check()
            finally:
                await self._close(run)
        finally:
            self._plan = own

    # -- at work

    @property
    def chat(self) -> AsyncChat:
        """The bot's chat.

        :raises NotConnected: if the bot is not running.
        """
        return self._at_work.chat

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client.

        :raises ConfigurationError: if the bot has none.
        """
        cube = self._plan.account.cube
        if cube is None:
            raise ConfigurationError("the bot has no REST client: pass one as Bot(cube), or set CONNECTYCUBE_AUTH_KEY")
        return cube

    @property
    def _at_work(self) -> Run:
        if self._run is None:
            raise NotConnected("the bot is not running: call run() or serve() first")
        return self._run

    async def send(
        self,
        to: int | str | User | Contact | Dialog,
        body: str | None = None,
        *,
        message_id: str | None = None,
        **options: Unpack[SendOptions],
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
        run = self._at_work
        content = content_of(place_of(to, run.chat.user_id), body, options)
        found = os.urandom(12).hex() if message_id is None else _checked_id(message_id)
        await run.outbox.put(found, content)
        return SentMessage(id=found, dialog_id=content.dialog_id, date_sent=dt.datetime.now(dt.UTC))

    @property
    def stats(self) -> Stats:
        """What the bot has done since the process started, and what is waiting."""
        return evolve(self._stats) if self._run is None else self._run.stats

    def failed(self) -> tuple[Failure, ...]:
        """Return the latest messages and replies that failed permanently, oldest first."""
        return self._failures.all()

    def retry(self, failure_id: str) -> None:
        """Retry a failed message or reply in the background.

        :param failure_id: the `id` of an entry of `failed()`.
        :raises InvalidArgument: if there is no such failure.
        :raises NotConnected: if the bot is not running.
        """
        run = self._at_work
        if self._failures.pop(failure_id) is None:
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


def _check_seconds(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InvalidArgument(name, f"must be more than 0 seconds, not {value!r}")


def _checked_id(message_id: str) -> str:
    if not isinstance(message_id, str) or len(message_id) != 24 or set(message_id.lower()) - set("0123456789abcdef"):
        raise InvalidArgument("message_id", f"must be 24 hexadecimal digits, not {message_id!r}")
    return message_id


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
