"""Machines are pure: they import nothing with a clock, randomness, a network or an event loop."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from connectycube.chat import machines

FOLDER = Path(machines.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))
PURE = {"__future__", "attrs", "collections", "collections.abc", "enum", "itertools", "typing"}
IMPURE_NAMES = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}


def imports_of(source: str) -> set[str]:
    """List the imported modules, with a leading dot for those of the same package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found.update([base] if node.module else [base + alias.name for alias in node.names])
    return found


def test_every_module_is_checked() -> None:
    known = {"__init__", "_machine", "connection", "contact_list", "privacy_lists", "stream_management"}
    assert known <= {module.stem for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_machine_imports_only_pure_modules(module: Path) -> None:
    own = {"." + other.stem for other in MODULES}
    assert imports_of(module.read_text()) <= PURE | own


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_machine_calls_only_pure_builtins(module: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Name)}
    assert not names & IMPURE_NAMES


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "time"),
        ("def f():\n    import random as r", "random"),
        ("from asyncio import sleep", "asyncio"),
        ("from os.path import join", "os.path"),
        ("from .. import _stream", ".._stream"),
        ("from .._stream import Stream", ".._stream"),
    ],
)
def test_check_detects_each_form_of_import(source: str, found: str) -> None:
    assert imports_of(source) == {found}
