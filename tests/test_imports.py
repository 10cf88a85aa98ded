"""Imports point one way, and the product needs nothing but what it declares."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = [ROOT / name / "connectycube" for name in ("generated", "xmpp_ext", "sandbox")]
ALLOWED = {
    "_extras": {"connectycube"},
    "bots": set("attrs connectycube httpx msgspec nats nkeys rich".split()),
    "chat": set("aiohappyeyeballs attrs connectycube dns idna python_socks slixmpp websockets".split()),
    "cli": {"attrs", "connectycube", "cyclopts", "rich"},
    "rest": {"attrs", "httpcore", "httpx", "msgspec", "connectycube"},
    "stanzas": {"attrs", "connectycube"},
    "sandbox": set(
        "attrs connectycube httpx openapi_core scramp starlette trustme uvicorn websockets werkzeug yaml".split()
    ),
}
TOOLS = {
    "slixmpp_bridge.py": {"slixmpp"},
    "_tracing.py": {"opentelemetry"},
    "metrics.py": {"opentelemetry"},
    "pytest_plugin.py": {"pytest", "pytest_asyncio"},
    "hook-connectycube.sandbox.py": {"PyInstaller"},
}
"""The modules that are there for those who have something else."""


def imported(path: Path) -> Iterator[str]:
    """The top names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "connectycube" if node.level else (node.module or "").partition(".")[0]


def test_import_linter_contracts() -> None:
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize("part", ALLOWED)
def test_package_imports_only_declared_dependencies(part: str) -> None:
    paths = [path for root in ROOTS for path in (root / part).rglob("*.py")]
    assert paths
    undeclared = {}
    for path in paths:
        allowed = ALLOWED[part] | TOOLS.get(path.name, set())
        undeclared[path.relative_to(ROOT)] = set(imported(path)) - set(sys.stdlib_module_names) - allowed
    assert {path: names for path, names in undeclared.items() if names} == {}


def test_namespace_package_holds_only_these_packages() -> None:
    assert {path.parent.name for root in ROOTS for path in root.glob("*/__init__.py")} == set(ALLOWED)
    assert [path for root in ROOTS for path in root.glob("*.py")] == []
