"""A short run of the fuzzer, in its own process because instrumented code stays instrumented."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.target import BASE

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="atheris has wheels for Linux on x86-64 only"
)

RUNS = 10_000


def test_no_input_fails() -> None:
    command = [sys.executable, "-m", "tests.fuzz.harness", "--runs", str(RUNS)]
    run = subprocess.run(command, cwd=BASE, capture_output=True, text=True, errors="replace")
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    found = re.search(r"^(\d+) inputs in .*, (\d+) of them stanzas$", run.stdout, re.MULTILINE)
    assert found is not None, run.stdout
    assert int(found[1]) >= RUNS
    assert int(found[2]) > RUNS // 20, "too few inputs get past the XML parser"


def test_failures_are_reported_and_kept(tmp_path: Path) -> None:
    code = (
        "import contextlib, sys\n"
        "import atheris\n"
        # Coverage is not needed to find the text in an example, and instrumenting takes seconds.
        "atheris.instrument_imports = lambda **options: contextlib.nullcontext()\n"
        "from tests.fuzz import harness\n"
        "def check(data):\n"
        "    if b'paused' in data:\n"
        "        raise AssertionError(f'bad: {data!r}')\n"
        "    return False\n"
        "harness.check = check\n"
        "sys.exit(harness.main())\n"
    )
    command = [sys.executable, "-c", code, "--runs", "5000", "--failed", str(tmp_path)]
    run = subprocess.run(command, cwd=BASE, capture_output=True, text=True, errors="replace")
    assert run.returncode != 0
    assert "bad: b'" in run.stdout + run.stderr
    kept = [path.read_bytes() for path in tmp_path.iterdir()]
    assert len(kept) == 1
    assert b"paused" in kept[0]
