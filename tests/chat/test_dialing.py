"""How the chat finds and reaches a server: addresses, SRV records, proxies, redirections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import dns.asyncresolver
import pytest

from connectycube.chat import (
    AsyncChat,
    Backoff,
    Chat,
    ConnectError,
    NotConnected,
    Reason,
    Reconnected,
    Reconnecting,
    State,
)
from connectycube.rest import ConfigurationError, InvalidArgument
from tests.chat.fake import HOST, PASSWORD, Fake, Peer, chat_with, failing, online, plays_along
from tests.integration.support import run

NAME = "chat.example.test"
OPTIONS: dict[str, Any] = {
    "app_id": 1,
    "user_id": 2,
    "password": PASSWORD,
    "backoff": Backoff(first=0.01, maximum=0.01),
}


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str, name: str = HOST) -> None:
    """Let a name have other addresses."""
    real = socket.getaddrinfo

    def fake(host: str, port: int, **options: Any) -> Any:
        found = addresses if host == name else (host,)
        return [info for address in found for info in real(address, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", fake)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A resolver that does not answer before the test ends; the names it was asked for."""
    asked: list[str] = []
    over = threading.Event()

    def fake(host: str, port: int, **options: Any) -> Any:
        asked.append(host)
        over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    yield asked
    over.set()
    for thread in threading.enumerate():
        if thread.name.startswith("connectycube resolver"):
            thread.join(30)


# Addresses


def test_unreachable_address_does_not_delay_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            with contextlib.ExitStack() as stack:
                deaf = stack.enter_context(socket.socket())  # With a full backlog, it ignores connections.
                deaf.bind(("127.0.0.2", fake.port))
                deaf.listen(0)
                for _ in range(3):
                    caller = stack.enter_context(socket.socket())
                    caller.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        caller.connect(deaf.getsockname())
                resolve(monkeypatch, "127.0.0.2", "127.0.0.1")
                async with chat_with(fake, auto_reconnect=False) as chat:
                    assert chat.online

    run(main())


def test_address_that_fails_is_not_tried_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            broken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.2", fake.port)
            async with broken:
                resolve(monkeypatch, "127.0.0.2", "127.0.0.1")
                chat = chat_with(fake)
                lost: list[Reconnecting] = []
                chat.on(Reconnecting)(lost.append)
                async with chat:
                    assert (len(lost), lost[0].error.reason) == (1, Reason.NETWORK)

    run(main())


def test_hanging_resolver_blocks_nothing_else(hanging: list[str]) -> None:
    async def main() -> None:
        chat = AsyncChat(**OPTIONS, host=NAME, port=5223, timeout=0.05)
        connecting = asyncio.ensure_future(chat.connect(timeout=60))
        chat.on(Reconnecting)(lambda event: hanging.append("again"))
        while hanging.count("again") < 10:
            await asyncio.sleep(0.01)
        # All attempts wait for one lookup, and the threads of the application are free.
        assert hanging.count(NAME) == 1
        await asyncio.to_thread(lambda: None)
        await chat.disconnect()
        with pytest.raises((ConnectError, NotConnected)):
            await connecting

    run(main())


def test_hanging_resolver_does_not_outlast_the_timeout(hanging: list[str]) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError) as failed:
            await AsyncChat(**OPTIONS, host=NAME, port=5223).connect(timeout=0.1)
        assert failed.value.reason is Reason.TIMEOUT

    run(main())
    with pytest.raises(ConnectError):
        Chat(**OPTIONS, host=NAME, port=5223, timeout=0.1).connect()
    assert len(hanging) <= 2


def test_timeout_of_the_constructor_bounds_connect() -> None:
    async def main() -> None:
        async with Fake(failing("features", b"")) as fake:
            chat = chat_with(fake, timeout=0.1)
            with pytest.raises(ConnectError, match=r"within 0\.1 seconds"):
                await chat.connect()
            assert chat.state.name is State.OFFLINE

    run(main())


def test_address_is_dialled_in_place_of_the_host() -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            options = {"port": None, "host": "chat.example.test", "address": f"127.0.0.1:{fake.port}"}
            async with chat_with(fake, **options) as chat:
                assert chat.online

    run(main())


