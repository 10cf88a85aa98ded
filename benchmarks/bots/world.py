"""What the runs share: a sandbox and a bot, each in a process that can be killed, and users who write to the bot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from connectycube.chat import AsyncChat, ChatError, MessageNotSent, MessageReceived, Reconnected
from connectycube.rest import AsyncConnectyCube, ConnectyCubeError
from tests.integration.support import free_ports

PASSWORD = "correct-horse-9"
TRIES = 50
"""How often a program may end before it is ready."""
HERE = Path(__file__).parent


class Killable:
    """A program in a process of its own, which prints a line when it is ready.

    :ivar ready: its line.
    :ivar kills: how often it was killed.
    :ivar starting: whether something waits until it is ready.
    :ivar killed: whether it was killed, and whoever did that has not started it again.
    :ivar ended: how often it ended by itself, and was started again as a supervisor would.
    """

    def __init__(self, *command: str, environment: dict[str, str] | None = None) -> None:
        self.command = command
        # Bytecode is cached, as it is by default.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {**inherited, **(environment or {})}
        self.ready = b""
        self.kills = self.ended = 0
        self.starting = self.killed = False
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def has_exited(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def spawn(self) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *self.command, stdout=asyncio.subprocess.PIPE, env=self.environment
        )
        self.killed = False

    async def start(self) -> None:
        """Start it, and return when it is ready."""
        await self.spawn()
        await self.online()

    async def online(self) -> None:
        """Wait until it is ready."""
        self.starting = True
        try:
            for _ in range(TRIES):
                if await self._line():
                    return
                await self.exit()
                self.ended += 1
                await asyncio.sleep(0.2)
                await self.spawn()
            raise RuntimeError(f"ended {TRIES} times before it was ready: {' '.join(self.command)}")
        finally:
            self.starting = False

    async def _line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        self.ready = await self._process.stdout.readline()
        return self.ready

    async def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        self.killed = True
        if self._process.returncode is None:
            self._process.kill()
            self.kills += 1
        await self._process.communicate()

    async def stop(self) -> int:
        """Let it end in order, and return its exit status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode

    async def exit(self) -> None:
        """Wait until it has ended."""
        assert self._process is not None
        await self._process.wait()


