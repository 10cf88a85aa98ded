"""What `connectycube-bots` does with a fleet."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

from connectycube.rest import InvalidArgument

from ..signals import until_signalled
from .accounts import load_accounts
from .engine import Address, Engine
from .gateway import Gateway
from .worker import Worker

if TYPE_CHECKING:
    from .. import Bot

__all__ = ["gateway", "run", "worker"]


class _Part(Protocol):
    async def serve(self) -> None: ...

    async def stop(self) -> None: ...


def gateway(url: str, accounts: str, hours: float, logins_per_second: float) -> None:
    """Keep accounts online until SIGINT or SIGTERM."""
    if not hours >= 0:
        raise InvalidArgument("--catch-up", f"must be 0 or more, not {hours:g}")
    _check_pace(logins_per_second)
    found, catch_up = load_accounts(accounts), dt.timedelta(hours=hours)
    options: dict[str, Any] = {"catch_up": catch_up, "logins_per_second": logins_per_second}
    _serve(Address.parse(url), lambda engine: [Gateway(engine, found, **options)])


def worker(bot: Bot, url: str, accounts: str | None) -> None:
    """Handle messages until SIGINT or SIGTERM."""
    found = [] if accounts is None else load_accounts(accounts)
    _serve(Address.parse(url), lambda engine: [Worker(engine, bot, accounts=found)])


def run(bot: Bot, address: Address, accounts: str, logins_per_second: float) -> None:
    """Keep accounts online and handle their messages until SIGINT or SIGTERM."""
    _check_pace(logins_per_second)
    found = load_accounts(accounts)

    def make(engine: Engine) -> list[_Part]:
        gateway = Gateway(
            engine,
            found,
            catch_up=bot._catch_up,
            logins_per_second=logins_per_second,
            listeners=bot._listeners,
        )
        # The worker stops first: the gateway still sends the replies.
        return [Worker(engine, bot, accounts=found, gateway=gateway), gateway]

    _serve(address, make)


def _check_pace(logins_per_second: float) -> None:
    if not logins_per_second > 0:
        raise InvalidArgument("--logins-per-second", f"must be above 0, not {logins_per_second:g}")


def _serve(address: Address, make: Callable[[Engine], list[_Part]]) -> None:
    asyncio.run(until_signalled(_serving(address, make)))


async def _serving(address: Address, make: Callable[[Engine], list[_Part]]) -> None:
    """Serve with all parts until one of them ends or this is cancelled, and stop them in order.

    :raises FleetError: if the engine ends the connection for good: a new process may have better credentials.
    """
    engine = Engine(address)
    await engine.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        parts = make(engine)
        serving = [asyncio.ensure_future(part.serve()) for part in parts]
        print(f"connected to {engine.name}; Ctrl-C stops", file=sys.stderr, flush=True)
        try:
            await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                await part.stop()
            await asyncio.gather(*serving)
