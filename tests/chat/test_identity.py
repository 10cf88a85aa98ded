"""The user of a chat is fixed when it connects, whatever its REST client does afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from connectycube.chat import (
    AsyncChat,
    AuthenticationFailed,
    ConnectionFailed,
    MessageReceived,
    Reconnected,
    Reconnecting,
    State,
)
from connectycube.chat.machines.connection import Backoff
from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox
from tests.integration.chats import Told
from tests.integration.support import run

PASSWORD = "correct-horse-9"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        for name in ("ann", "bob", "carl"):
            found.create_user(name, PASSWORD)
        yield found


@pytest.fixture
def cube(sandbox: Sandbox) -> Iterator[ConnectyCube]:
    with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as found:
        found.login(login="ann", password=PASSWORD)
        yield found


def chat_of(sandbox: Sandbox, cube: ConnectyCube, backoff: Backoff | None = None) -> AsyncChat:
    return AsyncChat(
        cube,
        host=sandbox.chat_host,
        port=sandbox.chat_tls_port,
        ssl_context=sandbox.ssl_context,
        backoff=backoff or Backoff(first=0.01, maximum=0.05),
    )


def other_cube(sandbox: Sandbox, name: str) -> ConnectyCube:
    found = ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url)
    found.login(login=name, password=PASSWORD)
    return found


def test_queued_messages_are_sent_as_the_user_who_wrote_them(sandbox: Sandbox, cube: ConnectyCube) -> None:
    async def main() -> None:
        with other_cube(sandbox, "carl") as carls:
            ann, carl = chat_of(sandbox, cube), chat_of(sandbox, carls)
            async with ann, carl:
                told, answers, ann_id = Told(ann), carl.events(MessageReceived), ann.user_id
                cube.login(login="bob", password=PASSWORD)
                assert ann.user_id == ann_id
                sandbox.faults.chat.refuse_resume = 1
                sandbox.drop_connections(ann_id)
                await ann.send(carl.user_id, "from Ann")
                assert not (await told.one(Reconnected)).resumed
                assert (await anext(answers)).message.sender_id == ann_id
                assert ann.jid.startswith(f"{ann_id}-")

    run(main())


def test_chat_receives_messages_after_its_cube_has_logged_out(sandbox: Sandbox, cube: ConnectyCube) -> None:
    async def main() -> None:
        with other_cube(sandbox, "carl") as carls:
            ann, carl = chat_of(sandbox, cube), chat_of(sandbox, carls)
            async with ann, carl:
                received, ann_id = ann.events(MessageReceived), ann.user_id
                cube.logout()
                await carl.send(ann_id, "hello")
                assert (await anext(received)).message.body == "hello"
                assert ann.user_id == ann_id

    run(main())


def test_disconnected_chat_connects_as_the_same_user_again(sandbox: Sandbox, cube: ConnectyCube) -> None:
    async def main() -> None:
        ann = chat_of(sandbox, cube)
        async with ann:
            ann_id = ann.user_id
        cube.login(login="bob", password=PASSWORD)
        async with ann:
            assert ann.user_id == ann_id
            assert ann.jid.startswith(f"{ann_id}-")

    run(main())


def test_token_of_another_user_is_never_used(sandbox: Sandbox, cube: ConnectyCube) -> None:
    async def main() -> None:
        ann = chat_of(sandbox, cube)
        async with ann:
            told, ann_id = Told(ann), ann.user_id
            cube.logout()  # It ends the session, so the chat's token is no longer valid.
            cube.login(login="bob", password=PASSWORD)
            sandbox.faults.chat.refuse_resume = 1
            sandbox.drop_connections(ann_id)
            failed = await told.one(ConnectionFailed)
            assert type(failed.error) is AuthenticationFailed
            assert f"token of user {ann_id}" in str(failed.error)
            assert ann.state.name is State.OFFLINE

    run(main())


@pytest.mark.parametrize("status", [403, 404])
def test_page_in_place_of_the_rest_api_does_not_end_the_chat(sandbox: Sandbox, status: int) -> None:
    portal = False

    class Network(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(status, html="<h1>Log in</h1>") if portal else super().handle_request(request)

    async def main() -> None:
        nonlocal portal
        with (
            httpx.Client(transport=Network()) as network,
            ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url, http_client=network) as cube,
        ):
            cube.login(login="ann", password=PASSWORD)
            async with chat_of(sandbox, cube) as ann:
                told, portal = Told(ann), True
                sandbox.expire_sessions()
                sandbox.faults.chat.refuse_resume = 1
                sandbox.drop_connections(ann.user_id)
                assert "could not be renewed" in str((await told.all(Reconnecting, 3))[-1].error)
                portal = False
                await told.one(Reconnected)
                assert not told.of(ConnectionFailed)

    run(main())
