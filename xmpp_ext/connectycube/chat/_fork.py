"""Forked child processes: a connection remains the parent's, and the child has to connect again."""

from __future__ import annotations

import os
from typing import Any, Final, Protocol
from weakref import WeakSet

__all__ = ["disown", "keep", "watch"]


class Forkable(Protocol):
    """What has to know that the process was forked."""

    def _forked(self) -> None: ...


_living: Final[WeakSet[Any]] = WeakSet()
_parents: Final[list[object]] = []
"""What belongs to the parent. It is kept, because even its destructor could do harm."""


def watch(owner: Forkable) -> None:
    """Call `_forked` in a forked child process, as long as the object lives."""
    _living.add(owner)


def keep(owned: object) -> None:
    """Keep an object of the parent process alive until this process ends."""
    _parents.append(owned)


def disown(stream: Any) -> None:
    """Make sure that the child can neither write to the parent's socket nor keep it open."""
    keep(stream)
    socket = None if stream.transport is None else stream.transport.get_extra_info("socket")
    if socket is not None and socket.fileno() >= 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, socket.fileno(), inheritable=False)
        os.close(nowhere)


def _after_fork() -> None:
    for owner in list(_living):
        owner._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
