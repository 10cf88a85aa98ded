"""The chat's examples run unchanged, as scripts, against this server: the environment names it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectycube.chat import (
    Chat,
    ContactAccepted,
    ContactRequested,
    ContactsChanged,
    MessageReceived,
    Subscription,
)
from tests.integration.chats import Users
from tests.integration.server import APP_ID, HOST, Server, User
from tests.integration.support import interrupted_after

NOT_SENT = r"(message \w+ was not sent: .*\n)*"
"""What an example may complain about; a server may also refuse a message after it has acknowledged it."""

EXAMPLES = Path(__file__).parents[2] / "examples"

SEQUENCE = """
import json, runpy, sys
script, *commands = json.loads(sys.argv[1])
sys.path.insert(0, script.rpartition("/")[0])
for arguments in commands:
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise
    print("--")
"""
"""A script's commands one after the other, each as the script runs it, after one start of Python."""


class Scripts:
    """Runs examples as accounts of the server, in a folder."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def environment(self, *users: User) -> dict[str, str]:
        found = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTYCUBE_")}
        found |= {"CONNECTYCUBE_APP_ID": str(APP_ID), "CONNECTYCUBE_CHAT_HOST": HOST}
        found |= {"CONNECTYCUBE_CHAT_PORT": str(self._server.ports.tls), "PYTHONUNBUFFERED": "1"}
        found["SSL_CERT_FILE"] = str(self._server.ca_file)
        for suffix, user in zip(("", "_2"), users, strict=False):
            found[f"CONNECTYCUBE_USER_ID{suffix}"] = str(user.id)
            found[f"CONNECTYCUBE_PASSWORD{suffix}"] = user.password
        return found

    @contextmanager
    def running(
        self, name: str, *arguments: str, users: tuple[User, ...], errors: str = ""
    ) -> Iterator[Callable[[], str]]:
        """A script that runs until Ctrl-C; gives its next line. Its errors must match the pattern."""
        with subprocess.Popen(
            [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            env=self.environment(*users),
        ) as script:
            assert script.stdout is not None
            try:
                yield lambda: script.stdout.readline().rstrip("\n") if script.stdout else ""
                script.send_signal(signal.SIGINT)
                rest, found = script.communicate(timeout=60)
                assert (script.returncode, rest) == (0, "")
                assert re.fullmatch(errors, found)
            finally:
                script.kill()

    def run(self, name: str, *arguments: str, users: tuple[User, ...] = ()) -> tuple[int, list[str], str]:
        """A script that ends: its code, what it prints, and its errors."""
        return self._run(str(EXAMPLES / name), *arguments, users=users)

    def _run(self, *arguments: str, users: tuple[User, ...]) -> tuple[int, list[str], str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=self.environment(*users),
            timeout=90,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    def sequence(self, name: str, *commands: tuple[object, ...], users: tuple[User, ...]) -> list[list[str]]:
        """The lines that each of a script's commands prints; all must succeed."""
        calls = json.dumps([str(EXAMPLES / name), *([str(one) for one in command] for command in commands)])
        code, lines, errors = self._run("-c", SEQUENCE, calls, users=users)
        assert (code, errors) == (0, "")
        parts = "\n".join(["", *lines]).split("\n--")
        assert parts.pop() == ""
        return [part.splitlines()[1:] for part in parts]

    def chat(self, user: User) -> Chat:
        """A chat of a user whom a script meets."""
        return Chat(
            user_id=user.id,
            password=user.password,
            app_id=APP_ID,
            host=HOST,
            port=self._server.ports.tls,
            ssl_context=self._server.ssl_context(),
        )


@pytest.fixture
def scripts(server: Server, tmp_path: Path) -> Iterator[Scripts]:
    with interrupted_after(300):
        yield Scripts(server, tmp_path)


NO_HISTORY = (
    "the bot has no REST client, and can't read missed messages from the history\n"
    r"the bot is online as user \d+; Ctrl-C stops it\n"
)


def test_echo_bot(scripts: Scripts, users: Users) -> None:
    bot, friend = users(), users()
    with (
        scripts.running("echo_bot.py", users=(bot,), errors=NO_HISTORY) as line,
        scripts.chat(friend) as chat,
    ):
        assert line() == f"user {bot.id} is online"
        answers = chat.events(MessageReceived)
        for body in ("Hello", "Are you there?"):
            chat.send(bot.id, body)
            assert next(answers).message.body == f"You said: {body}"


