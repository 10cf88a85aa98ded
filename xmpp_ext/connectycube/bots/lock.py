"""A lock that one process holds, and that names it to the others."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Final
from weakref import WeakSet

from .store import StoreError, StoreLocked

__all__ = ["FileLock"]

if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> None:
        # Beyond the text, so that others can read it.
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: Final[WeakSet[FileLock]] = WeakSet()


class FileLock:
    """A lock file. The system releases the lock when the process ends, however it ends."""

    def __init__(self, path: Path, name: str) -> None:
        """:param name: what errors call the thing that is locked."""
        self._path = path
        self._name = name
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock.

        :raises StoreLocked: if another process has it, or another bot in this one.
        :raises StoreError: if the file can't be written.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise StoreError(self._name, f"can't be locked: {error.strerror}: {self._path}") from error
        try:
            _take(file)
        except OSError as error:
            holder = os.pread(file, 200, 0).decode("utf-8", "replace") if hasattr(os, "pread") else ""
            os.close(file)
            raise StoreLocked(self._name, holder.strip() or "another process") from error
        self._file = file
        _held.add(self)
        # If this fails, as on a full disk, the lock holds but is anonymous.
        with contextlib.suppress(OSError):
            os.truncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Release the lock. The file stays: removing it would race with a process that takes it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            _held.discard(self)


def _forked() -> None:
    """Leave the locks to the parent: a child would keep them beyond its end."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
