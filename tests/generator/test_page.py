"""docs/generator.md, followed to the letter: its document becomes a package, and its program runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import GENERATOR as PAGE
from tests.pages import blocks, broken_links, fenced, kinds
from tests.rest.server import Answer, Request, Server

from .support import run


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the page's document, made by the page's command, on the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "petstore.yaml").write_text(fenced(PAGE, "yaml"), encoding="utf-8")
    outcome = run(*fenced(PAGE, "shell").split()[3:])
    assert (outcome.status, outcome.err) == (0, "")
    monkeypatch.syspath_prepend(str(tmp_path / "clients"))
    yield tmp_path / "clients" / "petstore"
    for name in [name for name in sys.modules if name.partition(".")[0] == "petstore"]:
        del sys.modules[name]


def test_links_work_and_every_block_is_used() -> None:
    assert broken_links(PAGE) == []
    assert kinds(PAGE) == {"python", "shell", "text", "yaml"}


def test_program_runs(package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def add(request: Request) -> Answer:
        assert request.header("authorization") == "Bearer secret"
        return Answer(201, {"id": 1, **request.json()})

    with Server() as server:
        server.on("POST", "/pets", add)
        server.on("GET", "/pets", Answer(200, [{"id": 1, "name": "Tom", "kind": "cat"}]))
        monkeypatch.setenv("PETSTORE_URL", server.url)
        monkeypatch.setenv("PETSTORE_TOKEN", "secret")
        for block in blocks(PAGE):
            exec(block, {"__name__": "page"})
        assert [(request.method, request.target) for request in server.requests] == [
            ("POST", "/pets"),
            ("PUT", "/pets/99/photo"),
            ("GET", "/pets?kind=cat"),
        ]
        assert json.loads(server.requests[0].body) == {"name": "Tom", "kind": "cat", "born": "2024-05-06"}
    assert capsys.readouterr().out.splitlines() == [
        "True 2024-05-06",
        "404",
        "name must not be empty",
        "['Tom']",
    ]


def test_warning_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = fenced(PAGE, "yaml")
    pets = "application/json: {schema: {type: array,"
    assert text.count(pets) == 1
    (tmp_path / "petstore.yaml").write_text(text.replace(pets, pets.replace("json", "zip")), encoding="utf-8")
    outcome = run(*fenced(PAGE, "shell").split()[3:])
    assert (outcome.status, outcome.err) == (0, fenced(PAGE, "text"))
