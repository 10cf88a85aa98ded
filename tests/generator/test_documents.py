"""Clients of small documents, each made, imported, type-checked, and called against a stub server."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from generator.rest.render import RUNTIME
from tests.test_types import MYPY_CACHE

from . import cases
from .cases import Case
from .oracle import Oracle
from .server import Request, Server, running
from .support import Node, run

CASES = cases.load()
CALLS = cases.ids(CASES)


@dataclass(frozen=True)
class Built:
    """The client of a document.

    :ivar warnings: the generator's output on stderr.
    """

    package: ModuleType
    spec: Path
    warnings: list[str]


Builder = Callable[[Case], Built]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        found.url = found.url.removesuffix("/api")
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@pytest.fixture(scope="module")
def built(folder: Path, server: Server) -> Iterator[Builder]:
    """Builds the package `documents.NAME` of a document, once."""
    found: dict[str, Built] = {}

    def build(case: Case) -> Built:
        if case.name not in found:
            spec = case.write(folder / "specs" / case.name, server.url.removeprefix("http://"))
            outcome = run("--spec", spec, "--out", folder / "out", "--package", f"documents.{case.name}")
            assert outcome.status == 0, outcome.err
            package = import_module(f"documents.{case.name}")
            found[case.name] = Built(package, spec, outcome.err.splitlines())
        return found[case.name]

    sys.path.insert(0, str(folder / "out"))
    yield build
    sys.path.remove(str(folder / "out"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "documents"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", CASES)
def test_warnings_and_imports(built: Builder, name: str) -> None:
    """A document gets exactly the warnings it deserves, and all modules of its client can be imported."""
    client = built(CASES[name])
    expected = CASES[name].content.get("warnings") or []
    assert len(client.warnings) == len(expected), client.warnings
    for line, pattern in zip(client.warnings, expected, strict=True):
        assert re.search(pattern, line), line
    modules = [found.name for found in pkgutil.walk_packages(client.package.__path__, f"{client.package.__name__}.")]
    assert len(modules) > 15
    for module in modules:
        import_module(module)
    for public in client.package.__all__:
        getattr(client.package, public)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("name", CALLS)
def test_call(built: Builder, server: Server, name: str, mode: str) -> None:
    case, call = CALLS[name]
    client = built(case)
    cases.check(case, call, client.package, client.spec, server, mode)


def test_types(built: Builder, folder: Path, server: Server) -> None:
    """All packages pass the strictest check of types."""
    typed = folder / "typed"
    checked: set[frozenset[tuple[Path, str]]] = set()
    for case in CASES.values():
        built(case)
        package = folder / "out" / "documents" / case.name
        # With another port in each run, mypy would check everything again.
        address = server.url.removeprefix("http://")
        texts = {path.relative_to(package): path.read_text() for path in package.rglob("*.py")}
        texts = {path: text.replace(address, "localhost") for path, text in texts.items()}
        # What does not depend on the document is most of a package. The same modules need a single check.
        fixed = frozenset(item for item in texts.items() if RUNTIME in item[1].partition("\n")[0])
        assert len(fixed) > 15
        for path, text in texts.items():
            copy = typed / "documents" / case.name / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            again = fixed in checked and (path, text) in fixed
            copy.write_text(f"# mypy: ignore-errors\n{text}" if again else text)
        checked.add(fixed)
    assert 1 < len(checked) < len(CASES)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={MYPY_CACHE}"),
            *("--explicit-package-bases", "documents"),
        ],
        cwd=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


SELF = Case(
    "itself",
    {
        "document": """
            openapi: 3.1.0
            info: {title: Itself, version: "1"}
            paths:
              /notes:
                post:
                  operationId: addNote
                  parameters:
                    - {name: n, in: query, required: true, schema: {type: integer}}
                    - {name: day, in: query, schema: {type: string, format: date}}
                  requestBody:
                    content:
                      application/json: {schema: {type: object, properties: {text: {type: string}}}}
                  responses:
                    "201":
                      description: Done.
                      content: {application/json: {schema: {type: integer}}}
        """
    },
)

RIGHT: Node = {
    "call": "default.add_note(n=2, text='a')",
    "request": "POST /notes?n=2",
    "headers": {"Content-Type": "application/json", "X-Other": None},
    "body": {"text": "a"},
    "answer": {"status": 201, "body": 5},
    "result": "5",
    "check": "result == 5",
}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_harness_accepts_a_right_call(built: Builder, server: Server, mode: str) -> None:
    client = built(SELF)
    cases.check(SELF, RIGHT, client.package, client.spec, server, mode)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request": "POST /notes?n=3"},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"User-Agent": None}},
        {"body": {"text": "b"}},
        {"body": '{"text": "a"}'},
        {"result": "6"},
        {"result": "5.0"},
        {"check": ["result == 5", "result == 6"]},
        {"raises": "InvalidArgument"},
        {"call": "default.add_note(n='x')"},
        {"call": "default.add_note(n='x')", "raises": "InvalidArgument"},
        {"call": "default.add_note(n=2)", "raises": "InvalidArgument"},
        {"answer": {"status": 500, "body": 5}},
    ],
    ids=repr,
)
def test_harness_rejects_a_wrong_expectation(built: Builder, server: Server, wrong: Node) -> None:
    client = built(SELF)
    with pytest.raises((AssertionError, client.package.ClientError)):
        cases.check(SELF, {**RIGHT, **wrong}, client.package, client.spec, server, "sync")


@pytest.mark.parametrize(
    ("query", "headers", "body"),
    [
        ([], {"content-type": "application/json"}, b"{}"),
        ([("n", "two")], {"content-type": "application/json"}, b"{}"),
        ([("n", "2"), ("day", "today")], {"content-type": "application/json"}, b"{}"),
        ([("n", "2")], {"content-type": "text/plain"}, b"text"),
        ([("n", "2")], {"content-type": "application/json"}, b'{"text": 5}'),
    ],
    ids=["missing", "no-number", "no-date", "other-type", "wrong-body"],
)
def test_oracle_rejects_what_the_document_does_not_allow(
    built: Builder, server: Server, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
) -> None:
    oracle = Oracle(built(SELF).spec, server.url)
    right = Request("POST", "/notes", [("n", "2")], {"content-type": "application/json"}, b'{"text": "a"}', "/notes")
    oracle.check_request(right)
    with pytest.raises(AssertionError, match="does not allow the request"):
        oracle.check_request(Request("POST", "/notes", query, headers, body, "/notes"))
