"""The guides in docs/: blocks run as a reader would type them, links resolve, and tables are complete.

The blocks that need the chat are fenced as `python chat`: `tests/integration/test_pages.py` runs those of docs/chat.md.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from connectycube.chat import AsyncChat, Event
from connectycube.chat import errors as chat_errors
from connectycube.chat import events as chat_events
from connectycube.rest import ConnectyCube, errors
from connectycube.sandbox import Sandbox
from connectycube.sandbox.demo import SEED
from tests.pages import CHAT, CONFIGURATION, DOCS, PROJECT, README, REST, STANZAS, blocks, broken_links, kinds

PAGES = [README, PROJECT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def rows(page: Path, heading: str = "") -> list[str]:
    """The names in the first cells of the tables below a heading; by default, of the whole page."""
    text = page.read_text(encoding="utf-8").partition(f"## {heading}\n")[2] if heading else page.read_text("utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)[0] if heading else text
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name.strip("` ") for cell in cells for name in cell.split(",")]


def test_rest_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox(seed=SEED) as sandbox:
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(sandbox.app_id))
        monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", sandbox.auth_key)
        monkeypatch.setenv("CONNECTYCUBE_BASE_URL", sandbox.api_url)
        assert run(REST) > 10


def test_stanza_guide_runs() -> None:
    assert run(STANZAS) == 4


def run(page: Path) -> int:
    """Run the Python blocks of a page, one after the other; how many there are."""
    namespace: dict[str, Any] = {"__name__": "page"}
    found = list(blocks(page))
    for block in found:
        exec(block, namespace)
    return len(found)


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
