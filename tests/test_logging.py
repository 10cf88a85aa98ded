"""`CONNECTYCUBE_LOG`, which turns on the log of all parts."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from connectycube.chat import AsyncChat
from connectycube.rest import ConfigurationError
from connectycube.sandbox import Sandbox

PROGRAM = """
from connectycube.chat import Reconnected
from connectycube.sandbox import Sandbox, Settings

with Sandbox(Settings(auth_key="secret-auth-key")) as sandbox:
    with sandbox.rest_sync("mary") as cube:
        cube.dialogs.list()
        token = cube.session.token
    with sandbox.chat_sync("mary", **{options}) as chat, chat.events(Reconnected) as events:
        chat.send(sandbox.create_user("ada").id, "a secret body")
        sandbox.drop_connections()
        next(events)
print(token)
"""

TRANSPORTS = {
    "tcp": "{}",
    "websocket": "{'transport': 'websocket', 'port': None, 'address': sandbox.secure_websocket_url}",
}

CHAT = [
    r"INFO connectycube\.chat: the chat is connected to .* as \d+-\d+@localhost/\S+",
    r"INFO connectycube\.chat: the chat reconnects to .* in \d+\.\d s \(attempt 1\): .*",
    r"INFO connectycube\.chat: the chat is connected to .* again and has resumed its session",
    r"INFO connectycube\.chat: the chat was disconnected from .*",
]
SANDBOX = [
    r"INFO connectycube\.sandbox: user \d+ is connected to the chat with the resource \S+",
    r"INFO connectycube\.sandbox: the chat session of user \d+ with the resource \S+ has ended",
]
CALLS = [
    r"DEBUG connectycube\.rest: dialogs\.list: GET /chat/Dialog, status 200",
    r"DEBUG connectycube\.sandbox: GET /chat/Dialog: status 200",
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("level", "lines"), [("info", CHAT + SANDBOX), ("DEBUG", CHAT + SANDBOX + CALLS)])
def test_variable_turns_on_the_log_of_all_parts(
    monkeypatch: pytest.MonkeyPatch, transport: str, level: str, lines: list[str]
) -> None:
    monkeypatch.setenv("CONNECTYCUBE_LOG", level)
    command = [sys.executable, "-c", PROGRAM.format(options=TRANSPORTS[transport])]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for line in lines:
        assert re.search(rf"^\d\S+ \S+ {line}$", run.stderr, re.MULTILINE), (line, run.stderr)
    if level == "info":
        assert "DEBUG" not in run.stderr
    for secret in ("secret-auth-key", "a secret body", run.stdout.strip()):
        assert secret not in run.stderr


def test_invalid_level_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_LOG", "loud")
    expected = "CONNECTYCUBE_LOG must be debug or info, not 'loud'"
    with pytest.raises(ConfigurationError, match=expected):
        AsyncChat(app_id=1, user_id=1, password="secret")
    with pytest.raises(ValueError, match=expected):
        Sandbox().start()
