"""Type checkers report wrong calls and accept correct ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONSUMER = Path(__file__).parent / "consumer"
MYPY_CACHE = Path(__file__).parents[1] / ".build" / "mypy"
"""Outlives the run: most of the time goes into the dependencies, which seldom change."""


def run(*command: str, cwd: Path) -> str:
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project that installed the package: both files, and no settings but the strictest."""
    folder = tmp_path_factory.mktemp("consumer")
    for source, target in (("ok.py", "ok.py"), ("wrong.txt", "wrong.py")):
        (folder / target).write_text((CONSUMER / source).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict", "pythonVersion": "3.11"}))
    return folder


@pytest.fixture(scope="module")
def mypy(folder: Path) -> set[tuple[str, int]]:
    options = ["--config-file=", f"--cache-dir={MYPY_CACHE}", "--strict", "--python-version=3.11"]
    printed = run("mypy", *options, "ok.py", "wrong.py", cwd=folder)
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
