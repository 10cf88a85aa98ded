"""Type checkers report wrong calls and accept correct ones, those of the pages and the examples included."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generator.support import run as generate
from tests.pages import GENERATOR, PROJECT, fenced, parts, source

CONSUMER = Path(__file__).parent / "consumer"
MYPY_CACHE = PROJECT / ".build" / "mypy"
"""Outlives the run: most of the time goes into the dependencies, which seldom change."""

CLIENTS = "clients"
"""The folder of the client that a page generates."""


def run(*command: str, cwd: Path) -> str:
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "MYPYPATH": CLIENTS}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project that installed the package: all this code, and no settings but the strictest."""
    folder = tmp_path_factory.mktemp("consumer")
    copies = {"ok.py": CONSUMER / "ok.py", "wrong.py": CONSUMER / "wrong.txt"}
    copies |= {path.name: path for path in (PROJECT / "examples").glob("*.py")}
    found = {name: path.read_text(encoding="utf-8") for name, path in copies.items()}
    # The README comes last: its bot and test have the names of the tutorial's, and take their place.
    for page in (*(PROJECT / "docs").glob("*.md"), PROJECT / "README.md"):
        found[f"page_{page.stem.lower().replace('-', '_')}.py"] = source(page)
        found |= {block.file: block.text for block in parts(page) if block.file}
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "petstore.yaml").write_text(fenced(GENERATOR, "yaml"), encoding="utf-8")
    made = generate("--spec", folder / "petstore.yaml", "--out", folder / CLIENTS, "--package", "petstore")
    assert made.status == 0
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        # Each block of a page imports what it shows.
        "reportDuplicateImport": False,
        "extraPaths": [CLIENTS],
        "exclude": [CLIENTS],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def mypy(folder: Path) -> set[tuple[str, int]]:
    options = ["--config-file=", f"--cache-dir={MYPY_CACHE}", "--strict", "--python-version=3.11"]
    printed = run("mypy", *options, *sorted(path.name for path in folder.glob("*.py")), cwd=folder)
    return {(name, int(line)) for name, line in re.findall(r"^(\w+\.py):(\d+): error:", printed, re.MULTILINE)}


@pytest.fixture(scope="module")
def pyright(folder: Path) -> set[tuple[str, int]]:
    printed = run("pyright", "--outputjson", "--pythonpath", sys.executable, cwd=folder)
    return {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1)
        for entry in json.loads(printed)["generalDiagnostics"]
        if entry["severity"] == "error"
    }


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_exactly_the_marked_lines_are_rejected(checker: str, request: pytest.FixtureRequest) -> None:
    lines = (CONSUMER / "wrong.txt").read_text(encoding="utf-8").splitlines()
    marked = {("wrong.py", number) for number, line in enumerate(lines, 1) if "# error: " in line}
    found: set[tuple[str, int]] = request.getfixturevalue(checker)
    assert len(marked) > 20
    assert {lines[number - 1] for _, number in marked - found} == set()
    assert found - marked == set()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("page_readme.py", "cube.messages.create("),
        ("bot.py", "def weather("),
        ("test_bot.py", "def test_the_bot_tells_the_weather("),
        ("page_rest.py", "async def names("),
        ("page_stanzas.py", "UserJID.parse("),
        ("page_chat.py", "@chat.on(MessageReceived)"),
        ("page_generator.py", "from petstore import"),
        ("page_sandbox.py", "with Sandbox() as sandbox:"),
        ("page_bots.py", "def test_the_bot_tells_the_weather("),
        ("weather_bot.py", "async def weather("),
        ("echo_bot.py", "def echo("),
    ],
)
def test_pages_and_examples_are_checked(folder: Path, name: str, shown: str) -> None:
    assert shown in (folder / name).read_text(encoding="utf-8")
