"""`connectycube-sandbox`, as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from attrs import frozen

from connectycube.chat import (
    AsyncChat,
    ContactAccepted,
    ContactRequested,
    Event,
    EventStream,
    MessageReceived,
    PrivacyRule,
)
from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.sandbox import Sandbox
from tests.sandbox.test_testing import SEED

PASSWORD = "correct-horse-9"
PORTS = ("--port", "--chat-port", "--chat-tls-port", "--websocket-port", "--secure-websocket-port")

E = TypeVar("E", bound=Event)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "connectycube.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ended(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_it_prints_its_addresses_as_json_and_stops_cleanly(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    with running("--json", "--seed", str(seed), "--app-id", "12", "--auth-key", "own-key") as process:
        found = json.loads(first_line(process))
        with ConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"]) as cube:
            assert cube.login(login="mary", password="correct-horse-9").application_id == 12
        assert found["chat_host"] == "localhost"
        chat = urlsplit(found["websocket_url"]), urlsplit(found["secure_websocket_url"])
        # Clients of WebSocket take the chat's domain from its address.
        assert [(one.scheme, one.hostname) for one in chat] == [("ws", "localhost"), ("wss", "localhost")]
        for port in (found["chat_port"], found["chat_tls_port"], *(one.port for one in chat)):
            socket.create_connection(("127.0.0.1", port)).close()
        assert ended(process) == (0, "")


def test_it_prints_its_addresses_as_text() -> None:
    with running() as process:
        line = first_line(process)
        assert line.startswith("REST and page")
        assert httpx.get(line.split()[-1]).status_code == 200
        assert ended(process, signal.SIGTERM) == (0, "")


def test_it_warns_loudly_outside_the_loopback_interface() -> None:
    with running("--host", "0.0.0.0") as process:
        first_line(process)
        code, errors = ended(process)
    assert code == 0
    assert "Anyone who can reach this machine" in errors


LOADED = """
import sys
from connectycube.sandbox import cli
print(sorted({"uvicorn", "starlette", "connectycube.sandbox.core"} & set(sys.modules)))
"""


def test_it_can_be_interrupted_before_slow_imports() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_it_stops_during_calls() -> None:
    with running("--json") as process, ExitStack() as stack:
        found = json.loads(first_line(process))
        address = ("127.0.0.1", urlsplit(found["api_url"]).port)
        for path in ("/session", "/storage/files"):
            client = stack.enter_context(socket.create_connection(address))
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{{".encode())
        # Both have been read when another call is answered.
        assert httpx.get(found["api_url"]).status_code == 200
        assert ended(process, signal.SIGTERM) == (0, "")


def test_a_closed_stdout_is_reported_in_one_line() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "connectycube.sandbox", "--port", "0"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    text = "connectycube-sandbox: can't print the addresses: Broken pipe\n"
    assert (done.returncode, done.stderr) == (1, text)


@asynccontextmanager
async def entered(found: dict[str, Any], login: str, token: str | None = None) -> AsyncIterator[User]:
    """A user over REST and in the chat; given a token, without a login."""
    async with AsyncConnectyCube(
        found["app_id"], found["auth_key"], base_url=found["api_url"], token=token, max_retries=0
    ) as cube:
        if token is None:
            await cube.login(login=login, password=PASSWORD, create=True)
            assert cube.session is not None
            token = cube.session.token
        user_id = (await cube.sessions.get()).user_id
        assert user_id is not None
        assert token is not None
        address: dict[str, Any] = {"host": found["chat_host"], "port": found["chat_port"], "tls": "none"}
        chat = AsyncChat(cube, user_id=user_id, app_id=found["app_id"], **address)
        events = chat.events()
        async with chat:
            yield User(user_id, token, cube, chat, events)


@frozen
class User:
    id: int
    token: str
    cube: AsyncConnectyCube
    chat: AsyncChat
    events: EventStream[Event]

    async def told(self, kind: type[E]) -> E:
        async with asyncio.timeout(60):
            return await anext(event async for event in self.events if isinstance(event, kind))


def test_all_data_survives_a_kill(tmp_path: Path) -> None:
    arguments = ("--json", "--data", str(tmp_path / "sandbox.db"))

    async def before(found: dict[str, Any]) -> tuple[str, str, str, str]:
        async with entered(found, "mary") as mary:
            async with entered(found, "omar") as omar:
                group = await mary.cube.dialogs.create(type=2, name="Kept", occupants_ids=[omar.id])
                sent = await mary.chat.send(group, "over the chat")
                await omar.told(MessageReceived)
                file = await mary.cube.files.upload(b"content", name="kept.txt")
                await mary.chat.contacts.request(omar.id, name="Omar")
                await omar.told(ContactRequested)
                await omar.chat.contacts.accept(mary.id)
                await mary.told(ContactAccepted)
                await omar.chat.privacy.set("quiet", [PrivacyRule(user_id=mary.id, deny=True)])
                await omar.chat.privacy.activate("quiet")
                await omar.chat.privacy.deactivate()
                await mary.chat.privacy.block(81999)
                token = omar.token
            await mary.chat.send(omar.id, "for later")
            assert file.uid is not None
            assert group.id is not None
            return token, group.id, sent.id, file.uid

    async def after(found: dict[str, Any], token: str, group: str, message_id: str, uid: str) -> None:
        async with entered(found, "omar", token) as omar, entered(found, "mary") as mary:
            assert (await omar.told(MessageReceived)).message.body == "for later"
            assert {one.name async for one in await omar.cube.dialogs.list() if one.type == 2} == {"Kept"}
            history = await omar.cube.messages.list(chat_dialog_id=group)
            assert [(one.id, one.message) async for one in history] == [(message_id, "over the chat")]
            assert await omar.cube.files.download(uid) == b"content"
            assert (mary.chat.contacts[omar.id].name, mary.chat.contacts[omar.id].subscription) == ("Omar", "both")
            assert omar.chat.contacts[mary.id].subscription == "both"
            assert await omar.chat.privacy.names() == ("quiet",)
            assert [one.user_id for one in await omar.chat.privacy.get("quiet")] == [mary.id]
            assert await mary.chat.privacy.blocked() == (81999,)
            assert (omar.chat.privacy.default, mary.chat.privacy.default is None) == (None, False)

    with running(*arguments) as process:
        kept = asyncio.run(before(json.loads(first_line(process))))
        process.kill()
    with running(*arguments) as process:
        asyncio.run(after(json.loads(first_line(process)), *kept))


WITHOUT_CERTIFICATES = """
import sys
sys.modules["trustme"] = None
from connectycube.sandbox.cli import main
sys.exit(main(["--port", "0", "--json"]))
"""


def test_a_chat_that_cannot_start_ends_it_with_the_reason() -> None:
    command = [sys.executable, "-c", WITHOUT_CERTIFICATES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = json.loads(first_line(process))["chat_port"]
        with socket.create_connection(("127.0.0.1", port)):
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("connectycube-sandbox: the chat could not be started: ModuleNotFoundError: ")
    assert errors.count("\n") == 1


def test_all_ports_can_be_chosen() -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        ports = [one.getsockname()[1] for one in taken]
    arguments = [text for name, port in zip(PORTS, ports, strict=True) for text in (name, str(port))]
    with running("--json", *arguments) as process:
        found = json.loads(first_line(process))
        urls = (found[name] for name in ("api_url", "websocket_url", "secure_websocket_url"))
        rest, websocket, secure_websocket = (urlsplit(url).port for url in urls)
        assert [rest, found["chat_port"], found["chat_tls_port"], websocket, secure_websocket] == ports
        assert ended(process) == (0, "")


def test_the_certificate_file_is_printed_if_it_is_kept(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with running("--json", "--ca-file", str(ca_file)) as process:
        found = json.loads(first_line(process))
        assert found["ca_file"] == str(ca_file)
        context = ssl.create_default_context(cafile=ca_file)
        with socket.create_connection(("127.0.0.1", found["chat_tls_port"])) as plain:
            context.wrap_socket(plain, server_hostname=found["chat_host"]).close()
        assert ended(process) == (0, "")


def refused(*arguments: str) -> str:
    """Why a sandbox with these arguments does not start: one line, and nothing else."""
    with running(*arguments) as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert errors.startswith("connectycube-sandbox: ")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize("name", PORTS)
def test_a_taken_port_is_named(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1: Address already in use" in refused(name, port)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "192.0.2.1"], "Cannot assign"),
        (["--host", ""], "host to listen on is empty"),
        (["--host", "é..b"], "label empty or too long"),
        (["--chat-host", "two words"], "chat_host must be a host name"),
        (["--app-id", "-1"], "app_id must be"),
        (["--auth-key", ""], "auth_key must be"),
        (["--admin-key", "ключ"], "admin_key must be"),
        (["--seed", "missing.yaml"], "No such file"),
        (["--data", "missing/sandbox.db"], "unable to open"),
        (["--data", "."], "unable to open"),
        (["--ca-file", "missing/ca.pem"], "No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_start_errors_are_reported_in_one_line(arguments: list[str], text: str) -> None:
    assert text in refused(*arguments)


@pytest.mark.parametrize("content", ["users: 3", "users: [", "- x", "\0", "users: [{login: x, login: [}]", "[" * 9999])
def test_a_broken_seed_is_reported_in_one_line(content: str, tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(content)
    refused("--seed", str(seed))


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_an_invalid_port_is_rejected(port: str) -> None:
    with running("--chat-port", port) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.endswith(f"error: argument --chat-port: {port!r} is not a port (0 to 65535)\n")


def test_a_data_file_belongs_to_one_sandbox_at_a_time(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "sandbox.db"))
    with running(*data) as process:
        first_line(process)
        assert "is in use" in refused(*data)
        process.kill()
        process.wait()
    with running(*data) as process:
        assert first_line(process)
        assert ended(process) == (0, "")


def peak(process: subprocess.Popen[str]) -> int:
    """The most memory that a process has had, in bytes.

    On Linux `ru_maxrss` starts with the peak of the process that started this one, so the kernel's own figure for the
    present program is read there.
    """
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    process.terminate()
    return os.wait4(process.pid, 0)[2].ru_maxrss


def test_the_largest_upload_is_never_entirely_in_memory(tmp_path: Path) -> None:
    size = 100 * 1024 * 1024
    with running("--json", "--data", str(tmp_path / "sandbox.db")) as process:
        found = json.loads(first_line(process))
        with ConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"]) as cube:
            cube.login(login="mary", password=PASSWORD, create=True)
            assert cube.files.upload(bytes(size)).size == size
        assert peak(process) < size


def test_a_damaged_data_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with Sandbox(data=path):
        pass
    whole = path.read_bytes()
    path.write_bytes(b"This is no database at all." * 100)
    assert "not a data file" in refused("--data", str(path))
    path.write_bytes(whole[:30_000])
    assert "damaged" in refused("--data", str(path))
    path.write_bytes(whole[:5000] + b"x" * 9000 + whole[14_000:])
    assert "damaged" in refused("--data", str(path))
