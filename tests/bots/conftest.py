"""A sandbox for bots and their users, and what both need to reach it."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectycube.bots import Bot, handling
from connectycube.chat import AsyncChat, MessageReceived
from connectycube.rest import AsyncConnectyCube
from connectycube.sandbox import Sandbox
from tests.integration.support import Seen

PASSWORD = "correct-horse-9"


class Friend:
    """A user who is online.

    :ivar texts: what others have written to the user, in order.
    """

    def __init__(self, chat: AsyncChat, user_id: int) -> None:
        self.chat = chat
        self.id = user_id
        self.texts: Seen[str] = Seen()
        self.events: Seen[MessageReceived] = Seen()
        chat.on(MessageReceived)(self._received)

    def _received(self, event: MessageReceived) -> None:
        self.texts.append(event.message.body)
        self.events.append(event)


class World:
    """A bot's account, its store and its users, in a sandbox.

    :ivar bot_id: the user id of the bot.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.path = folder / "bot.db"
        self.bot_id = sandbox.create_user("bot", PASSWORD).id

    @property
    def chat_options(self) -> dict[str, Any]:
        sandbox = self.sandbox
        return {"host": sandbox.chat_host, "port": sandbox.chat_tls_port, "ssl_context": sandbox.ssl_context}

    def cube(self, **options: Any) -> AsyncConnectyCube:
        """A REST client of the application."""
        sandbox = self.sandbox
        return AsyncConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url, **options)

    @asynccontextmanager
    async def bot(self, **options: Any) -> AsyncIterator[Bot]:
        """A bot with a REST client that is logged in. It is not at work yet."""
        async with self.cube() as cube:
            await cube.login(login="bot", password=PASSWORD)
            chat = {**self.chat_options, **options.pop("chat", {})}
            yield Bot(cube, store=options.pop("store", self.path), chat=chat, **options)

    def register(self, name: str) -> int:
        """The user id of a new user."""
        return self.sandbox.create_user(name, PASSWORD).id

    def chat(self, user_id: int, **options: Any) -> AsyncChat:
        """A chat of a user."""
        options = {**self.chat_options, **options}
        return AsyncChat(user_id=user_id, password=PASSWORD, app_id=self.sandbox.app_id, **options)

    @asynccontextmanager
    async def friends(self, *names: str) -> AsyncIterator[list[Friend]]:
        """Users who are online."""
        async with AsyncExitStack() as stack:
            found = []
            for name in names:
                user_id = self.register(name)
                friend = Friend(self.chat(user_id), user_id)
                await stack.enter_async_context(friend.chat)
                found.append(friend)
            yield found

    def private(self, user_id: int) -> str:
        """The private dialog of the bot and a user."""
        core = self.sandbox.core
        return self.sandbox.call(core.dialogs.create, self.bot_id, {"type": 3, "occupants_ids": [user_id]}).id

    def group(self, *users: int) -> str:
        """A group of the bot and users."""
        fields = {"type": 2, "name": "A group", "occupants_ids": list(users)}
        return self.sandbox.call(self.sandbox.core.dialogs.create, self.bot_id, fields).id


@contextmanager
def full_disk() -> Iterator[None]:
    """As when the disk is full, no file can grow."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def world(connectycube_sandbox: Sandbox, tmp_path: Path) -> World:
    return World(connectycube_sandbox, tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed handlers are called again without delay."""
    monkeypatch.setattr(handling, "FIRST_DELAY", 0.001)
