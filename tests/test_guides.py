"""The guides in docs/: blocks run as a reader would type them, links resolve, and tables are complete.

The blocks that need the chat are fenced as `python chat`. `tests/integration/test_pages.py` runs those of docs/chat.md
against ejabberd.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from connectycube.chat import AsyncChat, Event
from connectycube.chat import errors as chat_errors
from connectycube.chat import events as chat_events
from connectycube.rest import ConnectyCube, errors
from connectycube.sandbox import Sandbox
from connectycube.sandbox.demo import SEED, Echo
from tests.integration.support import interrupted_after
from tests.pages import CHAT, CONFIGURATION, DOCS, PROJECT, README, REST, STANZAS, blocks, broken_links, kinds

PAGES = [README, PROJECT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def rows(page: Path, heading: str = "") -> list[str]:
    """The names in the first cells of the tables below a heading; by default, of the whole page."""
    text = page.read_text(encoding="utf-8").partition(f"## {heading}\n")[2] if heading else page.read_text("utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)[0] if heading else text
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name.strip("` ") for cell in cells for name in cell.split(",")]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sandbox of `connectycube-sandbox --demo`, and its `export` lines in the environment."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(seed=SEED) as sandbox:
        sandbox.call(Echo, sandbox.core)
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(sandbox.app_id))
        monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", sandbox.auth_key)
        monkeypatch.setenv("CONNECTYCUBE_BASE_URL", sandbox.api_url)
        monkeypatch.setenv("CONNECTYCUBE_CHAT_HOST", sandbox.chat_host)
        monkeypatch.setenv("CONNECTYCUBE_CHAT_PORT", str(sandbox.chat_tls_port))
        monkeypatch.setenv("CONNECTYCUBE_CHAT_CA_FILE", str(sandbox.ca_file))
        yield


@pytest.mark.usefixtures("demo")
def test_rest_guide_runs() -> None:
    found = list(blocks(REST))
    assert len(found) > 10
    run(found)


@pytest.mark.usefixtures("demo")
def test_chat_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    # The first complete program runs until Ctrl-C, and answers whoever writes: not here.
    *guide, _, invitation = blocks(CHAT, "python chat")
    assert len(guide) > 12
    with interrupted_after(180):
        run([*guide, invitation])
    printed = capsys.readouterr().out.splitlines()
    assert "81004 Are you there?" in printed
    assert printed[-1] == "81004 Climbing on Sunday?"


def test_stanza_guide_runs() -> None:
    found = list(blocks(STANZAS))
    assert len(found) == 4
    run(found)


def run(found: list[CodeType]) -> None:
    """Run blocks of a page, one after the other."""
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in found:
        exec(block, namespace)


def test_no_block_is_skipped() -> None:
    assert (kinds(REST), kinds(STANZAS), kinds(CHAT)) == ({"python"}, {"python"}, {"python chat"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_and_headings_resolve(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize(("page", "module"), [(REST, errors), (CHAT, chat_errors), (CHAT, chat_events)])
def test_every_class_is_in_its_table(page: Path, module: ModuleType) -> None:
    classes = {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
    assert {name for name in classes if issubclass(getattr(module, name), (Exception, Event))} <= {*rows(page)}


def test_every_chat_argument_is_in_the_table() -> None:
    assert rows(CHAT, "Configuration") == [*inspect.signature(AsyncChat).parameters]


def test_every_argument_of_the_rest_client_is_in_the_table() -> None:
    assert {*rows(CONFIGURATION, "The REST client")} == {*inspect.signature(ConnectyCube).parameters}


def test_every_variable_is_in_the_table() -> None:
    sources = [path for folder in ("generated", "xmpp_ext", "sandbox") for path in (PROJECT / folder).rglob("*.py")]
    named = set(re.findall(r"CONNECTYCUBE_[A-Z_]*[A-Z]", "".join(path.read_text("utf-8") for path in sources)))
    assert named <= {*rows(CONFIGURATION, "Environment")}
    assert len(named) > 8
