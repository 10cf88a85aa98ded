"""What the tests of the generator share: running it, small documents, looking at what it wrote."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from generator.__main__ import main

ROOT = Path(__file__).parent.parent.parent
SPECS = Path(__file__).parent / "specs"

Node = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a run ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """The lines before the closing one."""
        return self.err.splitlines()[:-1]


def run(*arguments: object) -> Outcome:
    """The generator in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Outcome(status, out.getvalue(), err.getvalue())


def command(
    *arguments: object, cwd: Path = ROOT, module: str = "generator", env: Mapping[str, str] | None = None
) -> Outcome:
    """`python -m generator` as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def python(code: str, folder: Path) -> Outcome:
    """A program in a folder of its own process, with that folder first on its path and warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def write(folder: Path, **files: str) -> Path:
    """Texts as `.yaml` files of a folder named `spec`."""
    spec = folder / "spec"
    spec.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (spec / f"{name}.yaml").write_text(text, encoding="utf-8")
    return spec


def dump(folder: Path, document: Node) -> Path:
    """A document as the file `api.yaml` of a folder."""
    file = folder / "api.yaml"
    file.write_text(yaml.dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def generated(folder: Path, document: Node, package: str = "client") -> Path:
    """The package made from a document, which must be free of faults."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "out"
    outcome = run("--spec", dump(folder, document), "--out", out, "--package", package)
    assert outcome.status == 0, outcome.err
    return out.joinpath(*package.split("."))


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder and their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def compiled(folder: Path) -> int:
    """Compile every Python file below a folder.

    :returns: how many there are.
    """
    files = sorted(folder.rglob("*.py"))
    for file in files:
        compiles(file.read_text(encoding="utf-8"))
    return len(files)


@cache
def compiles(text: str) -> bool:
    """Compile a module, each only once: most of a package is the same in all of them.

    :raises SyntaxError: if it can't be.
    """
    compile(text, "<generated>", "exec", dont_inherit=True)
    return True


def document(**more: Any) -> Node:
    """The smallest document, with more at its top."""
    return {"openapi": "3.1.0", "info": {"title": "Small", "version": "1"}, "paths": {}, **more}


def operation(operation_id: str = "things_get", **more: Any) -> Node:
    """The smallest operation."""
    return {"operationId": operation_id, "responses": {"204": {"description": "Done."}}, **more}


def answered(schema: Any, operation_id: str = "things_get", media: str = "application/json", **more: Any) -> Node:
    """An operation that answers with a schema."""
    response = {"description": "Done.", "content": {media: {"schema": schema}}}
    return {"operationId": operation_id, "responses": {"200": response}, **more}
