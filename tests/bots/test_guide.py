"""docs/bots.md does what it says: its bot passes its test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from connectycube.bots import Context
from connectycube.sandbox import Sandbox
from tests.pages import BOTS, kinds, parts


def test_bot_passes_its_test(connectycube_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    page: dict[str, Any] = {}
    for block in parts(BOTS):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        elif block.info == "python test":
            exec(compile(block.text, str(BOTS), "exec"), page)
    page["test_the_bot_tells_the_weather"](connectycube_sandbox)


def test_every_kind_of_block_is_used() -> None:
    # The commands are those of tests/bots/test_cli.py.
    assert kinds(BOTS) == {"python chat", "python test", "shell"}
    assert [block.file for block in parts(BOTS) if block.info == "python chat"] == ["weather_bot.py"]


def test_every_member_of_the_context_is_named() -> None:
    text = BOTS.read_text("utf-8")
    for name in (name for name in dir(Context) if not name.startswith("_")):
        assert re.search(rf"`(ctx\.)?{name}\b", text), name
