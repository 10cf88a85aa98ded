"""`connectycube-sandbox --demo`: users to try things with, and the environment in which clients find them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from connectycube.chat import AsyncChat, MessageReceived
from connectycube.rest import AsyncConnectyCube
from connectycube.sandbox import Sandbox
from connectycube.sandbox.demo import SEED, Echo
from tests.integration.support import run
from tests.sandbox.test_cli import ended, first_line, refused, running

BOT = """
from connectycube.bots import Bot, Context

bot = Bot()


@bot.message()
async def answer(ctx: Context) -> None:
    await ctx.reply(f"You said: {ctx.text}")


bot.run()
"""


def variables(process: subprocess.Popen[str]) -> dict[str, str]:
    """The environment that it prints, as a shell reads it."""
    lines = [first_line(process)]
    while "CONNECTYCUBE_PASSWORD" not in lines[-1]:
        lines.append(first_line(process))
    shell = f"{''.join(lines)}env -0"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, env={})
    found = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry.startswith("CONNECTYCUBE_"))
    assert len(found) == len(lines)
    return found


def assignments(lines: str) -> list[tuple[str, str, str]]:
    """The assignments in `export` lines, as a shell reads them."""
    return [shlex.split(line)[1].partition("=") for line in lines.splitlines()]


def test_programs_run_in_the_printed_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even a name with a space and a quote gets in the way.
    file = tmp_path / "it's a file.pem"
    with running("--demo", "--ca-file", str(file)) as process:
        printed = variables(process)
        for name, value in printed.items():
            monkeypatch.setenv(name, value)
        shown = httpx.get(f"{printed['CONNECTYCUBE_BASE_URL']}/_sandbox/connection").json()
        assert {name: value for name, _, value in assignments(shown["exports"])} == printed
        assert {"label": "login", "value": "bot"} in shown["rows"]
        assert {"label": "password", "value": "correct-horse-9"} in shown["rows"]
        with subprocess.Popen([sys.executable, "-c", BOT], stderr=subprocess.PIPE, text=True) as bot:
            try:
                run(talk())
            finally:
                bot.terminate()
        code, told = ended(process)
    assert code == 0
    assert re.search(r"^Users: mary, ada, omar, echo, bot; .*correct-horse-9", told)
    assert "Paste" in told


async def talk() -> None:
    """Mary talks to the echo and the bot, and over REST to the echo."""
    async with AsyncConnectyCube() as cube:
        await cube.login(login="mary", password="correct-horse-9")
        echo, bot = (await cube.users.list(filters={"login": {"in": ["echo", "bot"]}}, sort_asc="id")).items
        async with AsyncChat(cube) as chat:
            received = chat.events(MessageReceived)
            picture = [{"type": "photo", "uid": "1"}]
            await chat.send(echo, "Is there anybody?", attachments=picture)
            first = (await anext(received)).message
            assert (first.sender_id, first.body, first.attachments[0].uid) == (echo.id, "Is there anybody?", "1")
            await cube.messages.create(recipient_id=echo.id, message="Over REST", send_to_chat=True)
            assert (await anext(received)).message.body == "Over REST"
            # The bot may still be starting: it reads what it has missed.
            await chat.send(bot, "Hello")
            answer = (await anext(received)).message
            assert (answer.sender_id, answer.body) == (bot.id, "You said: Hello")
            # Nobody answers in a group, nor to oneself.
            group = (await cube.dialogs.list(filters={"type": 2}))[0]
            history = [one.message async for one in cube.messages.list(chat_dialog_id=group)]
            assert history == ["Who drives on Sunday?", "I do."]
            assert first.dialog_id is not None
            kept = [one.message async for one in cube.messages.list(chat_dialog_id=first.dialog_id)]
            assert kept == ["Is there anybody?", "Is there anybody?", "Over REST", "Over REST"]


def test_the_echo_stays_silent_in_groups_and_when_blocked() -> None:
    async def main(sandbox: Sandbox) -> None:
        async with sandbox.rest("mary") as cube, sandbox.chat(cube) as mary:
            echo = (await cube.users.list(filters={"login": "echo"}))[0]
            group = await cube.dialogs.create(type=2, name="Group", occupants_ids=[echo.id])
            await mary.join(group)
            received = mary.events(MessageReceived)
            await mary.send(group, "In the group")
            await mary.privacy.block(echo.id)
            await mary.send(echo, "While blocked")
            await mary.privacy.unblock(echo.id)
            await mary.send(echo, "Again")
            assert (await anext(received)).message.body == "Again"

    with Sandbox(seed=SEED) as sandbox:
        sandbox.call(Echo, sandbox.core)
        run(main(sandbox))


def test_a_used_port_suggests_a_free_one() -> None:
    with running("--json") as process:
        port = re.search(r'"api_url": "http://127.0.0.1:(\d+)"', first_line(process))
        assert port
        assert refused("--port", port[1]).endswith("Address already in use; 0 chooses a free port, as in --port 0\n")
