"""CONTRIBUTING.md's recipes for extending the spec, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = ("spec", "generator", "generated", "xmpp_ext", "sandbox", "tests", "docs")
RECIPES = {"A new endpoint": 6, "A new stanza": 5, "A new machine": 5}
"""The headings, each with the number of its steps."""
LISTS = """
    tests/rest_pure/test_public_api.py tests/generator/test_spec.py tests/chat_pure/test_machines_are_pure.py
""".split()
"""The tests that know names of the spec."""


def steps(heading: str) -> list[str]:
    """The numbered steps below a heading."""
    section = re.split(r"^##", TEXT.partition(f"### {heading}\n")[2], flags=re.MULTILINE)[0]
    return re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]


def fenced(step: str, kind: str) -> str:
    """The block of this kind in a step, or an empty text."""
    found = re.search(rf"^   ```{kind}\n(.*?)^   ```$", step, re.DOTALL | re.MULTILINE)
    return "" if found is None else re.sub("^   ", "", found[1], flags=re.MULTILINE)


def write(project: Path, step: str) -> bool:
    """Create or change a file, if a step says so."""
    created = re.match(r"Create `([^`]+)`", step)
    inserted = re.match(r"In `([^`]+)`, right below the line `([^`]+)`", step)
    if created is not None:
        (project / created[1]).write_text(fenced(step, r"(?:yaml|python)"), encoding="utf-8")
    elif inserted is not None:
        path, line = project / inserted[1], f"\n{inserted[2]}\n"
        text = path.read_text(encoding="utf-8")
        assert text.count(line) == 1
        path.write_text(text.replace(line, line + fenced(step, "yaml")), encoding="utf-8")
    return bool(created or inserted)


def command(step: str) -> tuple[str, ...]:
    """The command of a step, or the one that runs its program; empty if it has neither."""
    if shell := fenced(step, "shell"):
        return tuple(shell.split())
    program = fenced(step, "python")
    return (sys.executable, "-W", "error", "-c", program) if program else ()


def run(project: Path, *command: str) -> str:
    # The copy's packages stand before the installed ones.
    path = os.pathsep.join(str(project / name) for name in ("generated", "sandbox", "xmpp_ext"))
    variables = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with an environment that is ready, as after `make install`."""
    folder = tmp_path_factory.mktemp("project")
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "CONTRIBUTING.md"):
        shutil.copy(PROJECT / name, folder / name)
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / ".venv/.ready").touch()
    return folder


@pytest.fixture(scope="module")
def printed(project: Path) -> dict[str, list[str]]:
    """What each step of each recipe printed. All of them are followed in the same copy.

    The files of all recipes come first, so that `make generate`, a step of each, is run only once.
    """
    commands = {
        heading: [() if write(project, step) else command(step) for step in steps(heading)] for heading in RECIPES
    }
    once = cache(partial(run, project))
    return {heading: [once(*words) if words else "" for words in found] for heading, found in commands.items()}


def test_recipes_have_the_expected_steps() -> None:
    assert {heading: len(steps(heading)) for heading in RECIPES} == RECIPES


def test_new_endpoint_is_answered_by_the_sandbox(printed: dict[str, list[str]]) -> None:
    assert printed["A new endpoint"][3].splitlines() == ["81002 Ada L. 19:00", "81003 Grace H. 19:01"]


def test_new_stanza_is_written_and_read(printed: dict[str, list[str]]) -> None:
    assert printed["A new stanza"][2] == "Turin\n"


def test_new_machine_has_a_page(printed: dict[str, list[str]], project: Path) -> None:
    page = (project / "generated/docs/machines/typing-state.md").read_text(encoding="utf-8")
    assert "TellComposing" in page


@pytest.mark.parametrize(
    ("heading", "step", "tests"),
    [
        ("A new endpoint", 4, r"whiteboards\.list_viewers [^\]]*\]"),
        ("A new stanza", 3, r"GeolocationMessage[^\]]*\]"),
        ("A new machine", 3, r"typing-state: typing Waited[^\]]*\]"),
    ],
)
def test_conformance_tests_pass(printed: dict[str, list[str]], heading: str, step: int, tests: str) -> None:
    found = printed[heading][step]
    assert re.search(rf"{tests} PASSED", found), found
    assert not re.search(r"FAILED|ERROR|SKIPPED", found), found


def test_no_list_needs_an_entry(printed: dict[str, list[str]], project: Path) -> None:
    run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *LISTS)


def test_example_is_marked_and_needs_a_session_and_valid_arguments(
    printed: dict[str, list[str]], project: Path
) -> None:
    found = run(project, sys.executable, "-W", "error", "-m", "tests.sandbox.unplayed")
    assert found.splitlines() == [
        "no session: 401",
        "wrong limit: 400",
        "200 example 2 entries",
        "whiteboards_list_viewers 401 False, whiteboards_list_viewers 400 False, whiteboards_list_viewers 200 True",
    ]


def test_operation_without_an_example_names_the_place_for_one(printed: dict[str, list[str]], project: Path) -> None:
    path = project / "generated/openapi.yaml"
    text = path.read_text(encoding="utf-8")
    example = re.compile(r"(List the users who are viewing.*?) +example:\n +total_entries: 2\n.*?( +'400':)", re.DOTALL)
    changed, count = example.subn(r"\1\2", text)
    assert count == 1
    try:
        path.write_text(changed, encoding="utf-8")
        found = run(project, sys.executable, "-W", "error", "-m", "tests.sandbox.unplayed")
    finally:
        path.write_text(text, encoding="utf-8")
    assert "501 None" in found
    assert "add an `example` to its 200 response (application/json) in spec/rest and run `make generate`" in found
