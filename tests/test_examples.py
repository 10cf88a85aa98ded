"""The examples run as a user runs them: as scripts, without credentials and network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONNECTYCUBE_")}
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def lines(output: str) -> list[str]:
    """Lines without the server's port."""
    return re.sub(r"(?<=127\.0\.0\.1):\d+", "", output).splitlines()


def test_quickstart_shows_each_step() -> None:
    done = run("rest_quickstart.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines(done.stdout) == [
        "logged in as user 81001",
        "created 5 dialogs, the first is 'Tour 1'",
        "sent 'See you at seven' at 08:15:38, with place='car park'",
        "messages about seven: 1",
        "first page: 2 of 5 dialogs",
        "all pages: Tour 1, Tour 2, Tour 3, Tour 4, Tour 5",
        "uploaded route.bin of 200000 bytes; progress went up to 100%",
        "downloaded the same bytes: True",
        "NotFound: dialogs.update was refused with 404: The resource wasn't found (127.0.0.1)",
        "InvalidArgument: limit must be at least 1, not 0; nothing was sent",
        "deleted the dialogs and logged out",
    ]


def test_async_example_shows_each_step() -> None:
    done = run("rest_async.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines(done.stdout) == [
        "logged in as user 81001",
        "created 5 dialogs at once",
        "all pages: Tour 1, Tour 2, Tour 3, Tour 4, Tour 5",
        "NotFound: messages.list was refused with 404: The resource wasn't found (127.0.0.1)",
    ]


def test_live_requires_credentials() -> None:
    done = run("rest_quickstart.py", "--live")
    assert done.returncode == 2
    assert "set CONNECTYCUBE_APP_ID, CONNECTYCUBE_AUTH_KEY, CONNECTYCUBE_LOGIN, CONNECTYCUBE_PASSWORD" in done.stderr


def test_demo_ends_and_shows_each_step() -> None:
    done = run("demo.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    for heading in (
        "Login",
        "A private chat, with typing and marks",
        "A group",
        "A file",
        "A block",
        "A lost connection",
    ):
        assert heading in lines
    for step in (
        "marked as delivered",
        "marked as read",
        "3,000,000 bytes, intact",
        "blocks Mary",
        "is online again",
    ):
        assert step in done.stdout
    assert lines[-1] == "Done: 25 steps, no account, no network"
