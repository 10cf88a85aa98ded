"""The same guarantees over TCP and over WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from connectycube.chat import (
    AsyncChat,
    AuthenticationFailed,
    Connected,
    MessageReceived,
    Reconnected,
    Reconnecting,
    TlsRefused,
)
from connectycube.sandbox import Sandbox
from tests.integration.chats import Person, Users, chat_of, people
from tests.integration.lines import FAST, back, wait_body
from tests.integration.proxy import FaultProxy
from tests.integration.server import Server, User
from tests.integration.support import run

Transport = Literal["tcp", "websocket"]


@pytest.fixture(params=["tcp", "websocket"])
def transport(request: pytest.FixtureRequest) -> Transport:
    found: Transport = request.param
    return found


def options(server: Server, transport: Transport, port: int | None = None) -> dict[str, Any]:
    """The options of a chat that uses a transport, over a proxy's port if there is one."""
    if transport == "tcp":
        return {"tls": "direct", "port": port or server.ports.tls}
    return {
        "transport": "websocket",
        "tls": "none",
        "port": None,
        "address": f"ws://localhost:{port or server.ports.http}/ws",
    }


def test_message_sent_after_connected_is_not_kept_for_later(server: Server, users: Users, transport: Transport) -> None:
    """Until the server has handled the presence, it would be: for a moment, or even until the next session."""

    async def main() -> None:
        async with people(server, users()) as (friend,):
            person = Person(server, users(), **options(server, transport))

            @person.chat.on(Connected)
            async def write(event: Connected) -> None:
                await friend.chat.send(person.id, "Hello")

            async with person.chat:
                message = (await person.told.one(MessageReceived)).message
            assert (message.body, message.delayed) == ("Hello", None)

    run(main())


@asynccontextmanager
async def behind(server: Server, user: User, transport: Transport) -> AsyncIterator[tuple[Person, FaultProxy]]:
    target = server.ports.tls if transport == "tcp" else server.ports.http
    async with FaultProxy("127.0.0.1", target) as proxy:
        person = Person(server, user, backoff=FAST, **options(server, transport, proxy.port))
        async with person.chat:
            yield person, proxy


def test_messages_pass_both_ways(server: Server, users: Users, transport: Transport) -> None:
    async def main() -> None:
        async with people(server, users(), users(), **options(server, transport)) as (one, other):
            texts = ["<&>\"'", "déjà vu \U0001f600", "x" * 20_000, *map(str, range(100))]
            await asyncio.gather(*(one.chat.send(other.id, text) for text in texts))
            found = await other.told.all(MessageReceived, len(texts))
            assert [event.message.body for event in found] == texts
            await other.chat.send(one.id, "back")
            await wait_body(one, "back")
            assert await one.chat.disconnect() == ()

    run(main())


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_cut_session_is_resumed(
    server: Server, users: Users, transport: Transport, how: Literal["reset", "fin"]
) -> None:
    async def main() -> None:
        async with (
            behind(server, users(), transport) as (reader, proxy),
            people(server, users(), **options(server, transport)) as (sender,),
        ):
            for number in range(10):
                proxy.refuse()
                proxy.cut(how)
                await reader.told.all(Reconnecting, number + 1)
                await sender.chat.send(reader.id, f"in {number}")
                sending = asyncio.ensure_future(reader.chat.send(sender.id, f"out {number}"))
                await proxy.accept()
                assert await back(reader, number + 1) is True
                await sending
            await wait_body(reader, "in 9")
            await wait_body(sender, "out 9")
            for person, word in ((reader, "in"), (sender, "out")):
                bodies = [event.message.body for event in person.told.of(MessageReceived)]
                assert bodies == [f"{word} {number}" for number in range(10)]

    run(main())


def test_wrong_password_is_refused(server: Server, users: Users, transport: Transport) -> None:
    async def main() -> None:
        wrong = User(users().id, "not-the-password")
        with pytest.raises(AuthenticationFailed) as failed:
            await chat_of(server, wrong, **options(server, transport)).connect()
        assert failed.value.condition == "not-authorized"

    run(main())


def test_server_restart_is_survived(server: Server, users: Users, transport: Transport) -> None:
    async def main() -> None:
        async with people(server, users(), backoff=FAST, **options(server, transport)) as (one,):
            await asyncio.to_thread(server.restart)
            await one.told.one(Reconnected)
            assert await one.chat.ping() > 0

    run(main())


def test_secure_websocket_checks_the_certificate() -> None:
    async def main() -> None:
        with Sandbox() as sandbox:
            password = "Secret-4711"
            user = sandbox.create_user("mary", password)
            found: dict[str, Any] = {
                "app_id": sandbox.app_id,
                "user_id": user.id,
                "password": password,
                "transport": "websocket",
                "address": sandbox.secure_websocket_url,
            }

            async with AsyncChat(**found, host=sandbox.chat_host, ssl_context=sandbox.ssl_context) as chat:
                assert chat.online
            for host, context in ((sandbox.chat_host, None), ("elsewhere.example", sandbox.ssl_context)):
                with pytest.raises(TlsRefused):
                    await AsyncChat(**found, host=host, ssl_context=context).connect()

    run(main())
