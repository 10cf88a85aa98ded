"""`connectycube-sandbox`, as a process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox
from tests.sandbox.test_testing import SEED


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
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


def test_its_addresses_come_as_json_and_it_ends_well(tmp_path: Path) -> None:
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


def test_its_addresses_come_as_text() -> None:
    with running() as process:
        line = first_line(process)
        assert line.startswith("REST and page")
        assert httpx.get(line.split()[-1]).status_code == 200
        assert ended(process, signal.SIGTERM) == (0, "")


def test_it_warns_loudly_off_the_loopback_interface() -> None:
    with running("--host", "0.0.0.0") as process:
        first_line(process)
        code, errors = ended(process)
    assert code == 0
    assert "Everybody who reaches this machine" in errors


def test_data_outlives_a_kill(tmp_path: Path) -> None:
    arguments = ("--json", "--data", str(tmp_path / "sandbox.db"))
    with running(*arguments) as process:
        found = json.loads(first_line(process))
        with ConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"]) as cube:
            cube.login(login="mary", password="correct-horse-9")
            cube.dialogs.create(type=4, name="Kept")
        process.kill()
    with running(*arguments) as process:
        found = json.loads(first_line(process))
        with ConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"]) as cube:
            cube.login(login="mary", password="correct-horse-9")
            assert [one.name for one in cube.dialogs.list()] == ["Kept"]


@pytest.mark.parametrize("what", ["port", "data", "seed"])
def test_what_hinders_it_is_told_in_one_line(what: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("users: 3" + " " * 200)
    with Sandbox() as sandbox:
        port = sandbox.api_url.rpartition(":")[2]
        arguments = {
            "port": ["--port", port],
            "data": ["--data", str(broken)],
            "seed": ["--seed", str(broken)],
        }[what]
        with running(*arguments) as process:
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.startswith("connectycube-sandbox: ")
    assert errors.count("\n") == 1
