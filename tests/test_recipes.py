"""The recipes of docs/recipes.md work on the sandbox."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connectycube.chat import AsyncChat
from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.sandbox import Sandbox
from tests.integration.support import eventually, run
from tests.pages import PROJECT, blocks, broken_links, kinds

RECIPES = PROJECT / "docs" / "recipes.md"
PASSWORD = "correct-horse-9"


@pytest.fixture
def recipes(
    connectycube_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """What the blocks of the page define, after they have run; the test sees their output."""
    sandbox = connectycube_sandbox
    monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(sandbox.app_id))
    monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", sandbox.auth_key)
    monkeypatch.setenv("CONNECTYCUBE_BASE_URL", sandbox.api_url)
    sandbox.create_user("agent", PASSWORD)
    found: dict[str, Any] = {}
    for block in blocks(RECIPES):
        exec(block, found)
    return found


def test_links_work_and_every_block_is_run() -> None:
    assert broken_links(RECIPES) == []
    assert kinds(RECIPES) == {"python"}


def test_a_widget_user_is_signed_up_and_asks_the_staff(
    recipes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert capsys.readouterr().out == "Mary S.: Where is my rope?\n"
    # The first 32 digits of `printf widget_7 | sha256sum`.
    assert recipes["widget_account"]("7") == ("widget_7", "e137708129d5e80329d993ed15bc23a4")
    with recipes["as_widget_user"]("crm-3107", "Mary S.") as again:
        assert again.users.list(filters={"external_id": "crm-3107"}).total_entries == 1


def test_reports_are_worked_through(recipes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with ConnectyCube() as agent, ConnectyCube() as mary:
        moderator = agent.login(login="agent", password=PASSWORD).user_id
        mary.login(login="mary", password=PASSWORD, create=True)
        group = agent.dialogs.create(type=4, name="Climbing")
        mary.dialogs.subscribe(str(group.id))
        own = mary.dialogs.create(type=4, name="Mary's")
        sent = [mary.messages.create(chat_dialog_id=one.id, message="rude").id for one in (group, own)]
        everyone: Any = {"access": "open"}
        for message_id in (*sent, "0" * 24):
            fields = {"reportedMessageId": message_id, "reason": "rude"}
            permissions: Any = {"read": everyone, "update": everyone, "delete": everyone}
            mary.custom_objects.create("MessageReports", fields=fields, permissions=permissions)
        assert moderator is not None
        recipes["report_user"](mary, moderator, "strict")
        recipes["report_message"](agent, sent[0], "twice")
        capsys.readouterr()
        recipes["handle_reports"](agent)
        assert capsys.readouterr().out.splitlines() == [
            f"message {sent[1]}: rude",
            f"user {moderator}: strict",
        ]
        left = agent.custom_objects.list("MessageReports").items
        assert [one.fields["reportedMessageId"] for one in left] == [sent[1]]
        assert mary.messages.list(chat_dialog_id=str(group.id)).items == []


def test_archive_misses_nothing(recipes: dict[str, Any], connectycube_sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox = connectycube_sandbox
    reader = sqlite3.connect(tmp_path / "archive.db")
    reader.execute(recipes["TABLE"])

    def saved() -> list[str]:
        return [body for (body,) in reader.execute("SELECT body FROM messages ORDER BY date_sent, rowid")]

    async def main() -> None:
        async with AsyncConnectyCube() as agent, AsyncConnectyCube() as mary:
            await agent.login(login="agent", password=PASSWORD)
            await mary.login(login="mary", password=PASSWORD, create=True)

            async def write(text: str, **options: Any) -> None:
                await mary.messages.create(recipient_id=agent_id, message=text, **options)

            @asynccontextmanager
            async def archiving() -> AsyncIterator[Callable[[int], Awaitable[object]]]:
                host, port = sandbox.chat_host, sandbox.chat_tls_port
                chat = AsyncChat(agent, host=host, port=port, ssl_context=sandbox.ssl_context, stream_management=False)
                database = sqlite3.connect(tmp_path / "archive.db")
                task = asyncio.ensure_future(recipes["archive"](chat, database))
                try:
                    yield lambda count: eventually(lambda: len(saved()) == count or (task.done() and task.result()))
                finally:
                    task.cancel()
                    await asyncio.wait([task])
                    await chat.disconnect()
                    database.close()

            agent_id = agent.session.user_id if agent.session else None
            await write("missed")
            async with archiving() as holds:
                await holds(2)
                await write("live", send_to_chat=True)
                await holds(3)
            await write("while it was down")
            async with archiving() as holds:
                await holds(4)
                await write("while it was disconnected")
                sandbox.drop_connections(agent_id)
                await holds(5)
        assert set(saved()) == {
            "Where is my rope?", "missed", "live", "while it was down", "while it was disconnected",
        }  # fmt: skip

    run(main())
    reader.close()