def test_echo_bot_survives_a_user_who_blocks_it(scripts: Scripts, users: Users) -> None:
    bot, shy, friend = users(), users(), users()
    with (
        scripts.running("echo_bot.py", users=(bot,), errors=NO_HISTORY + NOT_SENT) as line,
        scripts.chat(shy) as blocker,
        scripts.chat(friend) as chat,
    ):
        assert line() == f"user {bot.id} is online"
        blocker.privacy.block(bot.id)
        blocker.send(bot.id, "Hello")
        answers = chat.events(MessageReceived)
        chat.send(bot.id, "Still there?")
        assert next(answers).message.body == "You said: Still there?"


def test_echo_bot_exits_with_a_status_when_the_chat_ends(scripts: Scripts, users: Users) -> None:
    code, lines, errors = scripts.run("echo_bot.py", users=(User(users().id, "wrong"),))
    assert (code, lines) == (1, [])
    assert errors.startswith("the chat has ended: ")
    assert errors.count("\n") == 1


def test_two_users(scripts: Scripts, users: Users) -> None:
    code, lines, errors = scripts.run("two_users.py", users=(users(), users()))
    assert (code, errors) == (0, "")
    assert lines == [
        "Ada reads: Who drives on Sunday?",
        "Mary sees: MessageRead",
        "Mary sees: TypingStarted",
        "Mary reads: I do. Seven o'clock? (3 seats)",
        "Ada sees the edit: Who drives on Saturday?",
    ]


def test_contact_list(scripts: Scripts, users: Users) -> None:
    mary, ada = users(), users()

    def run(*commands: tuple[object, ...]) -> list[list[str]]:
        return scripts.sequence("contact_list.py", *commands, users=(mary,))

    assert run((), ("request", ada.id, "Ada"), ()) == [[], [], [f"{ada.id} has not responded yet"]]
    chat = scripts.chat(ada)
    asked = chat.events(ContactRequested)
    with chat:
        assert next(asked).user_id == mary.id
        chat.contacts.accept(mary.id)
        with scripts.running("contact_list.py", "watch", users=(mary,)) as line:
            assert line() == "watching"
            chat.set_presence(status="at the wall")
            # The server may say it more than once.
            while (told := line()) != f"{ada.id} is online: at the wall":
                assert told.startswith(f"{ada.id} ")
            chat.disconnect()
            while (told := line()) != f"{ada.id} is offline: no status":
                assert told == f"{ada.id} is online: at the wall"
    found = run((), ("rename", ada.id, "Lady A."), (), ("remove", ada.id), ())
    assert found == [[f"{ada.id} Ada: both"], [], [f"{ada.id} Lady A.: both"], [], []]
    chat = scripts.chat(ada)
    accepted, changed = chat.events(ContactAccepted), chat.events(ContactsChanged)
    with chat:
        chat.contacts.request(mary.id, name="Mary")
        assert run((), ("accept", ada.id)) == [[f"{ada.id} asks to be a contact"], []]
        assert next(accepted).user_id == mary.id
        while chat.contacts[mary.id].subscription is not Subscription.BOTH:
            next(changed)
    code, lines, errors = scripts.run("contact_list.py", "accept", str(ada.id), users=(mary,))
    assert (code, lines) == (1, [])
    assert errors == f"accept: user_id {ada.id} has not sent a contact request\n"


@pytest.mark.parametrize("name", ["two_users.py", "contact_list.py"])
def test_examples_require_an_account(name: str, scripts: Scripts) -> None:
    code, lines, errors = scripts.run(name)
    assert (code, lines) == (1, [])
    assert errors == "set CONNECTYCUBE_USER_ID, CONNECTYCUBE_PASSWORD: see examples/chat_account.py\n"


def test_every_example_is_tested() -> None:
    tested = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    helpers = {"chat_account.py", "local_sandbox.py", "local_server.py"}
    for path in EXAMPLES.glob("*.py"):
        assert path.name in helpers or f'"{path.name}"' in tested, path.name
