"""What people see on a terminal."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from connectycube.cli import app
from connectycube.cli.common import Options
from connectycube.cli.output import Printer, progress
from connectycube.rest import Dialog, Session
from tests.cli.conftest import process


class Terminal(Options):
    """Options whose output goes to a terminal of 60 columns."""

    def __init__(self) -> None:
        super().__init__()
        self.console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)
        self.errors = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)

    @property
    def out(self) -> list[str]:
        return written(self.console)

    @property
    def err(self) -> list[str]:
        return written(self.errors)


def written(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def dialogs(count: int) -> list[Dialog]:
    return [
        Dialog.from_dict(
            {
                "_id": f"{number:024x}",
                "name": f"Group {number}",
                "type": 2,
                "description": "long " * 20,
                "photo": "x.png",
            }
        )
        for number in range(count)
    ]


def test_table_has_the_columns_that_fit() -> None:
    terminal = Terminal()
    Printer(terminal).print(dialogs(2))
    header, rule, first, second = terminal.out
    assert header.split() == ["_id", "type", "name"]
    assert set(rule.strip()) == {"─"}
    assert first.split() == [f"{0:024x}", "2", "Group", "0"]
    assert second.split() == [f"{1:024x}", "2", "Group", "1"]
    assert terminal.err == ["also: description, photo (--json prints all)"]


def test_model_is_a_table_of_its_fields() -> None:
    terminal = Terminal()
    Printer(terminal).print(Session(id=5, user_id=6, token="very secret"))
    assert [line.split() for line in terminal.out[2:]] == [["id", "5"], ["user_id", "6"], ["token", "***"]]


def test_secrets_in_lists_and_inside_of_models_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(json=True)
    Printer(options).print([Session(id=5, token="very secret")])
    assert "very secret" not in capsys.readouterr().out
    Printer(Options(json=True, show_secrets=True)).print([Session(id=5, token="very secret")])
    assert "very secret" in capsys.readouterr().out


def test_text_can_not_control_the_terminal() -> None:
    terminal = Terminal()
    Printer(terminal).print(Dialog.from_dict({"_id": "1", "name": "red \x1b[31m [bold]and\u202e more :smile:"}))
    assert terminal.out[-1].split(maxsplit=1)[1] == r"red \u001b[31m [bold]and\u202e more :smile:"


def test_names_of_fields_cannot_control_the_terminal() -> None:
    entry = Dialog.from_dict({"_id": "1", "red \x1b[31m": "x", **{f"\x9b{n} {'wide' * 9}": "x" for n in range(3)}})
    for shown in (entry, [entry]):
        terminal = Terminal()
        Printer(terminal).print(shown)
        text = "".join(terminal.out + terminal.err)
        assert r"red \u001b[31m" in text
        assert r"\u009b2" in text
        assert text.isprintable()


def test_json_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"\x9b31m": "\x1b\x7f\x9b\u202e\U000e0041\ud800\u2028", "name": "Zoë\u00a0🎻"}
    Printer(Options(json=True)).print(entry)
    out = capsys.readouterr().out.removesuffix("\n")
    assert out.replace("\u00a0", "").isprintable()
    assert "Zoë\u00a0🎻" in out
    assert json.loads(out) == entry


@pytest.mark.parametrize("width", [1, 5, 20])
def test_table_on_a_narrow_terminal(width: int) -> None:
    terminal = Terminal()
    terminal.console.width = width
    Printer(terminal).print(dialogs(2))
    assert terminal.err[-1].startswith("also: type, name, ")


def test_long_list_is_printed_as_it_comes() -> None:
    terminal = Terminal()
    seen = []

    async def stream() -> AsyncIterator[Dialog]:
        for number, dialog in enumerate(dialogs(250)):
            if number in (100, 200, 249):
                seen.append(sum("Group" in line for line in terminal.out))
            yield dialog

    asyncio.run(Printer(terminal).stream(stream()))
    assert seen == [100, 200, 200]
    assert sum("Group" in line for line in terminal.out) == 250


def test_table_in_a_pipe_has_one_header_and_all_columns(capsys: pytest.CaptureFixture[str]) -> None:
    async def stream() -> AsyncIterator[Dialog]:
        for number in range(250):
            yield Dialog.from_dict({"_id": str(number), **({"name": "last"} if number == 249 else {})})

    asyncio.run(Printer(Options()).stream(stream()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == ["_id", "name"]
    assert lines[1].split("\t") == ["0", ""]
    assert lines[-1].split("\t") == ["249", "last"]
    assert len(lines) == 251


def test_progress_bar_is_only_for_terminals() -> None:
    with progress(Options(), True) as arguments:
        assert arguments == {}
    terminal = Terminal()
    with progress(terminal, True) as arguments:
        arguments["progress"](50, 200)
        arguments["progress"](200, 200)
    with progress(terminal, False) as arguments:
        assert arguments == {}
    assert any("200/200 bytes" in line for line in terminal.err)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_text_that_the_encoding_has_no_form_for(encoding: str, account: dict[str, str]) -> None:
    environment = {"PYTHONIOENCODING": encoding}
    with process("users", "update-me", "--full-name", "Zoë 🎻", "--json", environment=environment) as run:
        out, err = run.communicate()
    assert (run.returncode, err) == (0, "")
    assert json.loads(out)["full_name"] == "Zoë 🎻"
    assert out.isascii() is (encoding == "ascii")
    with process("users", "me", environment=environment) as run:
        out, err = run.communicate()
    assert (run.returncode, err) == (0, "")
    assert (r"Zo\xeb \U0001f3bb" if encoding == "ascii" else "Zoë 🎻") in out


def test_half_a_surrogate_pair_stays_valid_json(capfd: pytest.CaptureFixture[str]) -> None:
    app.main(["--version"])
    Printer(Options(json=True)).print({"name": "\ud800"})
    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == {"name": "\ud800"}
