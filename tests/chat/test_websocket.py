"""Servers of WebSockets that refuse, or do what the sandbox does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from connectycube.chat import AsyncChat, Backoff, ConnectError, MessageReceived, Reason, Reconnecting, StreamRefused
from tests.chat.fake import (
    APP_ID,
    BIND,
    BIND_FEATURE,
    HOST,
    JID,
    PASSWORD,
    SASL,
    STREAMS,
    USER_ID,
    mechanisms,
)
from tests.integration.chats import Told
from tests.integration.support import run

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[Server]:
    options.setdefault("subprotocols", [Subprotocol("xmpp")])
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server


def chat_with(server: Server, **options: Any) -> AsyncChat:
    port = next(iter(server.sockets)).getsockname()[1]
    options = {"backoff": Backoff(first=0.01, maximum=0.05), **options}
    return AsyncChat(
        app_id=APP_ID,
        user_id=USER_ID,
        password=PASSWORD,
        host=HOST,
        transport="websocket",
        address=f"ws://127.0.0.1:{port}/path",
        allow_insecure=True,
        **options,
    )


def features(*found: str) -> str:
    return f"<stream:features xmlns:stream='{STREAMS}'>{''.join(found)}</stream:features>"


async def session(peer: ServerConnection) -> None:
    """Begin a session as RFC 7395 has it, one element in each frame."""
    for offered in (mechanisms("PLAIN"), BIND_FEATURE):
        opening = ET.fromstring(str(await peer.recv()))
        assert (opening.tag, opening.get("to"), opening.get("version")) == (f"{{{FRAMING}}}open", HOST, "1.0")
        await peer.send(f"<open xmlns='{FRAMING}' from='{HOST}' id='1' version='1.0'/>")
        await peer.send(features(offered))
        if offered != BIND_FEATURE:
            assert str(await peer.recv()).startswith("<auth ")
            await peer.send(f"<success xmlns='{SASL}'/>")
    bind = str(await peer.recv())
    request_id = bind.partition('id="')[2].partition('"')[0]
    result = f"<bind xmlns='{BIND}'><jid>{JID}</jid></bind>"
    await peer.send(f"<iq xmlns='jabber:client' type='result' id='{request_id}'>{result}</iq>")


async def answers(peer: ServerConnection) -> None:
    async for frame in peer:
        text = str(frame)
        assert text.count("xmlns=") >= 1, "a frame is a document of its own"
        if text.startswith("<close"):
            await peer.send(f"<close xmlns='{FRAMING}'/>")
        elif text.startswith("<iq") and 'type="result"' not in text:
            request_id = text.partition('id="')[2].partition('"')[0]
            await peer.send(f"<iq xmlns='jabber:client' type='result' id='{request_id}' from='{HOST}'/>")


def message(body: str) -> str:
    return (
        f"<message xmlns='jabber:client' from='5-{APP_ID}@{HOST}' type='chat' id='{body}'><body>{body}</body></message>"
    )


def test_fragments_are_joined_and_elements_are_sent_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def handler(peer: ServerConnection) -> None:
            await session(peer)
            text = message("in pieces")
            await peer.send([text[:10], text[10:50], text[50:]])
            pong = await peer.ping()
            await answers(peer)
            await pong

        async with serving(handler) as server:
            chat = chat_with(server, roster=False)
            told = Told(chat)
            async with chat:
                assert (await told.one(MessageReceived)).message.body == "in pieces"
                assert await chat.ping() > 0

    with caplog.at_level(logging.DEBUG):
        run(main())
    ours = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
    assert not [words for words in ours if "<auth" in words]


def test_flood_leaves_time_for_others() -> None:
    async def main() -> None:
        async def handler(peer: ServerConnection) -> None:
            await session(peer)
            for number in range(1000):
                await peer.send(message(f"{number:03}".ljust(500, ".")))
            await answers(peer)

        async with serving(handler) as server:
            chat = chat_with(server, roster=False)
            turn = most = 0

            def next_turn() -> None:
                nonlocal turn
                turn = 0

            @chat.on(MessageReceived)
            def count(_: MessageReceived) -> None:
                nonlocal turn, most
                if not turn:
                    asyncio.get_running_loop().call_soon(next_turn)
                turn += 1
                most = max(most, turn)

            told = Told(chat)
            async with chat:
                await told.all(MessageReceived, 1000)
                assert 1 < most < 50  # Of a kilobyte each; asyncio alone reads 256 KiB at once.

    run(main())


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (HTTPStatus.NOT_FOUND, StreamRefused, Reason.PROTOCOL),
        (HTTPStatus.FOUND, StreamRefused, Reason.PROTOCOL),
        (HTTPStatus.SERVICE_UNAVAILABLE, ConnectError, Reason.NETWORK),
    ],
)
def test_refused_upgrade_is_reported(status: HTTPStatus, kind: type[ConnectError], reason: Reason) -> None:
    async def main() -> None:
        def refuse(peer: ServerConnection, _: Request) -> Response:
            return peer.respond(status, "not here")

        async with serving(session, process_request=refuse) as server:
            with pytest.raises(ConnectError, match=str(status.value)) as failed:
                await chat_with(server, auto_reconnect=False).connect()
            assert (type(failed.value), failed.value.reason) == (kind, reason)

    run(main())


def test_server_must_speak_xmpp() -> None:
    async def main() -> None:
        async with serving(session, subprotocols=None) as server:
            with pytest.raises(StreamRefused, match="subprotocol"):
                await chat_with(server).connect()

    run(main())


@pytest.mark.parametrize("what", ["close", "binary", "element", "document type", "abort"])
def test_end_of_a_websocket_is_retried(what: str) -> None:
    async def main() -> None:
        visits = 0

        async def handler(peer: ServerConnection) -> None:
            nonlocal visits
            visits += 1
            await session(peer)
            if visits == 1:
                await peer.recv()
                if what == "close":
                    await peer.close(1001)
                elif what == "abort":
                    peer.transport.abort()
                elif what == "binary":
                    await peer.send(b"<message/>")
                elif what == "element":
                    await peer.send(f"<close xmlns='{FRAMING}'/>")
                else:
                    await peer.send(f"<!DOCTYPE x><close xmlns='{FRAMING}'/>")
            await answers(peer)

        async with serving(handler) as server:
            chat = chat_with(server, roster=False)
            told = Told(chat)
            async with chat:
                await told.one(Reconnecting)
                await chat.connect()
                assert chat.online

    run(main(), timeout=30)
