"""A sandbox on which clients of the official JavaScript SDK and our own meet."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from connectycube.chat import AsyncChat, SystemMessageReceived
from connectycube.rest import AsyncConnectyCube
from connectycube.sandbox import Sandbox
from tests.integration.chats import Told
from tests.integration.support import run
from tests.interop.javascript import Device, Driver

PASSWORD = "correct-horse-9"
TIMEOUT = 30.0
"""Seconds until a test counts as hanging."""


class Js:
    """A user of the official SDK.

    :ivar id: the user's id.
    """

    def __init__(self, device: Device, user_id: int) -> None:
        self.id = user_id
        self.device = device
        self.call = device.call
        self.start = device.start
        self.get = device.get
        self.event = device.event
        self.told = device.told

    async def up_to_date(self) -> None:
        """Wait until the SDK has received everything the server had for it, relying on the server's order."""
        await self.call("chat.ping")


class Ours:
    """A user of our own clients.

    :ivar id: the user's id.
    :ivar rest: the REST client, logged in.
    :ivar chat: the chat, connected.
    :ivar told: the chat's events.
    """

    def __init__(self, rest: AsyncConnectyCube, chat: AsyncChat, user_id: int) -> None:
        self.id = user_id
        self.rest = rest
        self.chat = chat
        self.told = Told(chat)

    async def up_to_date(self) -> None:
        """Wait until the chat has emitted everything the server had for it."""
        mark = {"mark": f"{len(self.told.seen.items)}"}
        await self.rest.messages.create_system(recipientId=self.id, extra=mark)
        await self.told.one(SystemMessageReceived, lambda event: event.user_id == self.id and event.params == mark)


class Stage:
    """The sandbox and its users, who all leave at the end.

    :ivar sandbox: the platform.
    """

    def __init__(self, sandbox: Sandbox, driver: Driver) -> None:
        self.sandbox = sandbox
        self.driver = driver
        self._stack = contextlib.AsyncExitStack()

    def user(self, login: str, **fields: Any) -> int:
        """Return a user's id; create the user if the login is unknown."""
        found = self.sandbox.call(self.sandbox.core.accounts.find_by, "login", login)
        return (found or self.sandbox.create_user(login, PASSWORD, **fields)).id

    async def device(self, *, chat_host: str | None = None, **chat: Any) -> Device:
        """Return an SDK client without a session.

        :param chat_host: what the SDK is to believe is the chat's domain.
        :param chat: further settings of its chat, by the names of the SDK.
        """
        device = await self.driver.open(
            {"appId": self.sandbox.app_id, "authKey": self.sandbox.auth_key},
            {
                "endpoints": {
                    "api_url": self.sandbox.api_url,
                    "chat": chat_host or self.sandbox.chat_host,
                    "chat_url": self.sandbox.websocket_url,
                },
                "chat": {"reconnect": {"enable": False, "timeInterval": 5}, **chat},
                "debug": {"mode": 0},
            },
        )
        self._stack.push_async_callback(self.driver.close, device)
        return device

    async def js(self, login: str, connect: bool = False, *, chat_host: str | None = None, **chat: Any) -> Js:
        """Return a user who is logged in with the SDK.

        :param connect: in the chat, too.
        """
        user_id = self.user(login)
        device = await self.device(chat_host=chat_host, **chat)
        await device.call("createSession", {"login": login, "password": PASSWORD})
        if connect:
            await device.call("chat.connect", {"userId": user_id, "password": PASSWORD})
        return Js(device, user_id)

    async def ours(self, login: str, **chat: Any) -> Ours:
        """Return a user of our own clients, connected to the chat.

        :param chat: options of the chat.
        """
        user_id = self.user(login)
        rest = await self.rest(login)
        made = AsyncChat(rest, host=self.sandbox.chat_host, port=self.sandbox.chat_port, tls="none", **chat)
        ours = Ours(rest, made, user_id)
        await self._stack.enter_async_context(made)
        return ours

    async def rest(self, login: str) -> AsyncConnectyCube:
        """Return one of our REST clients, logged in."""
        self.user(login)
        made = AsyncConnectyCube(self.sandbox.app_id, self.sandbox.auth_key, base_url=self.sandbox.api_url)
        cube = await self._stack.enter_async_context(made)
        await cube.login(login=login, password=PASSWORD)
        return cube

    async def __aenter__(self) -> Stage:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Turn a coroutine into a test with its own event loop; its first argument is the fixture `stage`."""

    @functools.wraps(test)
    def played(stage: Stage, **others: Any) -> None:
        async def main() -> None:
            async with stage:
                await test(stage, **others)

        run(main(), TIMEOUT)
        # An exception that the SDK throws uncaught would end a user's program.
        strays, stage.driver.strays[:] = list(stage.driver.strays), []
        assert strays == []

    return played
