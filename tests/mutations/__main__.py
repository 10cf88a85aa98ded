"""`python -m tests.mutations`: apply each mutation to a copy of the project and run its conformance tests."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .faults import MUTATIONS, Mutation

PROJECT = Path(__file__).parent.parent.parent
PARTS = ("generated", "generator", "sandbox", "spec", "xmpp_ext", "pyproject.toml")
ROOTS = ("generated", "xmpp_ext", "sandbox")
TESTS = ("-m", "pytest", "-q", "--exitfirst", "--tb=no", "-p", "no:cacheprovider", "generated/conformance")


def main() -> int:
    """Report which mutations are caught.

    :returns: 0 if all are.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--project", type=Path, default=PROJECT, help="the checkout to mutate (default: this one)")
    parser.add_argument("--only", default="", help="mutations whose name contains this text")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if options.only in mutation.name]
    found = outcome(options.project, None)
    if found != "missed":
        print(f"without a mutation, the tests must pass: {found}", file=sys.stderr)
        return 1
    results = {}
    for mutation in chosen:
        results[mutation.name] = outcome(options.project, mutation)
        print(f"{mutation.name}: {results[mutation.name]}", flush=True)
    caught = sum(result.startswith("caught") for result in results.values())
    print(f"{caught} of {len(results)} caught")
    return 0 if caught == len(results) else 1


def outcome(project: Path, mutation: Mutation | None) -> str:
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        copy = Path(scratch)
        for part in PARTS:
            if (project / part).is_dir():
                shutil.copytree(project / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(project / part, copy)
        if mutation is not None and apply(mutation, copy).startswith(("generator/", "spec/")):
            made = run(copy, "-m", "generator")
            if made.returncode:
                return "caught by the generator"
        done = run(copy, *TESTS)
    if done.returncode == 0:
        return "missed"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if failed is None:
        raise RuntimeError(done.stdout + done.stderr)
    return f"caught by {failed.group(1)}"


def apply(mutation: Mutation, copy: Path) -> str:
    """Edit a file, and return its name."""
    for name in mutation.files:
        file = copy / name
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        if mutation.old in text:
            if text.count(mutation.old) > 1:
                raise ValueError(f"{mutation.name}: the text occurs more than once in {name}")
            file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
            return name
    raise ValueError(f"{mutation.name}: no file contains the text any more")


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / root) for root in ROOTS)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
