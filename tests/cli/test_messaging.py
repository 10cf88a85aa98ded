"""`connectycube send` and `tail`, as processes."""

from __future__ import annotations

import functools
import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from connectycube.chat import ChatMessage
from connectycube.cli.messaging import line
from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox
from tests.cli.conftest import PASSWORD, Run, process


@pytest.fixture
def chat(account: dict[str, str], connectycube_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes need to reach the chat."""
    monkeypatch.setenv("CONNECTYCUBE_CHAT_HOST", connectycube_sandbox.chat_host)
    monkeypatch.setenv("CONNECTYCUBE_CHAT_PORT", str(connectycube_sandbox.chat_tls_port))
    monkeypatch.setenv("SSL_CERT_FILE", str(connectycube_sandbox.ca_file))


pytestmark = pytest.mark.usefixtures("chat")


@pytest.fixture
def group(connectycube_sandbox: Sandbox, bob: int) -> str:
    """A group of ada and bob."""
    sandbox = connectycube_sandbox
    with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
        cube.login(login="ada", password=PASSWORD)
        return cube.dialogs.create(type=2, name="Climbing", occupants_ids=[bob]).id


@pytest.fixture
def say(group: str, bob: int, connectycube_sandbox: Sandbox) -> Iterator[Callable[..., object]]:
    """Lets bob write a message."""
    sandbox = connectycube_sandbox
    with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
        cube.login(login="bob", password=PASSWORD)
        yield functools.partial(cube.messages.create, send_to_chat=True)


def send(*arguments: str, text: str = "", **environment: str) -> tuple[int, str, str]:
    """The status and the output of `connectycube send`."""
    with process("send", *arguments, environment=environment) as sending:
        out, err = sending.communicate(text)
    return sending.returncode, out, err


def history(run: Run, dialog_id: str) -> list[Any]:
    """The messages of a dialog."""
    found = run("messages", "list", "--chat-dialog-id", dialog_id, "--sort-asc", "date_sent", "--json")
    return [json.loads(line) for line in found.out.splitlines()]


def test_send_to_a_dialog_prints_the_id_of_the_message(group: str, run: Run) -> None:
    status, out, err = send(group, "Who drives?")
    assert (status, err) == (0, "")
    (message,) = history(run, group)
    assert (message["_id"], message["message"]) == (out.strip(), "Who drives?")


def test_send_reads_the_standard_input(group: str, run: Run) -> None:
    status, out, err = send(group, "-", "--json", text="Two lines:\nthis is the second (ʘ‿ʘ)\n")
    assert (status, err) == (0, "")
    assert json.loads(out)["dialog_id"] == group
    assert [entry["message"] for entry in history(run, group)] == ["Two lines:\nthis is the second (ʘ‿ʘ)"]


def test_send_to_a_user_by_id_or_login(bob: int, run: Run) -> None:
    for to in (str(bob), "bob"):
        status, _, err = send(to, f"Hello {to}")
        assert (status, err) == (0, "")
    dialog = json.loads(run("dialogs", "list", "--json").out)
    assert dialog["type"] == 3
    assert [entry["message"] for entry in history(run, dialog["_id"])] == [f"Hello {bob}", "Hello bob"]


def test_send_to_nobody(run: Run) -> None:
    found = run("send", "nobody", "Hello")
    assert found.status == 1
    assert found.err == ("connectycube: 'nobody' is neither a login nor the id of a user or dialog\n")


def test_chat_needs_a_user(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONNECTYCUBE_LOGIN")
    found = run("tail")
    assert found.status == 2
    assert found.err.startswith("connectycube: the chat needs a user: set CONNECTYCUBE_LOGIN")


def test_server_with_an_unknown_certificate_authority(tmp_path: Path) -> None:
    authorities = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(authorities))
    status, out, err = send("81002", "Hello", SSL_CERT_FILE=str(authorities))
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("connectycube: ")
    assert "certificate" in err


# -- tail


def waiting(tailing: subprocess.Popen[str]) -> None:
    """Return once messages are waited for."""
    assert tailing.stderr is not None
    assert tailing.stderr.readline() == "waiting for messages; press Ctrl-C to stop\n"


def test_tail_prints_messages_for_scripts(group: str, bob: int, ada: int, say: Callable[..., object]) -> None:
    with process("tail", "--json", "--limit", "2") as tailing:
        waiting(tailing)
        say(chat_dialog_id=group, message="Who drives?")
        say(recipient_id=ada, message="I do")
        out, err = tailing.communicate()
    assert (tailing.returncode, err) == (0, "")
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["body"], first["dialog_id"], first["sender_id"]) == ("Who drives?", group, bob)
    assert (second["body"], second["type"]) == ("I do", "chat")
    assert re.match(r"20\d\d-\d\d-\d\dT", first["date_sent"])


def test_tail_of_one_dialog(group: str, bob: int, ada: int, say: Callable[..., object]) -> None:
    with process("tail", "--dialog", group, "--limit", "1") as tailing:
        waiting(tailing)
        say(recipient_id=ada, message="elsewhere")
        say(chat_dialog_id=group, message="Who\ndrives?")
        out, _ = tailing.communicate()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  {group}  {bob}: Who\\ndrives\?\n", out)


def test_tail_reconnects(group: str, connectycube_sandbox: Sandbox, say: Callable[..., object]) -> None:
    with process("tail", "--json", "--limit", "1") as tailing:
        waiting(tailing)
        connectycube_sandbox.drop_connections()
        assert tailing.stderr is not None
        assert tailing.stderr.readline().startswith("reconnecting in ")
        assert tailing.stderr.readline().startswith("connected again")
        say(chat_dialog_id=group, message="Who drives?")
        out, _ = tailing.communicate()
    assert json.loads(out)["body"] == "Who drives?"


def test_tail_ends_on_ctrl_c(group: str) -> None:
    with process("tail") as tailing:
        waiting(tailing)
        tailing.send_signal(signal.SIGINT)
        out, err = tailing.communicate()
    assert (tailing.returncode, out, err) == (130, "", "")


def test_message_can_not_control_the_terminal() -> None:
    message = ChatMessage(
        id="1", body="red \x1b[31m\u202e\r", sender_id=5, recipient_id=6, dialog_id="7", type="chat", date_sent=None
    )
    assert line(message) == "--:--:--  7                         5: red \\u001b[31m\\u202e\\r"
