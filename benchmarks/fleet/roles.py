"""A fleet's processes, and what its leases say about them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

from nats.js.api import ClusterInfo

from connectycube.bots.fleet.bucket import EngineBucket
from connectycube.bots.fleet.engine import Address, Engine
from connectycube.bots.fleet.leases import Holder, decode_holder
from connectycube.bots.store import StoreError

from ..bots.world import PASSWORD, Killable, Server, serving
from .people import Dialog, Person, people

PROGRAM = str(Path(sys.executable).with_name("connectycube-bots"))
LOOK = 0.2
"""Seconds between two looks at the leases."""
TTL = 10.0
"""Seconds after which a lease that is not renewed ends: the default."""


class LeaseView:
    """What the bucket of leases says, from outside."""

    def __init__(self, url: str) -> None:
        self._engine = Engine(Address.parse(url))
        self._bucket = EngineBucket(self._engine)
        self._js = self._engine.nc.jetstream(timeout=LOOK)

    async def open(self) -> None:
        await self._engine.open()

    async def close(self) -> None:
        await self._engine.close()

    async def holders(self, prefix: str) -> list[Holder]:
        """Return who holds the keys that begin like this; nobody while NATS does not answer."""
        found: list[Holder] = []
        try:
            async with asyncio.timeout(2), aclosing(self._bucket.watch()) as changes:
                async for change in changes:
                    if change is None:
                        return found
                    if change.value is not None and change.key.startswith(prefix):
                        found.append(decode_holder(change.value))
        except (StoreError, TimeoutError):
            await asyncio.sleep(LOOK)
        return []

    async def cluster(self, stream: str) -> ClusterInfo | None:
        """Return which server leads a stream, and whether the others are up to date."""
        name = self._engine.layout.stream(stream)
        return (await self._js.stream_info(f"KV_{name}" if stream == "leases" else name)).cluster

    async def present(self, kind: str, pid: int) -> None:
        """Wait until a process is a member of the fleet."""
        while all(one.pid != pid for one in await self.holders(f"member.{kind}.")):
            await asyncio.sleep(LOOK)

    async def shared(self, kind: str, count: int, pids: Iterable[int]) -> None:
        """Wait until processes hold so many leases of a kind, evenly."""
        wanted = set(pids)
        most = -(-count // len(wanted))
        while True:
            found = [one.pid for one in await self.holders(f"{kind}.")]
            if len(found) == count and set(found) == wanted and max(map(found.count, wanted)) <= most:
                return
            await asyncio.sleep(LOOK)


class Role(Killable):
    """A gateway or worker. It is ready when it is a member of the fleet.

    :ivar kind: `gateway` or `worker`.
    :ivar log: its output.
    """

    def __init__(self, view: LeaseView, log: Path, kind: str, *arguments: str, environment: dict[str, str]) -> None:
        super().__init__(PROGRAM, kind, *arguments, environment=environment)
        self.kind = kind
        self.log = log
        self._view = view

    @property
    def name(self) -> str:
        return self.log.stem

    async def spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command, stdout=log, stderr=log, env=self.environment
            )

    async def _line(self) -> bytes:
        """Return something when it is a member, nothing when it has ended."""
        present = asyncio.ensure_future(self._view.present(self.kind, self.pid))
        exited = asyncio.ensure_future(self.exit())
        await asyncio.wait([present, exited], return_when=asyncio.FIRST_COMPLETED)
        is_present = present.done()
        present.cancel()
        exited.cancel()
        return b"present" if is_present else b""

    async def supervise(self) -> None:
        """Start it again whenever it has ended by itself."""
        while True:
            await self.exit()
            await asyncio.sleep(0.5)
            if self.has_exited and not self.starting and not self.killed:
                self.ended += 1
                await self.spawn()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def accounts(self) -> set[str]:
        """Return the accounts that it holds."""
        return {one.name for one in await self._view.holders("account.") if one.pid == self.pid}


class Fleet:
    """An application in a sandbox, and the processes that serve its accounts.

    :ivar accounts: the accounts' user ids by name.
    :ivar people: users who are online.
    :ivar view: the leases.
    """

    def __init__(self, folder: Path, server: Server, url: str, accounts: dict[str, int]) -> None:
        self.accounts = accounts
        self.people: list[Person] = []
        self.view = LeaseView(url)
        self.roles: list[Role] = []
        self._folder = folder
        self._server = server
        self._url = url
        self._file = folder / "accounts.toml"
        self.serve(accounts)

    def serve(self, accounts: Iterable[str]) -> None:
        """Let gateways that start from now on serve these accounts."""
        self._file.write_text("".join(f'[[accounts]]\nlogin = "{one}"\npassword = "{PASSWORD}"\n' for one in accounts))

    def gateway(self, *, port: int | None = None, logins: float = 20.0) -> Role:
        """Return a gateway, not started.

        :param port: where its chats connect; default: the sandbox's own port.
        :param logins: logins per second.
        """
        return self._role(
            "gateway",
            f"--accounts={self._file}",
            f"--logins-per-second={logins}",
            environment=self._environment(port),
        )

    def single(self, name: str, port: int | None = None) -> Killable:
        """Return a bot that has an account, and a file, for itself."""
        bot = self._server.bot(str(self._folder / f"{name}.db"), port=port)
        bot.environment["CONNECTYCUBE_LOGIN"] = name
        return bot

    def worker(self, **settings: object) -> Role:
        """Return a worker, not started.

        :param settings: those of `echo.py`: `parts`, `seconds`, `concurrency`.
        """
        echo = {f"ECHO_{name.upper()}": str(value) for name, value in settings.items()}
        return self._role("worker", "benchmarks.fleet.echo:bot", environment={**self._environment(None), **echo})

    def _role(self, kind: str, *arguments: str, environment: dict[str, str]) -> Role:
        log = self._folder / f"{kind}{1 + sum(role.kind == kind for role in self.roles)}.log"
        role = Role(self.view, log, kind, *arguments, f"--store={self._url}", environment=environment)
        self.roles.append(role)
        return role

    def _environment(self, port: int | None) -> dict[str, str]:
        found = self._server.environment(port)
        return {name: text for name, text in found.items() if not name.endswith(("_LOGIN", "_PASSWORD"))}

    async def stop(self) -> None:
        """Let all processes end in order."""
        await asyncio.gather(*(role.stop() for role in self.roles if role.is_running))

    @property
    def chat_port(self) -> int:
        """The sandbox's port."""
        return int(self._server.addresses["chat_tls_port"])

    @property
    def sandbox_pid(self) -> int:
        return self._server.process.pid

    @property
    def tracebacks(self) -> int:
        """How often a process has logged one."""
        return sum(role.log.read_text(errors="replace").count("Traceback") for role in self.roles)

    async def settled(self, kind: str) -> None:
        """Wait until the running processes of a kind, `account` or `partition`, have an equal share each."""
        role, count = ("gateway", len(self.accounts)) if kind == "account" else ("worker", self.partitions)
        await self.view.shared(kind, count, [one.pid for one in self.roles if one.kind == role and one.is_running])

    @property
    def partitions(self) -> int:
        return Address.parse(self._url).layout.partitions

    def dialogs(self, each: int) -> list[Dialog]:
        """Return dialogs with each account, of so many different users."""
        found, count = [], len(self.people)
        for number, account in enumerate(self.accounts.values()):
            found += [self.people[(number * each + one) % count].with_account(account) for one in range(each)]
        return found

    async def greet(self, dialogs: Sequence[Dialog], text: str = "hello") -> None:
        """Let users write, and wait for the answers."""
        await asyncio.gather(*(dialog.say(text) for dialog in dialogs))
        await asyncio.gather(*(dialog.answer(f"{text} a") for dialog in dialogs))


@asynccontextmanager
async def serving_fleet(folder: Path, url: str, accounts: int, users: int) -> AsyncIterator[Fleet]:
    """Run a sandbox with the accounts and users of a fleet that uses these NATS servers."""
    names = [f"bot{number:04}" for number in range(accounts)]
    others = [f"user{number:03}" for number in range(users)]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(folder, [*names, *others]))
        async with server.cube() as cube:
            first = (await cube.login(login=names[0], password=PASSWORD)).user_id or 0
        # The sandbox counts users up, in the order of the seed.
        found = Fleet(folder, server, url, {name: first + number for number, name in enumerate(names)})
        found.people = await stack.enter_async_context(people(server, others))
        await found.view.open()
        stack.push_async_callback(found.view.close)
        stack.push_async_callback(found.stop)
        yield found
