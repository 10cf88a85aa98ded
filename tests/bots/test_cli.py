"""`connectycube-bots` shows what is in a store, and lets failures wait again, while a bot uses it or not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from connectycube.bots import Context
from connectycube.bots.cli import main
from connectycube.bots.sqlite import SqliteStore
from connectycube.bots.store import Entry, Reply
from tests.bots.conftest import World
from tests.integration.support import Seen, eventually, run

KEY = "81002:81002:000000000000000000000001"
REPLY = "000000000000000000000002"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A store with a message and a reply that failed, and a message that waits."""
    found = str(tmp_path / "bot.db")

    async def fill() -> None:
        store = SqliteStore(found)
        await store.open()
        await store.put([Entry(key=KEY, dialog="81002", message=b'{"body": "hello"}')])
        await store.put([Entry(key=f"{KEY}0", dialog="81002", message=b'{"body": "waits"}')])
        await store.put_reply(Reply(id=REPLY, dialog="81002", content=b'{"body": "an answer"}'))
        await store.fail(KEY, "ValueError: no")
        await store.fail(REPLY, "RecipientBlocked: no")
        await store.close()

    asyncio.run(fill())
    return found


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == 0
    found = capsys.readouterr()
    assert found.err == ""
    return found.out.splitlines()


def test_failed_and_stats(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    message, reply = printed(capsys, "failed", path)
    assert message.startswith(f"{KEY}  20")
    assert message.endswith("  message  ValueError: no  'hello'")
    assert reply.startswith(f"{REPLY}  20")
    assert reply.endswith("  reply  RecipientBlocked: no  'an answer'")
    assert printed(capsys, "stats", path) == ["pending 1", "handled 0", "failed 2", "unsent 0"]


def test_retry(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "retry", path, REPLY) == [f"{REPLY} will be retried"]
    assert printed(capsys, "stats", path) == ["pending 1", "handled 0", "failed 1", "unsent 1"]
    assert printed(capsys, "retry", path) == [f"{KEY} will be retried"]
    assert printed(capsys, "failed", path) == []
    assert main(["retry", path, "other"]) == 1
    assert capsys.readouterr().err == "there is no failure other: see `connectycube-bots failed`\n"


def test_store_that_can_not_be_used(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "connectycube.bots.cli", "stats", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"the store {path} does not exist\n"


def test_retry_reaches_a_bot_at_work(world: World, quick: None) -> None:
    async def body() -> None:
        async with world.bot(attempts=1) as bot:
            seen: Seen[str] = Seen()

            @bot.message()
            async def work(ctx: Context) -> None:
                seen.append(ctx.text)
                if len(seen.items) == 1:
                    raise ValueError("no")

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(world.bot_id, "hello")
                await eventually(bot.failed)
                assert await asyncio.to_thread(main, ["retry", str(world.path)]) == 0
                assert await seen.wait(2) == ["hello", "hello"]
                assert bot.failed() == ()

    run(body())