@pytest.mark.parametrize(
    ("host", "dialled", "rooms"),
    [
        ("::1", ("::1", 5223), "[::1]"),
        ("[::1]", ("::1", 5223), "[::1]"),
        ("127.0.0.1", ("127.0.0.1", 5223), "muc.127.0.0.1"),
        ("Chat.Bücher.Example", ("chat.xn--bcher-kva.example", 5223), "muc.chat.bücher.example"),
        ("localhost.", ("localhost", 5223), "muc.localhost"),
    ],
)
def test_hosts_may_be_addresses_or_international(host: str, dialled: tuple[str, int], rooms: str) -> None:
    settings = AsyncChat(**OPTIONS, host=host)._settings
    assert (settings.dial, settings.certified) == (dialled, dialled[0])
    assert settings.addresses.muc_host == rooms


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"address": "a.example:"}, "address"),
        ({"address": "a.example/path"}, "address"),
        ({"address": "a.example:99999"}, "address"),
        ({"address": 5}, "address"),
        ({"address": "a.example:1", "port": 2}, "contradicts"),
        ({"host": 5}, "host"),
        ({"transport": "udp"}, "transport"),
        ({"transport": "websocket", "tls": "starttls"}, "starttls"),
        ({"transport": "websocket", "address": "https://a.example/"}, "wss://"),
        ({"srv": True, "host": "127.0.0.1"}, "srv"),
        ({"proxy": "ftp://secret@a.example:1"}, "proxy"),
        ({"proxy": "socks5://secret@a.example"}, "proxy"),
        ({"proxy": 5}, "proxy"),
    ],
)
def test_invalid_arguments_are_rejected(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as failed:
        AsyncChat(**OPTIONS, **options)
    assert "secret" not in str(failed.value)


def test_no_tls_is_refused_for_remote_addresses() -> None:
    proxied: dict[str, Any] = {"host": "localhost", "proxy": "socks5://a.example:1"}
    for options in (proxied, {"address": "a.example:1"}):
        with pytest.raises(ConfigurationError, match="allow_insecure"):
            AsyncChat(**OPTIONS, **options, tls="none")
    with pytest.raises(ConfigurationError, match="ws://"):
        AsyncChat(**OPTIONS, transport="websocket", address="ws://a.example/")


# SRV records


def serve_records(monkeypatch: pytest.MonkeyPatch, *records: tuple[str, int]) -> list[str]:
    """Answer questions for SRV records; the names that were asked for."""
    asked: list[str] = []

    async def find(name: str, kind: str, **_: Any) -> Any:
        asked.append(name)
        if not records:
            raise dns.resolver.NXDOMAIN
        targets = [SimpleNamespace(target=dns.name.from_text(f"{host}."), port=port) for host, port in records]
        return SimpleNamespace(rrset=SimpleNamespace(processing_order=lambda: targets))

    monkeypatch.setattr(dns.asyncresolver, "Resolver", lambda: SimpleNamespace(resolve=find))
    return asked


def test_srv_records_name_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            asked = serve_records(monkeypatch, ("first.example.test", fake.port), ("second.example.test", fake.port))
            resolve(monkeypatch, "127.0.0.1", name="second.example.test")
            async with chat_with(fake, port=None, host=NAME) as chat:
                assert chat.online
            assert asked == [f"_xmpp-client._tcp.{NAME}."]

    run(main())


def test_domain_without_srv_records_is_dialled_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        asked = serve_records(monkeypatch)
        resolve(monkeypatch, "127.0.0.1", name=NAME)
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        chat = AsyncChat(**OPTIONS, host=NAME, port=port, srv=True, auto_reconnect=False)
        with pytest.raises(ConnectError, match=f"{NAME}:{port}"):
            await chat.connect()
        assert asked == [f"_xmpps-client._tcp.{NAME}."]

    run(main())


def test_srv_records_may_say_that_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        serve_records(monkeypatch, ("", 0))
        with pytest.raises(ConnectError, match="does not offer this service"):
            await AsyncChat(**OPTIONS, host=NAME, auto_reconnect=False).connect()

    run(main())


@pytest.mark.parametrize("options", [{"port": 5223}, {"address": NAME}, {"srv": False}, {"host": "localhost"}])
def test_explicit_addresses_need_no_srv_records(options: dict[str, Any]) -> None:
    assert AsyncChat(**OPTIONS, **{"host": NAME, **options})._settings.srv is False
    assert AsyncChat(**OPTIONS, host=NAME)._settings.srv is True


# Proxies


@asynccontextmanager
async def proxy(kind: str, refuse: bool = False) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that connects to loopback; its port, and the names that it was asked for."""
    asked: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "http":
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            name, _, port = request.split()[1].rpartition(":")
            answer = b"HTTP/1.1 403 Forbidden\r\n\r\n" if refuse else b"HTTP/1.1 200 OK\r\n\r\n"
        else:
            _, count = await reader.readexactly(2)
            await reader.readexactly(count)
            writer.write(b"\x05\x00")
            *_, kind_of_address, length = await reader.readexactly(5)
            assert kind_of_address == 3, "the name was resolved before the proxy"
            name = (await reader.readexactly(length)).decode()
            port = str(int.from_bytes(await reader.readexactly(2), "big"))
            answer = bytes((5, 2 if refuse else 0, 0, 1, 0, 0, 0, 0, 0, 0))
        asked.append(name)
        writer.write(answer)
        if refuse:
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", int(port))
        await asyncio.gather(pipe(reader, back), pipe(there, writer))

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "http"])
def test_proxy_resolves_and_connects(kind: str) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake, proxy(kind) as (port, asked):
            async with chat_with(fake, host=NAME, proxy=f"{kind}://127.0.0.1:{port}") as chat:
                assert chat.online
            assert asked == [NAME]

    run(main())


@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_refusal_of_a_proxy_is_reported_without_its_password(kind: str) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake, proxy(kind, refuse=True) as (port, _):
            url = f"{kind}://user:{'' if kind == 'socks5' else 'Secret-0815'}@127.0.0.1:{port}"
            chat = chat_with(fake, host=NAME, proxy=url, auto_reconnect=False)
            with pytest.raises(ConnectError, match="proxy refused") as failed:
                await chat.connect()
            assert failed.value.reason is Reason.NETWORK
            assert "Secret" not in str(failed.value) + repr(chat._settings)

    run(main())


# see-other-host


def elsewhere(address: str) -> str:
    ns = "urn:ietf:params:xml:ns:xmpp-streams"
    return f"<stream:error><see-other-host xmlns='{ns}'>{address}</see-other-host></stream:error></stream:stream>"


def test_redirection_to_another_port_is_followed() -> None:
    async def main() -> None:
        async with Fake(plays_along) as other, Fake(failing("features", elsewhere(f"localhost:{other.port}"))) as fake:
            async with chat_with(fake) as chat:
                assert chat.online
            assert (fake.attempts, other.attempts) == (1, 1)

    run(main())


def test_failed_redirection_returns_to_the_original_server() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        async with Fake(failing("features", elsewhere(f"localhost:{port}")), plays_along) as fake:
            async with chat_with(fake) as chat:
                assert chat.online
            assert fake.attempts == 2

    run(main())


# Reconnecting now


def test_reconnect_now_ends_a_wait() -> None:
    async def main() -> None:
        async with online(backoff=Backoff(first=1000, spread=0)) as (chat, told, peer):
            peer.hang_up()
            await told.one(Reconnecting)
            await chat.reconnect_now()
            await told.one(Reconnected)

    run(main())


def test_reconnect_now_keeps_a_connection_that_answers() -> None:
    async def main() -> None:
        async with online() as (chat, told, _):
            await chat.reconnect_now()
            assert chat.online
            assert not told.of(Reconnecting)

    run(main())


def test_reconnect_now_replaces_a_dead_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("connectycube.chat.connection.driver.CHECK_TIME", 0.1)

        async def mute(peer: Peer) -> None:
            await peer.session()
            peer.answer(await peer.next())
            peer.answering = peer.acking = False

        async with online(mute, plays_along, backoff=Backoff(first=1000, spread=0)) as (chat, told, _):
            await chat.reconnect_now()
            await told.one(Reconnected)
            assert told.of(Reconnecting)[0].error.reason is Reason.TIMEOUT

    run(main())


def test_reconnect_now_requires_a_connected_chat() -> None:
    async def main() -> None:
        with pytest.raises(NotConnected):
            await AsyncChat(**OPTIONS, host=NAME).reconnect_now()

    run(main())
