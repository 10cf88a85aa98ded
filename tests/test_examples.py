"""The examples run as a user runs them: as scripts, without credentials and network."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONNECTYCUBE_")}
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
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


def scene(name: str, folder: Path) -> list[str]:
    """The lines of an example that shows itself on a sandbox."""
    done = run(name, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(folder.iterdir()) == []
    return done.stdout.splitlines()


def test_echo_bot_shows_itself(tmp_path: Path) -> None:
    assert [line for line in scene("echo_bot.py", tmp_path) if ":" in line] == [
        "Ada: Hello",
        "Bot: You said: Hello",
        "Ada: Are you there?",
        "Bot: You said: Are you there?",
    ]


def test_moderator_shows_itself(tmp_path: Path) -> None:
    assert [line for line in scene("moderation.py", tmp_path) if "watches" not in line] == [
        "Omar: Rotten weather",
        "warning user 81003",
        "Bot, to Omar: Please mind your words in our group.",
        "Omar: Fine weather",
        "Omar, in an edit: Rotten as ever",
        "removing user 81003",
        "messages in the group: 0",
    ]


def test_moderator_requires_words() -> None:
    done = run("moderation.py", "66f1a7c2e4b0d93a51c8e2d1")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "give the id of a group dialog, and words\n")


def test_assistant_streams_its_answer(tmp_path: Path) -> None:
    question, *answers = [line for line in scene("assistant.py", tmp_path) if ":" in line]
    assert (question, answers[0]) == ("Ada: Which way?", "Bot: …")
    assert all(later.startswith(earlier.removesuffix("…")) for earlier, later in itertools.pairwise(answers))
    assert len(answers) > 2
    assert answers[-1].startswith("Bot: You asked: Which way? There are three ways up.")
    assert answers[-1].endswith("be back at the old bridge by six.")


def test_greeter_shows_itself(tmp_path: Path) -> None:
    lines = scene("dialog_greeter.py", tmp_path)
    assert "Ada creates a group and tells the bot" in lines
    assert lines[-1] == "Bot: Hello, I am the bot of this group."
