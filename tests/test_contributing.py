"""CONTRIBUTING.md's "a new endpoint in five minutes", followed to the letter in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEPS = re.split(r"^\d\. ", TEXT.partition("## Extend the spec")[2], flags=re.MULTILINE)


def block(step: int) -> str:
    """The fenced block of a step."""
    found = re.search(r"^   ```\w+\n(.*?)^   ```$", STEPS[step], re.DOTALL | re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found.group(1).replace("\n   ", "\n").removeprefix("   "))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with an environment that is ready, as after `make install`."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("spec", "generator", "generated", "xmpp_ext"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder / name)
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / ".venv/.ready").touch()
    return folder


def run(folder: Path, *command: str, **environment: str) -> str:
    # The copy's package stands before the installed one.
    variables = {**os.environ, "PYTHONPATH": str(folder / "generated"), **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def extended(copy: Path) -> Path:
    """The copy after steps 1 and 2."""
    place = re.match(r"In `([^`]+)`, right below the line `([^`]+)`", STEPS[1])
    assert place is not None
    path, line = copy / place.group(1), f"\n{place.group(2)}\n"
    spec = path.read_text(encoding="utf-8")
    assert spec.count(line) == 1
    added = textwrap.indent(block(1), "  ")
    path.write_text(spec.replace(line, line + added), encoding="utf-8")
    run(copy, *block(2).split())
    return copy


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Answers with the new endpoint's example, and keeps what was asked."""
    operation: dict[str, Any] = next(iter(yaml.safe_load(block(1)).values()))["get"]
    answer = json.dumps(operation["responses"]["200"]["content"]["application/json"]["example"]).encode()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers['CB-Token']}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


def test_new_method_works(extended: Path, server: tuple[str, list[str]]) -> None:
    url, asked = server
    printed = run(extended, sys.executable, "-W", "error", "-c", block(3), CONNECTYCUBE_BASE_URL=url)
    assert printed.splitlines() == ["81002 Ada L.", "81003 Grace H."]
    assert asked == ["GET /whiteboards/66f1b7d4e4b0d93a51c8e601/viewers the-session-token"]


def test_conformance_tests_of_the_new_method_pass(extended: Path) -> None:
    printed = run(extended, *block(4).split(), "-v")
    assert re.search(r"whiteboards\.list_viewers [^\]]*\] PASSED", printed), printed
    assert not re.search(r"FAILED|ERROR|SKIPPED", printed), printed


def test_only_generated_files_changed(extended: Path) -> None:
    changed = {
        path.relative_to(extended).as_posix()
        for path in (extended / "generated").rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.read_bytes() != (PROJECT / path.relative_to(extended)).read_bytes()
    }
    assert {"generated/openapi.yaml", "generated/connectycube/rest/resources/whiteboards.py"} <= changed
    assert all(
        re.fullmatch(r"generated/(openapi.yaml|.*whiteboards.(py|md)|docs/rest/(index|models).md)", name)
        for name in changed
    ), changed
