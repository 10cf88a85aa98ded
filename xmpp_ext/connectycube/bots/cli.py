"""`connectycube-bots`: runs bots and fleets, shows what they do, and lists and retries failures."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Final, Protocol

from attrs import asdict

from connectycube.rest import ConnectyCubeError

from .bot import Bot, _store
from .memory import MemoryStore
from .signals import until_signalled
from .sqlite import SqliteStore
from .store import Counts, Failure

__all__ = ["BotError", "load_bot", "main", "parser"]

NATS: Final = "the fleet's NATS servers: nats://HOST:PORT, or nats://HOST:PORT,HOST:PORT?OPTIONS"
ACCOUNTS: Final = "a TOML file, env:NAME_{n}, or MODULE:CALLABLE"
CATCH_UP: Final = "how far back to look for missed messages; default: 24"
LOGINS: Final = "how many accounts to log in per second at most; default: 20"


class BotError(ConnectyCubeError):
    """There is no bot where the command looks for it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    options = parser().parse_args(arguments)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # The bot's module and that of its accounts may be there.
    try:
        status: int | None = options.run(options)
    except ConnectyCubeError as error:
        print(error, file=sys.stderr)
        return 1
    return status or 0


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments of the command."""
    found = argparse.ArgumentParser(prog="connectycube-bots", description="Run bots, and inspect what they store.")
    commands = found.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(run=run)
        return command

    run = add("run", _run, "run a bot, alone or as both a gateway and a worker of a fleet")
    gateway = add("gateway", _gateway, "keep accounts of a fleet online, together with other gateways")
    worker = add("worker", _worker, "handle messages of a fleet, together with other workers")
    for command in (run, worker):
        command.add_argument("bot", metavar="MODULE:BOT", help="such as weather_bot:bot")
    run.add_argument("--store", metavar="URL", help=f"{NATS}; default: the bot's own store")
    for command in (gateway, worker):
        command.add_argument("--store", metavar="URL", required=True, help=NATS)
    run.add_argument("--accounts", metavar="SPEC", help=f"{ACCOUNTS}; default: the bot's own account")
    gateway.add_argument("--accounts", metavar="SPEC", required=True, help=ACCOUNTS)
    worker.add_argument("--accounts", metavar="SPEC", help=f"{ACCOUNTS}; needed for ctx.cube only")
    gateway.add_argument("--catch-up", metavar="HOURS", type=float, default=24.0, help=CATCH_UP)
    for command in (run, gateway):
        command.add_argument("--logins-per-second", metavar="N", type=float, default=20.0, help=LOGINS)
    status = add("status", _status, "show who is in a fleet, who holds what, what waits and what failed")
    status.add_argument("store", metavar="URL", help=NATS)
    status.add_argument("--watch", action="store_true", help="keep showing it until Ctrl-C")
    status.add_argument("--json", action="store_true", help="print a line of JSON, with all accounts and partitions")
    for name, text in (
        ("failed", "list messages and replies that failed"),
        ("retry", "retry failed messages and replies"),
        ("stats", "count what is stored"),
    ):
        command = add(name, _view, text)
        command.set_defaults(command=name)
        command.add_argument("store", metavar="STORE", help="path of a bot's store, or URL of a fleet's NATS servers")
        if name == "retry":
            command.add_argument("ids", metavar="ID", nargs="*", help="as listed by `failed`; default: all")
    return found


# -- running


def load_bot(name: str) -> Bot:
    """Import a bot.

    :param name: `MODULE:BOT`.
    :raises BotError: if that is not possible.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise BotError(f"{name!r} does not name a bot: write MODULE:BOT, such as weather_bot:bot")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise BotError(f"can't import {module}: {_where(error)}") from error
        raise BotError(f"can't import {module}: there is no such module here ({os.getcwd()})") from error
    except Exception as error:  # Whatever the user's code raises.
        raise BotError(f"can't import {module}: {_where(error)}") from error
    bot = getattr(found, attribute, None)
    if not isinstance(bot, Bot):
        problem = f"is {type(bot).__name__}, not a Bot" if hasattr(found, attribute) else "does not exist"
        raise BotError(f"{name} {problem}: name the variable that holds the bot")
    return bot


def _where(error: Exception) -> str:
    """Return an exception, and the line that raised it, as one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if isinstance(error, SyntaxError) else f"{text} ({last.filename}, line {last.lineno})"


def _run(options: argparse.Namespace) -> None:
    bot = load_bot(options.bot)
    if options.store is not None:
        bot._store = _store(options.store)
    if options.accounts is None:
        bot.run()
    elif isinstance(bot._store, (MemoryStore, SqliteStore)):
        raise BotError("several accounts need a fleet: pass --store nats://HOST:PORT, or leave out --accounts")
    else:
        from .fleet import commands

        commands.run(bot, bot._store, options.accounts, options.logins_per_second)


def _gateway(options: argparse.Namespace) -> None:
    from .fleet import commands

    commands.gateway(options.store, options.accounts, options.catch_up, options.logins_per_second)


def _worker(options: argparse.Namespace) -> None:
    bot = load_bot(options.bot)
    from .fleet import commands

    commands.worker(bot, options.store, options.accounts)


def _status(options: argparse.Namespace) -> None:
    from .fleet import status
    from .fleet.engine import ANSWER_ONCE, Address, Engine

    engine = Engine(Address.parse(options.store), answer=ANSWER_ONCE)
    asyncio.run(until_signalled(status.show(engine, watch=options.watch, as_json=options.json)))


# -- what is stored


class _Store(Protocol):
    """What these commands need."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def failures(self) -> Awaitable[list[Failure]]: ...

    def counts(self) -> Awaitable[Counts]: ...

    def retry(self, failure_id: str) -> Awaitable[bool]: ...


def _view(options: argparse.Namespace) -> int:
    if "://" not in options.store:
        return asyncio.run(_look(options, SqliteStore(options.store, shared=True)))
    from .fleet.view import FleetView

    return asyncio.run(_look(options, FleetView(options.store)))


async def _look(options: argparse.Namespace, store: _Store) -> int:
    await store.open()
    try:
        if options.command == "failed":
            await _failed(store)
        elif options.command == "stats":
            for name, value in asdict(await store.counts()).items():
                print(f"{name} {value}")
        else:
            return await _retry(store, options.ids)
    finally:
        await store.close()
    return 0


async def _failed(store: _Store) -> None:
    for failure in await store.failures():
        text = json.loads(failure.content).get("body") or ""
        kind = failure.kind if failure.account is None else f"{failure.account}  {failure.kind}"
        print(f"{failure.id}  {failure.failed_at:%Y-%m-%d %H:%M:%S}  {kind}  {failure.error}  {text[:60]!r}")


async def _retry(store: _Store, ids: list[str]) -> int:
    status = 0
    for failure_id in ids or [failure.id for failure in await store.failures()]:
        if not await store.retry(failure_id):
            print(f"there is no failure {failure_id}: see `connectycube-bots failed`", file=sys.stderr)
            status = 1
        else:
            print(f"{failure_id} will be retried")
    return status


if __name__ == "__main__":
    sys.exit(main())
