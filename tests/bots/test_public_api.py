"""The public names of the bots and their docstrings, and what they use of the chat."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import connectycube.bots

NAMES = Path(__file__).with_name("public_names.txt").read_text("utf-8").split()
"""One name per line. A change needs a line in CHANGELOG.md."""
SOURCES = sorted(Path(connectycube.bots.__file__).parent.glob("*.py"))
PACKAGES = {
    "connectycube._extras",
    "connectycube.chat",
    "connectycube.chat._tracing",
    "connectycube.rest",
    "connectycube.stanzas",
}
HOOKS = {("intake.py", "_hold"), ("backfill.py", "_history")}
"""The private names that the bots use: what tells stream management which messages are durable, and the history as
`catch_up` reads it."""

CONTRACT = {
    "Bot": "command message on error every serve run stop running send failed retry stats chat cube",
    "Context": "text sender_id dialog_id cube reply edit send typing mark_read react",
}


def test_public_names_are_as_committed() -> None:
    assert sorted(connectycube.bots.__all__) == NAMES


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_attributes_exist_and_are_documented(name: str) -> None:
    found = getattr(connectycube.bots, name)
    shown = {one for one in dir(found) if not one.startswith("_")}
    assert shown == set(CONTRACT[name].split())
    for one in shown:
        assert re.match(r"[A-Z`].+[.:]", inspect.getdoc(getattr(found, one)) or ""), one


@pytest.mark.parametrize("name", NAMES)
def test_classes_have_summaries(name: str) -> None:
    found = getattr(connectycube.bots, name)
    assert re.match(r"[A-Z`].+[.:]", found.__doc__ or "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_other_packages_are_used_by_their_public_names(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("connectycube"):
            assert node.module in PACKAGES
            assert not [alias.name for alias in node.names if alias.name.startswith("_")]
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = node.value
            is_chat = isinstance(owner, ast.Name) and owner.id == "chat"
            is_chat = is_chat or (isinstance(owner, ast.Attribute) and owner.attr in ("chat", "cube"))
            assert not is_chat or (path.name, node.attr) in HOOKS
