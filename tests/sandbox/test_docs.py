"""docs/sandbox.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from connectycube.sandbox import Sandbox

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_example_in_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[0], "docs/sandbox.md", "exec"), {})
    assert capsys.readouterr().out == "0\n"


def test_the_example_in_pytest_passes(connectycube_sandbox: Sandbox) -> None:
    found: dict[str, object] = {}
    exec(compile(blocks("python")[1], "docs/sandbox.md", "exec"), found)
    test = found["test_the_bot_greets"]
    assert callable(test)
    test(connectycube_sandbox)


@pytest.mark.parametrize("block", blocks("python")[2:])
def test_the_other_examples_run(block: str) -> None:
    exec(compile(block, "docs/sandbox.md", "exec"), {})


def test_the_test_of_a_bot_passes(connectycube_sandbox: Sandbox) -> None:
    (block,) = blocks("python test")
    found: dict[str, object] = {}
    exec(compile(block, "docs/sandbox.md", "exec"), found)
    test = found["test_the_bot_replies"]
    assert callable(test)
    test(connectycube_sandbox)


def test_the_seed_in_the_docs_works() -> None:
    with Sandbox(seed=yaml.safe_load(blocks("yaml")[0])) as sandbox:
        assert sandbox.call(sandbox.core.db.value, "SELECT count(*) FROM messages") == 2
