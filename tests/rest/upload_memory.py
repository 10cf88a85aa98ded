"""Measures how much memory a large transfer takes beside that of a small one.

Run by `test_memory.py` in a process of its own: `python -m tests.rest.upload_memory KIND WHAT URL UID LARGE SMALL`.
Prints the growth of the peak in bytes.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from connectycube.rest import AsyncConnectyCube, ConnectyCube


def peak() -> int:
    """The most memory that this process has had, in bytes.

    On Linux `ru_maxrss` starts with the peak of the process that started this one, so the kernel's own figure for the
    present program is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Forward:
    """A file that can't seek."""

    def __init__(self, path: str) -> None:
        self._pieces = pieces(path)

    def read(self, size: int) -> bytes:
        return next(self._pieces, b"")


def pieces(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while piece := file.read(64 * 1024):
            yield piece


def call(what: str, files: Any, path: str, uid: str) -> Any:
    """Begin one transfer."""
    if what == "upload":
        return files.upload(path)
    if what == "upload of a stream":
        return files.upload(Forward(path))
    if what == "download":
        return files.download(uid if path.endswith("large") else f"{uid}-small", path + ".copy")
    # The measure's own proof: a transfer that does take the file into memory.
    return files.upload(Path(path).read_bytes())


def measure(transfer: Callable[[str], object], large: str, small: str) -> int:
    transfer(small)
    before = peak()
    transfer(large)
    return peak() - before


async def ameasure(client: AsyncConnectyCube, what: str, uid: str, large: str, small: str) -> int:
    async with client:
        await call(what, client.files, small, uid)
        before = peak()
        await call(what, client.files, large, uid)
        return peak() - before


def main(kind: str, what: str, url: str, uid: str, large: str, small: str) -> None:
    if kind == "async":
        print(asyncio.run(ameasure(AsyncConnectyCube(base_url=url, token="t"), what, uid, large, small)))
        return
    with ConnectyCube(base_url=url, token="t") as cube:
        print(measure(lambda path: call(what, cube.files, path, uid), large, small))


if __name__ == "__main__":
    main(*sys.argv[1:])
