"""Gateways on a real NATS server and a sandbox, and a stand-in for the workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from connectycube.bots.content import Content, encode
from connectycube.bots.fleet.accounts import Account
from connectycube.bots.fleet.engine import Address, Engine
from connectycube.bots.fleet.gateway import Gateway
from connectycube.bots.fleet.records import (
    Inbound,
    Outbound,
    Problem,
    Request,
    decode_inbound,
    decode_problem,
    encode_record,
)
from tests.bots.conftest import PASSWORD, World
from tests.integration.support import Seen, eventually

__all__ = ["BOT", "Process", "Workers", "gateway", "workers"]

PROGRAM = """
import asyncio, sys
from connectycube.bots.fleet.accounts import Account
from connectycube.bots.fleet.engine import Address, Engine
from connectycube.bots.fleet.gateway import Gateway
from connectycube.chat import MessageReceived

async def main(url, login, user_id, password):
    engine = Engine(Address.parse(url))
    await engine.open()
    account = Account(login=login or None, user_id=int(user_id) if user_id else None, password=password)
    listeners = [((MessageReceived,), lambda event: print("received", flush=True))]
    gateway = Gateway(engine, [account], listeners=listeners)
    serving = asyncio.ensure_future(gateway.serve())
    while not gateway.chats:
        await asyncio.sleep(0.01)
    print("online", flush=True)
    while gateway.chats:
        await asyncio.sleep(0.01)
    print("offline", flush=True)
    await serving

asyncio.run(main(*sys.argv[1:]))
"""

BOT = Account(login="bot", password=PASSWORD)
WORKER = "w1"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Engine]:
    engine = Engine(Address.parse(url))
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


async def fail_to_send(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client fail when it closes the connection, since the socket is dead and something is left to send."""

    async def ignore(message: Msg) -> None:
        pass

    async def reset() -> None:
        raise ConnectionResetError

    await engine.nc.subscribe("some.subject", cb=ignore)
    await engine.nc.flush()
    monkeypatch.setattr(engine.nc._transport, "drain", reset)
    engine.nc._pending, engine.nc._pending_data_size = [b"left"], 4


class Workers:
    """What the workers see: the stream of messages, and ways to reply.

    :ivar problems: the reports of refused replies that they received.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.layout = engine.layout
        self.problems: Seen[Problem] = Seen()

    async def told(self, message: Msg) -> None:
        self.problems.append(decode_problem(message.data))

    async def stored(self, stream: str, subject: str) -> list[RawStreamMsg]:
        """What a stream holds."""
        found: list[RawStreamMsg] = []
        sequence = 0
        while True:
            await eventually(lambda: self.engine.online)
            try:
                found.append(
                    await self.engine.js.get_msg(
                        self.layout.stream(stream), sequence + 1, self.layout.subject(*subject.split(".")), next=True
                    )
                )
            except NotFoundError:
                return found
            sequence = found[-1].seq or 0

    async def emptied(self, stream: str, subject: str) -> None:
        """Wait until a stream holds nothing more."""
        while await self.stored(stream, subject):
            await asyncio.sleep(0.02)

    async def inbound(self, subject: str = "in.>") -> list[Inbound]:
        """The messages that wait to be handled."""
        return [decode_inbound(one.data or b"") for one in await self.stored("in", subject)]

    async def texts(self, count: int, subject: str = "in.>") -> list[str]:
        """The texts of the messages that wait to be handled, once there are so many."""
        while len(found := await self.inbound(subject)) < count:
            await asyncio.sleep(0.02)
        return [msgspec.json.decode(one.message)["body"] for one in found]

    async def done(self, count: int) -> list[str]:
        """The keys and ids of what is done, once there are so many."""
        while len(found := await self.stored("done", "done.>")) < count:
            await asyncio.sleep(0.02)
        return [(one.subject or "").rpartition(".")[2] for one in found]

    async def handle(self) -> None:
        """Handle everything that waits, as a worker does."""
        for raw, record in zip(await self.stored("in", "in.>"), await self.inbound(), strict=True):
            await self.engine.publish(self.layout.of("done", record.account, record.key), b"")
            await self.engine.js.delete_msg(self.layout.stream("in"), raw.seq or 0)

    async def reply(self, number: int, to: int | str, body: str, account: str = "bot") -> str:
        """Publish a reply, and return its id."""
        content = Content(to=to, body=body)
        reply_id = f"{number:024x}"
        record = Outbound(
            account=account, id=reply_id, dialog=str(to), content=msgspec.Raw(encode(content)), worker=WORKER
        )
        await self.engine.publish(self.layout.of("out", account, reply_id), encode_record(record), reply_id)
        return reply_id

    async def ask(self, account: str = "bot", **request: Any) -> Problem | None:
        """Ask the gateway that holds an account."""
        found = await self.engine.nc.request(
            self.layout.subject("do", account), encode_record(Request(**request)), timeout=30
        )
        return decode_problem(found.data) if found.data else None


@asynccontextmanager
async def workers(url: str) -> AsyncIterator[Workers]:
    async with opened(url) as engine:
        found = Workers(engine)
        await engine.nc.subscribe(engine.layout.subject("told", WORKER), cb=found.told)
        yield found


@asynccontextmanager
async def gateway(world: World, url: str, *accounts: Account, **options: Any) -> AsyncIterator[Gateway]:
    """A gateway in this process."""
    sandbox = world.sandbox
    options["chat"] = {**world.chat_options, **options.pop("chat", {})}
    rest = {"app_id": sandbox.app_id, "auth_key": sandbox.auth_key, "base_url": sandbox.api_url}
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(opened(url))
        found = Gateway(engine, accounts or [BOT], rest=rest, **options)
        serving = asyncio.ensure_future(found.serve())
        try:
            yield found
        finally:
            await found.stop()
            await serving


class Process:
    """A gateway in a process of its own."""

    def __init__(self, world: World, url: str, *, port: int | None = None, by_id: bool = False) -> None:
        """:param by_id: let the account log in by its user id, so that it can't read histories."""
        sandbox = world.sandbox
        self._arguments = [url, *(["", str(world.bot_id)] if by_id else ["bot", ""]), PASSWORD]
        self._environment = os.environ | {
            "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
            "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
            "CONNECTYCUBE_BASE_URL": sandbox.api_url,
            "CONNECTYCUBE_CHAT_HOST": sandbox.chat_host,
            "CONNECTYCUBE_CHAT_PORT": str(port or sandbox.chat_tls_port),
            "SSL_CERT_FILE": str(sandbox.ca_file),
        }
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, *self._arguments, stdout=asyncio.subprocess.PIPE, env=self._environment
        )
        assert await self.line() == "online"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)  # It may take a while on another core.

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()
