"""The recipes of docs/recipes.md work on the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox
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
        mary.dialogs.subscribe(group.id)
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
