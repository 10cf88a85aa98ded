"""Large files go through in small pieces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rest.server import Answer, Server
from tests.rest.storage import UID, play

MEGABYTE = 1024 * 1024
LARGE = 100 * MEGABYTE - 1024
SMALL = 2 * MEGABYTE
PIECE = bytes(1023 * 1024)
ROOT = Path(__file__).parents[2]

Measure = Callable[[str, str], int]


@pytest.fixture
def measure(tmp_path: Path) -> Iterator[Measure]:
    """Run one transfer in its own process and return its memory growth in bytes."""
    large, small = tmp_path / "large", tmp_path / "small"
    for path, size in ((large, LARGE), (small, SMALL)):
        with path.open("wb") as file:
            file.truncate(size)
    with Server() as server, Server(drain=True) as storage:
        play(server, storage)
        for uid, count in ((UID, 100), (f"{UID}-small", 2)):
            server.on("GET", f"/blobs/{uid}/download", Answer(302, headers={"Location": f"{storage.url}/{uid}"}))
            storage.on("GET", f"/{uid}", Answer(200, PIECE, repeat=count))

        def run(kind: str, what: str) -> int:
            command = [sys.executable, "-m", "tests.rest.upload_memory", kind, what, server.url, UID]
            done = subprocess.run([*command, large, small], capture_output=True, text=True, check=False, cwd=ROOT)
            assert done.returncode == 0, done.stderr
            lengths = [int(request.header("Content-Length") or 0) for request in storage.requests]
            if what != "download":
                assert max(lengths) > LARGE
            else:
                assert (tmp_path / "large.copy").stat().st_size == 100 * len(PIECE)
            return int(done.stdout)

        yield run


@pytest.mark.parametrize("what", ["upload", "upload of a stream", "download"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_large_file_uses_little_memory(
    measure: Measure, record_property: Callable[[str, object], None], kind: str, what: str
) -> None:
    growth = measure(kind, what)
    record_property("growth of the peak in MB", growth / MEGABYTE)
    print(f"{kind} {what} of {LARGE} bytes: {growth / MEGABYTE:.1f} MB")
    assert growth < 20 * MEGABYTE


def test_measurement_detects_a_file_held_in_memory(measure: Measure) -> None:
    assert measure("sync", "upload of bytes") > 90 * MEGABYTE
