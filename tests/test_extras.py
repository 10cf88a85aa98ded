"""A missing extra is reported with how to install it, by imports and by commands."""

from __future__ import annotations

import subprocess
import sys
from typing import NoReturn

import pytest

from connectycube import _extras

BLOCK = """
import runpy, sys
sys.modules[sys.argv.pop(1)] = None
"""


def run(blocked: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code without a dependency."""
    command = [sys.executable, "-c", BLOCK + code, blocked, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("statement", "blocked", "extra"),
    [
        ("import connectycube.chat", "slixmpp", "chat"),
        ("from connectycube.chat.events import MessageReceived", "idna", "chat"),
        ("from connectycube.bots import Bot", "slixmpp", "bots"),
        ("from connectycube.sandbox import Sandbox", "starlette", "sandbox"),
        ("import connectycube.cli.app", "cyclopts", "cli"),
    ],
)
def test_import_names_the_extra(statement: str, blocked: str, extra: str) -> None:
    code = f"try:\n    {statement}\nexcept ImportError as error:\n    print(error)"
    expected = f'connectycube.{extra} needs {blocked}, which is not installed: pip install "connectycube[{extra}]"'
    assert run(blocked, code).stdout.splitlines() == [expected]


@pytest.mark.parametrize(
    ("code", "arguments", "blocked", "command", "extra"),
    [
        ("from connectycube._extras import cli; sys.exit(cli())", ["--help"], "cyclopts", "connectycube", "cli"),
        (
            "runpy.run_module('connectycube.cli', run_name='__main__')",
            ["users", "me"],
            "cyclopts",
            "connectycube",
            "cli",
        ),
        ("from connectycube._extras import cli; sys.exit(cli())", ["tail"], "slixmpp", "connectycube", "chat"),
        ("from connectycube._extras import bots; sys.exit(bots())", ["--help"], "slixmpp", "connectycube-bots", "bots"),
        (
            "from connectycube._extras import sandbox; sys.exit(sandbox())",
            ["--port", "0"],
            "starlette",
            "connectycube-sandbox",
            "sandbox",
        ),
        (
            "runpy.run_module('connectycube.sandbox', run_name='__main__')",
            [],
            "starlette",
            "connectycube-sandbox",
            "sandbox",
        ),
    ],
)
def test_command_names_the_extra(code: str, arguments: list[str], blocked: str, command: str, extra: str) -> None:
    found = run(blocked, code, *arguments)
    assert found.stderr.splitlines() == [
        f'{command}: connectycube.{extra} needs {blocked}, which is not installed: pip install "connectycube[{extra}]"'
    ]
    assert (found.returncode, found.stdout) == (1, "")


@pytest.mark.parametrize("command", ["bots", "cli", "sandbox"])
def test_command_that_is_interrupted_while_it_loads_is_quiet(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(_extras, "import_module", interrupted)
    assert getattr(_extras, command)() == 130
