"""The README's Python blocks run, one after the other, as a reader would type them.

Those of the chat, here and in `docs/chat.md`, are fenced as `python chat`: `tests/integration/test_pages.py` runs them.
The test of a bot is fenced as `python test`: `tests/sandbox/test_docs.py` runs it.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from connectycube.chat import AsyncChat, Event
from connectycube.chat import errors as chat_errors
from connectycube.chat import events as chat_events
from connectycube.rest import errors
from local_server import APP_ID, AUTH_KEY, LocalServer
from tests.pages import CHAT, README, blocks, broken_links, kinds


def test_every_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    with LocalServer() as server:
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(APP_ID))
        monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", AUTH_KEY)
        monkeypatch.setenv("CONNECTYCUBE_BASE_URL", server.url)
        found = list(blocks(README))
        for block in found:
            exec(block, namespace)
    assert len(found) > 10


def test_no_block_is_skipped() -> None:
    assert kinds(README) == {"python", "python chat", "python test", "shell"}
    assert kinds(CHAT) == {"python chat"}


@pytest.mark.parametrize("page", [README, CHAT], ids=lambda page: page.name)
def test_links_to_files_and_headings_resolve(page: Path) -> None:
    assert broken_links(page) == []


def test_bot_has_fifteen_lines() -> None:
    text = README.read_text(encoding="utf-8").partition("## A chat bot in fifteen lines\n\n```python chat\n")[2]
    lines = [line for line in text.partition("```")[0].splitlines() if line]
    assert 0 < len(lines) <= 15


@pytest.mark.parametrize(("page", "module"), [(README, errors), (CHAT, chat_errors), (CHAT, chat_events)])
def test_every_class_is_in_its_table(page: Path, module: ModuleType) -> None:
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    names = {name.strip("` ") for row in rows for name in row.split("|")[1].split(",")}
    classes = {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
    assert {name for name in classes if issubclass(getattr(module, name), (Exception, Event))} <= names


def test_every_chat_argument_is_in_the_table() -> None:
    table = CHAT.read_text(encoding="utf-8").partition("## Configuration")[2].partition("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    names = [name.strip("` ") for row in rows for name in row.split(",")]
    assert names == [*inspect.signature(AsyncChat).parameters]
