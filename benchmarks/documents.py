"""Compare the generator with openapi-python-client on public documents: `python -m benchmarks.documents [FOLDER]`.

For each document it prints the number of its operations and of those in either client, and the time and peak memory
of either generator. The documents come from npm unless a folder is given.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .report import Table

ROOT = Path(__file__).parent.parent
DOWNLOADS = ROOT / ".build" / "documents"

RUNS = 3
"""The best of these counts: a busy machine can only make a run longer."""

LONG = 30.0
"""Seconds of a run after which there is no further one."""

SHARE = 0.97
"""Of a document's operations, that the client must have at least."""

PACKAGES = {
    "@blockfrost/openapi@0.1.93": "openapi.yaml",
    "@directus/specs@15.2.0": "dist/openapi.json",
    "@ideal-postcodes/openapi@4.21.0": "dist/openapi.yaml",
}
"""npm packages with public documents, and where these are."""

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}


class Run(NamedTuple):
    """A run's wall seconds, CPU seconds, and the peak memory of its largest process in MB."""

    wall: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:>8.2f} {self.cpu:>8.2f} {self.memory:>6.0f}"


def main(arguments: list[str]) -> int:
    """Measure, print, and return 1 if a bar is missed."""
    documents = in_folder(Path(arguments[0])) if arguments and arguments[0] else downloaded()
    table = Table()
    columns = f"{'wall s':>8} {'CPU s':>8} {'MB':>6}"
    print(f"{'':<32} {'operations':^20}    {'ours':^24}    {'openapi-python-client':^24}")
    print(f"{'document':<32} {'in it':>6} {'ours':>6} {'peer':>6}    {columns}    {columns}")
    for path in documents:
        row(table, path)
    return table.status


def in_folder(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".yaml", ".yml")]


def row(table: Table, path: Path) -> None:
    """Make both clients of a document, and print what came out."""
    total = in_document(path)
    with tempfile.TemporaryDirectory() as scratch:
        out, peer = Path(scratch) / "ours", Path(scratch) / "peer"
        mine = best(["-m", "generator", "--spec", str(path), "--out", str(out)])
        made = ["--path", str(path), "--output-path", str(peer), "--meta", "none", "--overwrite"]
        its = best(["-m", "openapi_python_client", "generate", *made])
        ours, theirs = in_client(out), in_peer(peer)
    met = ours >= theirs and ours >= SHARE * total
    print(
        f"{path.name:<32} {total:>6} {ours:>6} {theirs:>6}    {mine}    {its}{table.verdict(path.name, met)}",
        flush=True,
    )


def best(command: list[str]) -> Run:
    """Run a program several times, each in its own process, and return its best time and least memory."""
    found: list[Run] = []
    while len(found) < RUNS and (not found or found[-1].wall < LONG):
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Its usage includes that of its own children, which format the code.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        found.append(Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    return Run(*map(min, zip(*found, strict=True)))


def in_document(path: Path) -> int:
    """Count a document's operations."""
    document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    items = [resolved(document, item) for item in (document.get("paths") or {}).values() if isinstance(item, dict)]
    return sum(len(METHODS & item.keys()) + len(item.get("additionalOperations", ())) for item in items)


def resolved(document: Any, item: Any) -> dict[str, Any]:
    """Return the item of a path, which may be in the document's components."""
    found: dict[str, Any] = dict(item or {})
    while reference := found.pop("$ref", None):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        found = {**target, **found}
    return found


def in_client(out: Path) -> int:
    """Count the operations that methods of the sync client send, by their docstrings."""
    found: set[str] = set()
    for path in out.glob("client/resources/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                found.update(re.findall(r"`([A-Z]+ /[^`]*)`, described in ", text))
    return len(found)


def in_peer(out: Path) -> int:
    """Count the modules of openapi-python-client that each hold an operation."""
    return sum("def _get_kwargs(" in path.read_text(encoding="utf-8") for path in out.glob("api/**/*.py"))


def downloaded() -> list[Path]:
    """Return public documents, which are fetched from npm once, or without npm some small ones of the tests."""
    if shutil.which("npm") is None:
        print("npm is missing: instead of public documents, these are small ones", file=sys.stderr)
        return in_folder(ROOT / "tests" / "generator" / "specs")
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    for package, name in PACKAGES.items():
        target = DOWNLOADS / f"{re.sub('[^a-z]+', '-', package.rpartition('@')[0]).strip('-')}{Path(name).suffix}"
        if not target.exists():
            with tempfile.TemporaryDirectory() as scratch:
                subprocess.run(["npm", "pack", "--silent", package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
                shutil.unpack_archive(next(Path(scratch).glob("*.tgz")), scratch, filter="data")
                shutil.move(Path(scratch) / "package" / name, target)
    return in_folder(DOWNLOADS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
