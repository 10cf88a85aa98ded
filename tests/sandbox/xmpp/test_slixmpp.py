"""A third-party client: plain slixmpp logs in, chats, joins, and resumes after it lost its connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from slixmpp import JID, ClientXMPP

from connectycube.sandbox import Sandbox

from .raw import User

TIMEOUT = 30.0


class Client(ClientXMPP):
    """slixmpp with its plugins for the platform's protocols."""

    def __init__(self, sandbox: Sandbox, user_id: int, resource: str, mechanism: str | None = None) -> None:
        super().__init__(f"{user_id}-{sandbox.app_id}@localhost/{resource}", "pass", sasl_mech=mechanism)
        self.ssl_context = sandbox.ssl_context
        self.enable_direct_tls = False
        self.enable_starttls = True
        self.enable_plaintext = False
        for name in ("xep_0030", "xep_0045", "xep_0198", "xep_0199", "xep_0280"):
            self.register_plugin(name)
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.carbons: asyncio.Queue[Any] = asyncio.Queue()
        self.ready = asyncio.Event()
        self.managed = asyncio.Event()
        self.resumed = asyncio.Event()
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("carbon_sent", self.carbons.put_nowait)
        self.add_event_handler("session_start", self._begin)
        self.add_event_handler("roster_update", lambda event: self.ready.set())
        self.add_event_handler("sm_enabled", lambda event: self.managed.set())
        self.add_event_handler("session_resumed", lambda event: self.resumed.set())

    def _begin(self, event: Any) -> None:
        self.send_presence()
        self.get_roster()


@contextlib.asynccontextmanager
async def online(
    sandbox: Sandbox, user_id: int, resource: str = "phone", mechanism: str | None = None
) -> AsyncIterator[Client]:
    client = Client(sandbox, user_id, resource, mechanism)
    client.connect("127.0.0.1", sandbox.chat_port)
    await soon(client.ready.wait())
    try:
        yield client
    finally:
        await soon(client.disconnect())


async def soon(waited: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(waited, TIMEOUT)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@pytest.fixture
def users(user: User) -> tuple[int, int]:
    return user("mary"), user("joe")


@pytest.mark.parametrize("mechanism", [None, "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"])
def test_login_and_chat(sandbox: Sandbox, users: tuple[int, int], mechanism: str | None) -> None:
    mary, joe = users

    async def test() -> None:
        async with online(sandbox, mary, mechanism=mechanism) as one, online(sandbox, joe) as other:
            one.send_message(mto=JID(other.boundjid.bare), mbody="hello", mtype="chat")
            got = await soon(other.messages.get())
            assert (got["body"], got["from"]) == ("hello", one.boundjid)
            assert await soon(one.plugin["xep_0199"].ping()) >= 0

    run(test())
    used = [entry for entry in sandbox.journal.entries(user_id=None, text="mechanism=") if "<auth " in entry.text()]
    assert f'mechanism="{mechanism or "SCRAM-SHA-256"}"' in used[0].text()


def test_carbons_and_a_room(sandbox: Sandbox, users: tuple[int, int], group: Callable[..., str]) -> None:
    mary, joe = users
    room = JID(f"7001_{group(mary, joe)}@muc.localhost")

    async def test() -> None:
        async with online(sandbox, mary) as one, online(sandbox, mary, "desk") as desk, online(sandbox, joe) as other:
            await soon(desk.plugin["xep_0280"].enable())
            one.send_message(mto=JID(other.boundjid.bare), mbody="hello", mtype="chat")
            carbon = await soon(desk.carbons.get())
            assert carbon["carbon_sent"]["body"] == "hello"
            await soon(desk.plugin["xep_0280"].disable())
            await soon(other.plugin["xep_0045"].join_muc_wait(room, str(joe)))
            await soon(one.plugin["xep_0045"].join_muc_wait(room, str(mary)))
            assert sorted(one.plugin["xep_0045"].get_roster(room)) == [str(mary), str(joe)]
            items = await soon(one.plugin["xep_0030"].get_items(jid=room))
            assert len(items["disco_items"]["items"]) == 2
            one.send_message(mto=room, mbody="all", mtype="groupchat")
            await soon(other.messages.get())
            got = await soon(other.messages.get())
            while not got["body"]:
                got = await soon(other.messages.get())
            assert (got["body"], got["mucnick"]) == ("all", str(mary))

    run(test())


def test_resume_after_a_lost_connection(sandbox: Sandbox, users: tuple[int, int]) -> None:
    mary, joe = users

    async def test() -> None:
        async with online(sandbox, mary) as one, online(sandbox, joe) as other:
            await soon(one.managed.wait())
            assert one.transport is not None
            one.transport.abort()
            other.send_message(mto=JID(one.boundjid.bare), mbody="meanwhile", mtype="chat")
            await soon(other.plugin["xep_0199"].ping())
            one.connect("127.0.0.1", sandbox.chat_port)
            await soon(one.resumed.wait())
            got = await soon(one.messages.get())
            assert got["body"] == "meanwhile"
            one.send_message(mto=JID(other.boundjid.bare), mbody="back", mtype="chat")
            assert (await soon(other.messages.get()))["body"] == "back"

    run(test())
