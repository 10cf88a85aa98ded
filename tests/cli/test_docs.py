"""The page about the command line is right."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from connectycube.cli import app, common
from tests.pages import PROJECT, broken_links, kinds

PAGE = PROJECT / "docs" / "cli.md"
TEXT = PAGE.read_text("utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"^```shell\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    found = re.findall(r"(?:^|[|(] ?)connectycube ([^|>)\n]+)", "".join(blocks), re.MULTILINE)
    return [text for text in found if "--help" not in text]


@pytest.mark.parametrize("command", commands())
def test_command_can_be_parsed(command: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: "secret")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    function, bound, ignored = app.build().parse_args(shlex.split(command), exit_on_error=False, print_error=False)
    name = command.split()[1] if command.split()[0] not in ("send", "tail") else command.split()[0]
    given: dict[str, Any] = bound.arguments
    assert function.__name__ == name.replace("-", "_")
    assert ignored == {}
    assert given or command == "tail"


def test_blocks_and_links() -> None:
    assert len(commands()) > 15
    assert kinds(PAGE) == {"shell", "toml"}
    assert broken_links(PAGE) == []


def test_settings_are_listed() -> None:
    table = TEXT.partition("| variable |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert named == set(common.KEYS)
    assert {name.removeprefix("CONNECTYCUBE_").lower() for name in re.findall(r"`(CONNECTYCUBE_\w+)`", table)} == named


def test_exit_statuses_are_listed() -> None:
    table = TEXT.partition("| status |")[2]
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert listed == {0, app.FAILED, app.USAGE, app.INTERRUPTED, app.BROKEN_PIPE}
