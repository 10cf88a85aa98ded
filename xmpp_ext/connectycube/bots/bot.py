"""`Bot`: its settings, its life and its calls."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from attrs import evolve

from connectycube.chat import AsyncChat, ConnectError, NotConnected, SendOptions, SentMessage
from connectycube.rest import AsyncConnectyCube, ConfigurationError, ConnectyCubeError, InvalidArgument, Unauthorized

from .account import check_account
from .calls import INSIDE
from .content import To
from .link import checked_cube
from .memory import MemoryStore
from .models import Stats
from .routes import Routes, check_seconds
from .signals import until_signalled
from .single import NOT_RUNNING, Single, Work
from .sqlite import SqliteStore
from .store import Failure, StoreError

if TYPE_CHECKING:
    from .fleet.engine import Address

__all__ = ["Bot"]

logger = logging.getLogger("connectycube.bots")


class Bot(Routes):
    """A program that replies to messages without losing any.

    Messages are stored before they are acknowledged, and replies before they are sent. Messages missed while the bot
    was away are read from the history. Messages of one dialog are handled in order, and dialogs in parallel.

    :param cube: a REST client. Default: one for the account in `CONNECTYCUBE_APP_ID`, `CONNECTYCUBE_AUTH_KEY`,
        `CONNECTYCUBE_LOGIN` and `CONNECTYCUBE_PASSWORD`. Without these, the chat uses the account in
        `CONNECTYCUBE_USER_ID` and `CONNECTYCUBE_PASSWORD`, and missed messages can't be read from the history.
    :param store: the path of a file; `memory`, which keeps nothing across a restart; or the URL of NATS JetStream,
        `nats://host:4222`, which a fleet shares. The latter requires `connectycube[fleet]`.
    :param catch_up: how far back to look for missed messages.
    :param concurrency: maximum number of dialogs handled in parallel.
    :param attempts: how many times to call a handler before its message is kept in `failed()`.
    :param prefix: the prefix of commands.
    :param chat: arguments for the bot's `AsyncChat`, or an `AsyncChat` that is not connected yet.
    :param handler_timeout: seconds after which a handler is cancelled and counts as failed; `None` for no limit.
    :raises InvalidArgument: if an argument is invalid.
    :raises StoreError: if `store` is a URL, but not a valid one.
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
        self._run: Work | None = None
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
        await self._serve(self._work(), self._warn_of_memory)

    async def _serve(self, work: Work, begun: Callable[[], object] = lambda: None) -> None:
        async with self._employed(work) as stopping:
            begun()
            closed = asyncio.ensure_future(work.closed())
            waiting = [closed, asyncio.ensure_future(stopping.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if closed.done():
                    closed.result()
            finally:
                for one in waiting:
                    one.cancel()

    def _work(self) -> Work:
        if isinstance(self._store, (MemoryStore, SqliteStore)):
            return Single(self, self._account, self._store)
        from .fleet.local import Local  # Requires an extra.

        return Local(self, self._account, self._store)

    @asynccontextmanager
    async def _employed(self, work: Work) -> AsyncGenerator[asyncio.Event]:
        """Work until the end of the block or until `stop` is called, which sets the event."""
        if self._stopping is not None:
            raise ConfigurationError("the bot is already running")
        stopping = self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._run = work
        try:
            await work.begin()
        except BaseException:
            self._put_away()
            raise
        ending = asyncio.ensure_future(self._end(stopping, work))
        try:
            yield stopping
        finally:
            stopping.set()
            await ending

    async def _end(self, stopping: asyncio.Event, work: Work) -> None:
        try:
            await stopping.wait()
            await work.finish()
        finally:
            self._put_away()

    def _put_away(self) -> None:
        self._run = self._stopping = None
        self._stopped.set()

    def _warn_of_memory(self) -> None:
        if isinstance(self._store, MemoryStore):
            logger.warning(
                "the bot keeps messages in memory, and loses them when the process ends: pass store= to keep them"
            )

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, then finish what is in progress. A second signal ends the process at once.

        Once the bot is online, print so on the standard error stream.
        If the bot can't start, or the chat ends permanently, print the reason and exit with status 1.
        """
        try:
            asyncio.run(until_signalled(self._serve(self._work(), self._say_online)))
        except ConnectError as error:
            sys.exit(f"the chat has ended: {error}")
        except Unauthorized as error:
            sys.exit(f"the bot can't run: {error}: check its login and password")
        except (ConnectyCubeError, StoreError) as error:
            sys.exit(f"the bot can't run: {error}")

    def _say_online(self) -> None:
        self._warn_of_memory()
        print(f"the bot is online as user {self.chat.user_id}; Ctrl-C stops it", file=sys.stderr, flush=True)

    async def stop(self) -> None:
        """Stop the bot, and wait until it has stopped.

        Running handlers have 10 seconds to finish, and then their replies have 10 seconds to be sent. The rest stays in
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
            work = self._work()
            async with self._employed(work):
                if store is None:
                    self._warn_of_memory()
                await work.caught_up()
                yield self
                if work.error is not None:
                    raise work.error
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
        return checked_cube(self._account[0]) if self._run is None else self._run.cube

    @property
    def _started(self) -> Work:
        if self._run is None:
            raise NotConnected(NOT_RUNNING)
        return self._run

    async def send(
        self,
        to: To,
        body: str | None = None,
        *,
        message_id: str | None = None,
        account: str | None = None,
        **options: Unpack[SendOptions],
    ) -> SentMessage:
        """Send a message from anywhere in the program.

        Returns once the message is stored. The bot keeps sending it until the server has it, even across restarts.

        :param to: a user, a dialog, or the id of one.
        :param body: the text.
        :param message_id: the message's id, 24 hexadecimal digits. A message with an id that was stored before is not
            sent again. Default: a new id.
        :param account: in a fleet, the login of the account that sends it, or its user id if it has none. Default: the
            account whose message is being handled, or the only account.
        :param options: as for `chat.send`: `attachments`, `extra`, `save_to_history`, `markable`, `destroy_after`,
            `silent`.
        :raises InvalidArgument: if an argument is invalid.
        :raises ConfigurationError: if `account` must be given.
        :raises NotConnected: if the bot is not running.
        :raises StoreError: if the bot stops before the message is stored.
        """
        if message_id is not None and (
            not isinstance(message_id, str) or not re.fullmatch("[0-9a-fA-F]{24}", message_id)
        ):
            raise InvalidArgument("message_id", f"must be 24 hexadecimal digits, not {message_id!r}")
        return await self._started.send(to, body, options, message_id, account)

    @property
    def stats(self) -> Stats:
        """What the bot has done since the process started, and what is waiting."""
        return evolve(self._stats) if self._run is None else self._run.stats()

    def failed(self) -> tuple[Failure, ...]:
        """Return the latest messages and replies that failed permanently, oldest first."""
        found: Mapping[str, Failure] = {}
        if self._run is not None:
            found = self._run.failed
        elif isinstance(self._store, (MemoryStore, SqliteStore)):
            found = self._store.failed
        return tuple(found.values())

    def retry(self, failure_id: str) -> None:
        """Retry a failed message or reply in the background.

        :param failure_id: the `id` of an entry of `failed()`.
        :raises InvalidArgument: if there is no such failure.
        :raises NotConnected: if the bot is not running.
        """
        work = self._started
        if failure_id not in work.failed:
            raise InvalidArgument("failure_id", f"is not the id of a failure: {failure_id!r}")
        work.retry(failure_id)


def _store(store: str | os.PathLike[str]) -> MemoryStore | SqliteStore | Address:
    """Return a store, or the address of a fleet's."""
    if isinstance(store, str) and store.startswith(("nats://", "tls://")):
        from .fleet.engine import Address  # Requires an extra.

        return Address.parse(store)
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store) or "://" in os.fspath(store):
        raise InvalidArgument("store", f"must be 'memory', the path of a file or nats://HOST:PORT, not {store!r}")
    return MemoryStore() if store == "memory" else SqliteStore(Path(store))


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgument(name, f"must be a positive whole number, not {value!r}")
    return value
