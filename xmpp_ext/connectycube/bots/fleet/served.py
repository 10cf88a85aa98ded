"""An account that a gateway holds: logged in, connected, and connected again if it ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import frozen

from connectycube.chat import (
    AsyncChat,
    Connected,
    ConnectionFailed,
    Disconnected,
    MessageBlocked,
    MessageFailed,
    MessageReceived,
    NotConnected,
    Reconnected,
    Reconnecting,
)
from connectycube.rest import AsyncConnectyCube, ConnectyCubeError

from ..backfill import Backfill
from ..calls import text_of
from ..intake import Intake
from ..models import Stats
from ..outbox import Outbox
from ..store import StoreError
from .accounts import Account
from .engine import Engine
from .inlet import Inlet
from .leases import Lease
from .metrics import connections
from .outlet import Outlet

__all__ = ["Listener", "Ready", "Served", "Setup"]

FIRST_PAUSE: Final = 2.0
"""Seconds before an account is tried again that could not log in or was disconnected; doubled each time."""
LONGEST_PAUSE: Final = 300.0
GRACE: Final = 10.0
"""Seconds that replies have to be sent when an account goes to another gateway, and again to be acknowledged."""

Listener: TypeAlias = tuple[tuple[type[Any], ...], Callable[[Any], Any]]
"""Event types, and what to call with them."""
Ready: TypeAlias = tuple[AsyncConnectyCube | None, AsyncChat]
"""A REST client that is logged in, if there is one, and a chat that is not connected yet."""

logger = logging.getLogger("connectycube.bots")


@frozen(eq=False)
class Setup:
    """What the accounts of a gateway have in common.

    :ivar deliver: the subject where the gateway gets replies.
    :ivar cube: the REST client whose connections and settings all accounts share; `None` without a login.
    :ivar turn: waits until the next login may begin.
    :ivar claim: called with an account and its user id. Raises `ConfigurationError` if another account has that user.
    """

    engine: Engine
    deliver: str
    catch_up: dt.timedelta
    chat: Mapping[str, Any]
    cube: Callable[[], AsyncConnectyCube]
    ready: Ready | None
    listeners: Sequence[Listener]
    stats: Stats
    turn: Callable[[], Awaitable[None]]
    claim: Callable[[str, int], Awaitable[None]]


class Served:
    """An account, from the time when its lease is taken until it ends.

    :ivar chat: the chat; `None` before the account is logged in.
    :ivar outlet: the replies; `None` before the account is logged in.
    :ivar error: why it is not online; `None` if it is, or may be soon.
    """

    def __init__(self, setup: Setup, account: Account, lease: Lease) -> None:
        self._setup = setup
        self.account = account
        self._lease = lease
        self.chat: AsyncChat | None = None
        self.outlet: Outlet | None = None
        self.error: Exception | None = None
        self._backfill: Backfill | None = None
        self._changed: asyncio.Event | None = None
        self._ending = False
        self._waiting: asyncio.Future[None] | None = None
        self._pause = FIRST_PAUSE
        self._counted = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"connectycube account {account.name}")

    @property
    def online(self) -> bool:
        """Whether the chat is connected."""
        return self.chat is not None and self.chat.online

    async def caught_up(self) -> AsyncChat:
        """Wait until the account is online and missed messages are stored. Raises what prevents that."""
        while True:
            if self.error is not None:
                raise self.error
            if self._task.done():
                raise NotConnected(f"another gateway holds the account {self.account.name}")
            backfill = self._backfill
            if self.chat is not None and self.online and (backfill is None or backfill.complete.is_set()):
                return self.chat
            changed = self._changed = self._changed or asyncio.Event()
            waiting = [asyncio.ensure_future(changed.wait())]
            if backfill is not None and self.online:
                waiting.append(asyncio.ensure_future(backfill.complete.wait()))
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()

    def _notify(self, _: object = None) -> None:
        if self._counted != self.online:
            self._counted = self.online
            connections.add(1 if self._counted else -1)
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _run(self) -> None:
        try:
            while self._lease.valid and not self._ending:
                await self._try()
        except StoreError as error:
            logger.debug("the account %s is given up: %s", self.account.name, error)  # The gateway stops.
        finally:
            self._notify()

    async def _try(self) -> None:
        try:
            await self._serve()
        except StoreError:
            raise
        except Exception as error:
            if not self._lease.valid or self._ending:
                return
            self.error, self._lease.problem = error, text_of(error)
            self._notify()
            unknown = None if isinstance(error, ConnectyCubeError) else error
            problem = f"the account {self.account.name} is offline, retrying in {self._pause:g} s"
            logger.error("%s: %s", problem, text_of(error), exc_info=unknown)
            await self._until_stopped(asyncio.sleep(self._pause))
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self.error = None

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something, but no longer than until `stop` is called."""
        self._waiting = waiting = asyncio.ensure_future(work)
        try:
            await asyncio.wait([waiting])
        finally:
            waiting.cancel()
            self._waiting = None
        if not waiting.cancelled():
            waiting.result()

    async def _serve(self) -> None:
        """Log in, connect, and work until the end. The password serves for the chat, too: the session may expire."""
        setup, account = self._setup, self.account
        await setup.turn()
        if setup.ready is not None:
            await self._work(*setup.ready)
        elif account.login is None:
            await self._work(None, self._chat(None, account.user_id))
        else:
            async with setup.cube().with_session() as cube:
                session = await cube.login(login=account.login, password=account.password)
                await self._work(cube, self._chat(cube, session.user_id))

    def _chat(self, cube: AsyncConnectyCube | None, user_id: int | None) -> AsyncChat:
        options: dict[str, Any] = {"send_timeout": None, **self._setup.chat}
        return AsyncChat(cube, user_id=user_id, password=self.account.password, **options)

    async def _work(self, cube: AsyncConnectyCube | None, chat: AsyncChat) -> None:
        setup = self._setup
        await setup.claim(self.account.name, chat.user_id)
        inlet = Inlet(setup.engine, self._lease, chat.user_id)
        self.outlet = outlet = Outlet(setup.engine, self._lease, setup.deliver)
        outlet.outbox = outbox = Outbox(chat, outlet, setup.stats)
        intake = Intake(chat, inlet, setup.stats, inlet)
        listeners: list[Listener] = [
            ((MessageReceived,), intake.received),
            ((MessageFailed, MessageBlocked), outbox.bounced),
            ((Connected, Reconnected, Reconnecting, ConnectionFailed, Disconnected), self._notify),
            *setup.listeners,
        ]
        self._backfill = backfill = None
        if cube is not None:
            self._backfill = backfill = Backfill(chat, cube, setup.catch_up, inlet, inlet, intake)
            listeners.append(((Reconnecting, Reconnected), backfill.session_changed))
        for types, listener in listeners:
            chat.on(*types)(listener)
        try:
            chat._fence(lambda: self._lease.valid)
            inlet.hold()
            await inlet.load()
            self.chat = chat
            try:
                await chat.connect()
                self._lease.problem, self._pause = None, FIRST_PAUSE
                outbox.start()
                if backfill is None:
                    logger.warning("the account %s has no login, and can't read missed messages", self.account.name)
                    inlet.hold_only()
                else:
                    backfill.begin()
                await outlet.open()
                self._notify()
                if not self._ending:
                    await self._until_stopped(chat.wait_closed())
            finally:
                await self._finish(inlet, outlet, outbox)
        finally:
            for _, listener in listeners:
                chat.off(listener)

    async def _finish(self, inlet: Inlet, outlet: Outlet, outbox: Outbox) -> None:
        """Send what is in memory, unless the lease has ended, and disconnect."""
        chat, backfill = self.chat, self._backfill
        assert chat is not None
        valid = self._lease.valid
        if valid:
            await outlet.close(GRACE)
            if chat.online:
                await outbox.flush(GRACE)
            if backfill is not None:
                await backfill.advance()
        if backfill is not None:
            await backfill.stop()
        await chat.disconnect(timeout=GRACE if valid else 0)
        await outbox.stop(GRACE if valid else 0)
        await inlet.stop(GRACE)
        await outlet.stop(GRACE)
        self.chat = self.outlet = self._backfill = None

    async def advance(self) -> None:
        """Move the checkpoint to the present, unless something may be missing."""
        if self._backfill is not None:
            await self._backfill.advance()

    async def stop(self) -> None:
        """Disconnect. If the lease is still valid, send what is in memory first."""
        self._ending = True
        if not self._lease.valid or not self.online:
            self._task.cancel()
        elif self._waiting is not None:
            self._waiting.cancel()
        await asyncio.wait([self._task])
