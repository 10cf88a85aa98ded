"""SIGINT and SIGTERM, for programs that run until they are stopped."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Generator

__all__ = ["stopped_by"]


@contextlib.contextmanager
def stopped_by(stop: Callable[[], object]) -> Generator[None]:
    """Call a function on SIGINT and SIGTERM. In other threads than the main one, signals are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: object) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
