"""Users and their histories in a sandbox, and chats that read them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from connectycube.chat import AsyncChat, Chat
from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.sandbox import Sandbox
from connectycube.sandbox.domain.message_model import Draft

PASSWORD: Final = "correct-horse-9"
HOUR: Final = dt.timedelta(hours=1)


class World:
    """The application's users in a sandbox, and their histories."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.ann, self.bob, self.carl = (sandbox.create_user(name, PASSWORD).id for name in ("ann", "bob", "carl"))

    def private(self, one: int, other: int) -> str:
        return self.sandbox.call(self.sandbox.core.dialogs.private, one, other).id

    def group(self, owner: int, *others: int) -> str:
        fields = {"type": 2, "name": "Hikers", "occupants_ids": list(others)}
        return self.sandbox.call(self.sandbox.core.dialogs.create, owner, fields).id

    def write(self, dialog_id: str, sender: int, *texts: str, ago: float = 0, **fields: Any) -> list[str]:
        """Store messages in a dialog's history, and return their ids. No device gets them."""
        core, sent = self.sandbox.core, int(time.time() - ago)

        def store() -> list[str]:
            dialog = core.dialogs.get(dialog_id)
            drafts = [Draft(sender_id=sender, body=text, **{"date_sent": sent, **fields}) for text in texts]
            return [core.messages.store(dialog, draft).id for draft in drafts]

        return self.sandbox.call(store)

    def delete(self, *ids: str) -> None:
        self.sandbox.call(self.sandbox.core.messages.delete, list(ids), self.bob, force=True)

    def queries(self, path: str = "/chat/Message", after: int = 0) -> list[dict[str, str]]:
        """The queries of the requests to a path."""
        exchanges = self.sandbox.journal.exchanges(after=after)
        return [dict(one.query) for one in exchanges if one.path == path and one.method == "GET"]

    def options(self) -> dict[str, Any]:
        sandbox = self.sandbox
        return {"host": sandbox.chat_host, "port": sandbox.chat_tls_port, "ssl_context": sandbox.ssl_context}

    def cube(self, kind: Any = AsyncConnectyCube, **options: Any) -> Any:
        return kind(self.sandbox.app_id, self.sandbox.auth_key, base_url=self.sandbox.api_url, **options)

    @asynccontextmanager
    async def chat(self, login: str = "ann", **options: Any) -> AsyncIterator[AsyncChat]:
        """A chat with a REST client, not connected."""
        async with self.cube(**options) as cube:
            await cube.login(login=login, password=PASSWORD)
            yield AsyncChat(cube, **self.options())

    @contextmanager
    def blocking_chat(self, **options: Any) -> Iterator[Chat]:
        with self.cube(ConnectyCube, **options) as cube:
            cube.login(login="ann", password=PASSWORD)
            yield Chat(cube, **self.options())


def rest(chat: AsyncChat) -> Any:
    return chat._credentials.cube


async def texts(chat: AsyncChat, since: dt.datetime | dt.timedelta = HOUR, **options: Any) -> list[str]:
    return [message.body async for message in chat.catch_up(since=since, **options)]


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"{number}" for number in range(first, first + count)]
