"""The fence: once it is closed, not one more byte is written."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest

from connectycube.chat import AsyncChat, ChatError, Reconnecting, StreamConflict
from connectycube.chat.connection.dialing import FencedSocket
from tests.integration.chats import Person, Users
from tests.integration.lines import FAST
from tests.integration.proxy import FaultProxy
from tests.integration.server import Server
from tests.integration.support import drained, run
from tests.integration.test_transports import options

Act = Callable[[AsyncChat, FaultProxy], Awaitable[object]]


class Fence:
    """A fence that is open at first."""

    def __init__(self) -> None:
        self.open = True

    def may_write(self) -> bool:
        return self.open


async def send(chat: AsyncChat, _: FaultProxy) -> None:
    with contextlib.suppress(ChatError):
        await chat.send(chat.user_id, "too late")


async def ping(chat: AsyncChat, _: FaultProxy) -> None:
    with contextlib.suppress(ChatError):
        await chat.ping()


async def disconnect(chat: AsyncChat, _: FaultProxy) -> None:
    await chat.disconnect()


async def lose(_: AsyncChat, proxy: FaultProxy) -> None:
    proxy.cut()


@pytest.mark.parametrize("act", [send, ping, disconnect, lose])
@pytest.mark.parametrize(("transport", "tls"), [("tcp", "direct"), ("tcp", "starttls"), ("websocket", "none")])
def test_nothing_is_written_once_the_fence_is_closed(
    server: Server, users: Users, transport: str, tls: str, act: Act
) -> None:
    async def main() -> None:
        ports = {"direct": server.ports.tls, "starttls": server.ports.starttls, "none": server.ports.http}
        async with FaultProxy("127.0.0.1", ports[tls]) as proxy:
            settings = options(server, "tcp" if transport == "tcp" else "websocket", proxy.port)
            settings["tls"] = tls
            person, fence = Person(server, users(), backoff=FAST, keepalive=None, **settings), Fence()
            chat = person.chat
            chat._fence(fence.may_write)
            await chat.connect()
            await chat.ping()
            proxy.stall("down")  # From now on, nothing comes that the chat would answer.
            fence.open = False
            await drained()  # What was written before, such as an acknowledgement, arrives.
            before = proxy.received["up"]
            await act(chat, proxy)
            if act is not disconnect:
                with pytest.raises(StreamConflict, match="belongs to another process"):
                    await chat.wait_closed()
            assert not person.told.of(Reconnecting)
            proxy.resume()
            await proxy.idle()
            assert (proxy.received["up"], proxy.connections) == (before, 1)
            with pytest.raises(StreamConflict):
                await chat.connect()
            assert proxy.connections == 1

    run(main())


def test_an_answer_to_the_server_is_not_written_either(server: Server, users: Users) -> None:
    async def main() -> None:
        async with FaultProxy("127.0.0.1", server.ports.tls) as proxy:
            person, fence = Person(server, users(), port=proxy.port, keepalive=None), Fence()
            friend = Person(server, users())
            person.chat._fence(fence.may_write)
            async with friend.chat:
                await person.chat.connect()
                await person.chat.ping()
                fence.open = False
                await drained()  # What was written before, such as an acknowledgement, arrives.
                before = proxy.received["up"]
                await friend.chat.send(person.id, "acknowledge this", markable=True)
                with pytest.raises(StreamConflict):
                    await person.chat.wait_closed()
                await proxy.idle()
                assert proxy.received["up"] == before

    run(main())


def test_what_the_transport_holds_is_dropped() -> None:
    """As in a process that was frozen, and goes on after its lease has ended."""

    async def main() -> None:
        loop, fence = asyncio.get_running_loop(), Fence()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        fenced = FencedSocket(ours, fence.may_write)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=fenced)
        size = 10 * 1024 * 1024
        transport.write(bytes(size))
        left = transport.get_write_buffer_size()
        assert left
        fence.open = False
        with theirs:
            found = 0
            while data := await loop.sock_recv(theirs, 1024 * 1024):
                found += len(data)
        assert found == size - left

    run(main())
