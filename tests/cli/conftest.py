"""The command line with the account of a user of a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any
from unittest import mock

import pytest
from attrs import frozen

from connectycube.cli.app import main
from connectycube.sandbox import Sandbox

PASSWORD = "correct-horse-9"


@frozen
class Outcome:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No account, from the environment or a file, and a terminal of 80 columns."""
    for name in list(os.environ):
        if name.startswith("CONNECTYCUBE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def ada(connectycube_sandbox: Sandbox) -> int:
    """The id of the account's user."""
    return connectycube_sandbox.create_user("ada", PASSWORD).id


@pytest.fixture
def account(
    clean_environment: None, connectycube_sandbox: Sandbox, ada: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The account of the user ada, in the environment."""
    sandbox = connectycube_sandbox
    found = {
        "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
        "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
        "CONNECTYCUBE_BASE_URL": sandbox.api_url,
        "CONNECTYCUBE_LOGIN": "ada",
        "CONNECTYCUBE_PASSWORD": PASSWORD,
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def bob(connectycube_sandbox: Sandbox) -> int:
    """The id of another user."""
    return connectycube_sandbox.create_user("bob", PASSWORD).id


@pytest.fixture
def run(clean_environment: None, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def ran(*arguments: str) -> Outcome:
        # A command replaces the account in its process's environment by that of its profile.
        with mock.patch.dict(os.environ):
            status = main(arguments)
        return Outcome(status, *capfd.readouterr())

    return ran


def process(
    *arguments: str,
    text: bool = True,
    environment: Mapping[str, str] | None = None,
    stdout: int | IO[str] = subprocess.PIPE,
) -> subprocess.Popen[Any]:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "connectycube.cli", *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=text,
        env={**os.environ, **(environment or {})},
    )
