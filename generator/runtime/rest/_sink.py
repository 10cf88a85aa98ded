"""Where a download goes: into memory, a path or an open file."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import select
import shutil
import stat
from collections.abc import Generator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from . import errors

if TYPE_CHECKING:
    Target = str | os.PathLike[str] | IO[bytes]


class Sink:
    """The destination of a download. A path's file appears only once it is complete; use it as a context manager.

    Pipes and devices are written to, links are followed, and a file that is replaced keeps its mode.
    """

    def __init__(self, target: Target | None) -> None:
        self.path: Path | None = None
        self.partial: Path | None = None
        self.memory = target is None
        self.size = 0
        self.file: IO[bytes]
        if target is None:
            self.file = io.BytesIO()
        elif isinstance(target, (str, os.PathLike)):
            try:
                self._open(Path(target))
            except (OSError, ValueError) as error:
                raise errors.InvalidArgument("to", f"can't be written: {error}") from error
        elif isinstance(target, io.TextIOBase):
            raise errors.InvalidArgument("to", "must be opened in binary mode")
        elif hasattr(target, "write"):
            self.file = target
        else:
            raise errors.InvalidArgument("to", f"must be a path or a binary file, not {type(target).__name__}")

    def _open(self, target: Path) -> None:
        self.path = Path(os.path.realpath(target))
        if self.path.is_dir():
            raise IsADirectoryError("it is a folder")
        self._old = self.path.stat() if self.path.exists() else None
        if self._old is not None and not stat.S_ISREG(self._old.st_mode):
            # Opened for reading as well, a pipe needs no reader yet.
            mode = "r+b" if stat.S_ISFIFO(self._old.st_mode) else "wb"
            self.file = open(self.path, mode, buffering=0)
            return
        # Not mkstemp, which would make the file readable by its owner only.
        self.partial = self.path.parent / f".{secrets.token_hex(8)}.part"
        self.file = open(self.partial, "xb")
        if self._old is not None:
            os.chmod(self.partial, stat.S_IMODE(self._old.st_mode))

    def write(self, chunk: bytes) -> None:
        """Write all of a chunk.

        :raises FileFailed: if the path's file system refuses it, for example because it is full.
        """
        left = memoryview(chunk)
        with self._failures():
            while left:
                written = cast("Any", self.file.write(left))
                if written is None and isinstance(self.file, io.RawIOBase):
                    select.select([], [self.file], [])  # A non-blocking stream that is full.
                    continue
                if not isinstance(written, int):
                    break  # A writer that does not count takes all.
                if written <= 0:
                    raise OSError(errno.EIO, "nothing can be written to the file")
                left = left[written:]
        self.size += len(chunk)

    def done(self) -> int | bytes:
        """Put the file in its place and return its length, or the bytes themselves if they were kept in memory."""
        if isinstance(self.file, io.BytesIO) and self.memory:
            return self.file.getvalue()
        if self.partial is not None and self.path is not None:
            with self._failures():
                self.file.close()
                if self._old is not None and self._old.st_nlink > 1:
                    self._copy(self.partial, self.path)
                else:
                    os.replace(self.partial, self.path)
        return self.size

    def _copy(self, partial: Path, path: Path) -> None:
        """Write into a file that has several names, without replacing it."""
        with open(partial, "rb") as source, open(path, "r+b") as file:
            if hasattr(os, "posix_fallocate") and self.size:
                os.posix_fallocate(file.fileno(), 0, self.size)  # Fails on a full disk before anything is lost.
            shutil.copyfileobj(source, file)
            file.truncate()

    @contextlib.contextmanager
    def _failures(self) -> Generator[None]:
        """Name the path in errors of the file system; a caller's own file raises its own errors."""
        try:
            yield
        except OSError as error:
            if self.path is None:
                raise
            failure = errors.FileFailed(f"files.download can't write {str(self.path)!r}: {error.strerror or error}")
            failure.errno, failure.operation = error.errno, "files.download"
            raise failure from error

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            # Closing flushes: after a failed write it fails again.
            with contextlib.suppress(OSError):
                self.file.close()
        if self.partial is not None:
            self.partial.unlink(missing_ok=True)
