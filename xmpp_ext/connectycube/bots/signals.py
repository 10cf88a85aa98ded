"""SIGINT and SIGTERM, for bots and fleets that finish what is in progress before they end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine
from typing import Any

__all__ = ["until_signalled"]


async def until_signalled(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine to its end, or cancel it on SIGINT or SIGTERM. A second signal ends the process at once.

    In other threads than the main one, signals are left alone.
    """
    loop, working = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def stop(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(working.cancel)

    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if in_main}
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