class World:
    """An application with the bot's account and the users'.

    :ivar names: the users' logins.
    :ivar addresses: the sandbox's addresses and keys.
    :ivar bot_id: the bot's user id.
    """

    def __init__(self, names: Sequence[str], addresses: dict[str, Any] | None = None) -> None:
        self.names = names
        self.addresses: dict[str, Any] = addresses or {}
        self.bot_id = 0

    def cube(self) -> AsyncConnectyCube:
        """Return a REST client."""
        found = self.addresses
        return AsyncConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"])

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return the environment of the bot.

        :param port: where its chat connects; default: the sandbox's own port.
        """
        found = self.addresses
        return {
            "CONNECTYCUBE_APP_ID": str(found["app_id"]),
            "CONNECTYCUBE_AUTH_KEY": found["auth_key"],
            "CONNECTYCUBE_BASE_URL": found["api_url"],
            "CONNECTYCUBE_LOGIN": "bot",
            "CONNECTYCUBE_PASSWORD": PASSWORD,
            "CONNECTYCUBE_CHAT_HOST": found["chat_host"],
            "CONNECTYCUBE_CHAT_PORT": str(port or found["chat_tls_port"]),
            "SSL_CERT_FILE": found["ca_file"],
        }

    def bot(self, *arguments: str, port: int | None = None, program: str = "echo.py") -> Killable:
        """Return a bot, not started."""
        return Killable(sys.executable, str(HERE / program), *arguments, environment=self.environment(port))

    @asynccontextmanager
    async def users(self) -> AsyncIterator[list[User]]:
        """Yield the users, online."""
        context = ssl.create_default_context(cafile=self.addresses["ca_file"])
        async with AsyncExitStack() as stack:
            cube = await stack.enter_async_context(self.cube())
            self.bot_id = (await cube.login(login="bot", password=PASSWORD)).user_id or 0
            found = []
            for name in self.names:
                cube = await stack.enter_async_context(self.cube())
                user = User(cube, self, (await cube.login(login=name, password=PASSWORD)).user_id or 0, context)
                await stack.enter_async_context(user.chat)
                found.append(user)
            yield found


class Server(World):
    """A sandbox in a process of its own.

    :ivar process: the sandbox.
    """

    def __init__(self, folder: Path, names: Sequence[str], *, durable: bool) -> None:
        super().__init__(names)
        seed = folder / "seed.json"
        seed.write_text(json.dumps({"users": [{"login": name, "password": PASSWORD} for name in ("bot", *names)]}))
        rest, plain, tls = free_ports(3)
        ports = {"port": rest, "chat-port": plain, "chat-tls-port": tls}
        # A client does not trust a new certificate authority after a restart.
        kept = f"--data={folder / 'sandbox.db'}" if durable else f"--ca-file={folder / 'ca.pem'}"
        self.process = Killable(
            str(Path(sys.executable).with_name("connectycube-sandbox")), "--json", f"--seed={seed}", kept,
            *(f"--{name}={port}" for name, port in ports.items()),
        )  # fmt: skip

    async def start(self) -> None:
        """Start it, for the first time or again on its file."""
        await self.process.start()
        self.addresses = json.loads(self.process.ready)


@asynccontextmanager
async def serving(folder: Path, names: Sequence[str], *, durable: bool = False) -> AsyncIterator[Server]:
    """Run a sandbox."""
    server = Server(folder, names, durable=durable)
    await server.start()
    try:
        yield server
    finally:
        await server.process.stop()


class User:
    """A user who is online and writes to the bot.

    :ivar live: the answers that the chat brought, in order.
    :ivar texts: the ids of each answer: more than one is an answer seen twice.
    """

    def __init__(self, cube: AsyncConnectyCube, world: World, user_id: int, context: ssl.SSLContext) -> None:
        found = world.addresses
        self.id = user_id
        self.live: list[str] = []
        self.texts: dict[str, set[str | None]] = {}
        self._cube = cube
        self._world = world
        self._changed = asyncio.Event()
        self.chat = AsyncChat(
            app_id=found["app_id"], user_id=user_id, password=PASSWORD,
            host=found["chat_host"], port=found["chat_tls_port"], ssl_context=context,
        )  # fmt: skip
        self.chat.on(MessageReceived)(self._received)
        self.chat.on(Reconnected)(self._back)

    def _received(self, event: MessageReceived) -> None:
        message = event.message
        if message.sender_id == self._world.bot_id and message.id not in self.texts.get(message.body, ()):
            self.live.append(message.body)
            self._note(message.body, message.id)

    def _note(self, text: str, message_id: str | None) -> None:
        self.texts.setdefault(text, set()).add(message_id)
        self._changed.set()

    async def _back(self, event: Reconnected) -> None:
        """Read what was sent before a new session, as all clients do."""
        if not event.resumed:
            for text, message_id in await self.history():
                self._note(text, message_id)

    async def history(self) -> list[tuple[str, str]]:
        """Return the bot's messages and their ids, as the server has them."""
        while True:
            try:
                (dialog,) = [
                    one async for one in self._cube.dialogs.list(filters={"type": 3})
                    if self._world.bot_id in one.occupants_ids
                ]  # fmt: skip
                return [
                    (message.message or "", message.id)
                    async for message in self._cube.messages.list(
                        chat_dialog_id=dialog.id, sort_asc="date_sent", limit=100, mark_as_read=False
                    )
                    if message.sender_id == self._world.bot_id
                ]
            except ConnectyCubeError:
                await asyncio.sleep(0.2)

    async def say(self, text: str) -> None:
        """Send a message to the bot until the server has it."""
        message_id = os.urandom(12).hex()
        while True:
            try:
                await self.chat.send(self._world.bot_id, text, message_id=message_id)
                return
            except MessageNotSent:
                await asyncio.sleep(0.1)

    async def answers(self, count: int) -> None:
        """Wait until so many different answers have arrived."""
        while len(self.texts) < count:
            self._changed.clear()
            await self._changed.wait()


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, ChatError):
            await task
