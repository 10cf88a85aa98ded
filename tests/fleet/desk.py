"""What stands in for gateways in the tests of workers, and runs workers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from connectycube.bots import Bot
from connectycube.bots.content import decode_content, encode, key_of
from connectycube.bots.fleet.engine import Engine
from connectycube.bots.fleet.records import (
    Inbound,
    Outbound,
    Problem,
    Request,
    decode_outbound,
    decode_request,
    encode_record,
)
from connectycube.bots.fleet.worker import Worker
from connectycube.chat import ChatMessage
from tests.integration.support import Seen

from .fleet import opened

BOT_ID = 7
"""The user id of the account `bot`."""


class Desk:
    """Publishes messages and takes replies, as gateways do.

    :ivar replies: the account, the dialog and the text of each reply, in order.
    :ivar records: these replies.
    :ivar requests: what workers have asked the gateway of the account `bot`.
    :ivar answer: what it answers them.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.layout = engine.layout
        self.replies: Seen[tuple[str, str, str | None]] = Seen()
        self.records: Seen[Outbound] = Seen()
        self.requests: Seen[Request] = Seen()
        self.answer = b""
        self._deliver = engine.nc.new_inbox()
        self._seen: set[str] = set()
        self._count = 0

    async def open(self) -> None:
        nc = self.engine.nc
        await nc.subscribe(self._deliver, cb=self._sent)
        await nc.subscribe(self.layout.subject("do", "bot"), cb=self._asked)
        await self._consume()

    async def _consume(self) -> None:
        js, stream = self.engine.js, self.layout.stream("out")
        with contextlib.suppress(NotFoundError):
            await js.delete_consumer(stream, "desk")
        config = ConsumerConfig(durable_name="desk", deliver_subject=self._deliver, ack_policy=AckPolicy.EXPLICIT)
        await js.add_consumer(stream, config)

    async def follow(self) -> None:
        """Take what was on its way when the connection was lost."""
        while True:
            reconnected = self.engine.reconnected
            await reconnected.wait()
            await self.engine.insist("take replies", self._consume)

    async def _sent(self, message: Msg) -> None:
        record = decode_outbound(message.data)
        if record.id not in self._seen:
            self._seen.add(record.id)
            self.records.append(record)
            self.replies.append((record.account, record.dialog, decode_content(bytes(record.content)).body))
        with contextlib.suppress(NatsError):
            await self.engine.js.publish(self.layout.of("done", record.account, record.id), b"")
            await message.ack()

    async def _asked(self, message: Msg) -> None:
        self.requests.append(decode_request(message.data))
        await message.respond(self.answer)

    def message(self, sender: int, text: str) -> ChatMessage:
        """A private message to the bot."""
        self._count += 1
        return ChatMessage(
            id=f"{self._count:024x}",
            body=text,
            sender_id=sender,
            recipient_id=BOT_ID,
            dialog_id=None,
            type="chat",
            date_sent=dt.datetime.now(dt.UTC),
        )

    async def say(self, sender: int, text: str, account: str = "bot", user_id: int = BOT_ID) -> ChatMessage:
        """Publish a private message, as the gateway of an account does."""
        message = self.message(sender, text)
        await self.publish(message, account, user_id)
        return message

    async def publish(self, message: ChatMessage, account: str = "bot", user_id: int = BOT_ID) -> bool:
        record = Inbound(
            account=account,
            user_id=user_id,
            key=key_of(message),
            dialog=str(message.sender_id),
            message=msgspec.Raw(encode(message)),
        )
        subject = self.layout.waiting(account, record.dialog, record.key)
        return await self.engine.publish(subject, encode_record(record), f"{account}:{record.key}")

    async def tell(self, record: Outbound, problem: Problem) -> None:
        """Tell a worker that a reply was refused."""
        assert record.worker is not None
        await self.engine.nc.publish(self.layout.subject("told", record.worker), encode_record(problem))

    async def handled(self) -> None:
        """Wait until the stream has no more messages."""
        while (await self.engine.js.stream_info(self.layout.stream("in"))).state.messages:
            await asyncio.sleep(0.02)


@asynccontextmanager
async def desk(url: str) -> AsyncIterator[Desk]:
    """A stand-in for gateways."""
    async with opened(url) as engine:
        found = Desk(engine)
        await found.open()
        following = asyncio.create_task(found.follow())
        try:
            yield found
        finally:
            following.cancel()
            await asyncio.wait([following])


@asynccontextmanager
async def working(url: str, bot: Bot, **options: Any) -> AsyncIterator[Worker]:
    """A worker in this process, with a connection of its own."""
    async with opened(url) as engine:
        worker = Worker(engine, bot, **options)
        serving = asyncio.create_task(worker.serve())
        try:
            yield worker
        finally:
            await worker.stop()
            await serving


class Process:
    """A worker in a process of its own.

    :ivar lines: what it has printed.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        """The next line that it prints; empty at its end."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Kill it with SIGKILL, unless it has ended."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


HEAD = """
import asyncio, os, sys
from connectycube.bots import Bot, Context
from connectycube.bots.fleet.engine import Address, Engine
from connectycube.bots.fleet.worker import Worker
"""

TAIL = """
async def main() -> None:
    engine = Engine(Address.parse(sys.argv[1]))
    await engine.open()
    await Worker(engine, bot).serve()

asyncio.run(main())
"""


@asynccontextmanager
async def process(folder: Path, url: str, program: str) -> AsyncIterator[Process]:
    """A worker in a process of its own.

    :param program: makes the `bot`.
    """
    path = folder / "worker.py"
    path.write_text(HEAD + program + TAIL)
    found = Process(
        await asyncio.create_subprocess_exec(sys.executable, str(path), url, stdout=asyncio.subprocess.PIPE)
    )
    try:
        yield found
    finally:
        await found.kill()
