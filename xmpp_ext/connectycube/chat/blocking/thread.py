"""An event loop in a thread of its own, for blocking callers.

Callers wait at plain locks, not at the futures of `concurrent.futures`, on which anyio's `BlockingPortal` is built: a
future takes its lock in Python code, so a Ctrl-C that comes just then leaves it locked, and the event loop waits for it
forever. `tests/chat_pure/test_threads.py` shows both.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

from .._fork import keep, watch

__all__ = ["LoopThread", "wait_at"]

P = ParamSpec("P")
T = TypeVar("T")

SIGNAL_CHECK: Final = 1.0
"""Seconds between checks for signals: one that comes just before a wait doesn't end it, nor does any on Windows."""


def wait_at(gate: threading.Lock) -> None:
    """Wait until a lock is free, and take it. Ctrl-C ends the wait."""
    while not gate.acquire(timeout=SIGNAL_CHECK):
        pass


class _Call(Generic[T]):
    """A coroutine function that a caller waits for.

    :ivar gate: free once it is over, until the caller has passed.
    :ivar loop: the loop that it is about to be handed to, in this thread.
    :ivar over: whether the task is done, or never will be.
    """

    __slots__ = ("func", "gate", "loop", "over", "task", "thread")

    def __init__(self, func: Callable[[], Awaitable[T]]) -> None:
        self.func = func
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.task: asyncio.Task[T] | None = None
        self.over = False
        self.gate = threading.Lock()
        self.gate.acquire()

    async def run(self) -> T:
        return await self.func()

    def wait(self) -> None:
        while not self.over:  # A wait that was interrupted may have passed the gate.
            self.gate.acquire(timeout=SIGNAL_CHECK)

    def end(self) -> None:
        self.over = True
        self.gate.release()


class LoopThread:
    """The event loop of one chat, in a thread that exists only while it is needed.

    A call starts the thread if there is none: offline, a call then raises what the asynchronous chat raises. The thread
    ends after the last call, unless `wanted` is true. Every method may be called in any thread.

    :param wanted: whether to keep the loop after a call.
    """

    __slots__ = ("__weakref__", "_handed", "_lock", "_loop", "_tasks", "_thread", "_wanted")

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._handed: deque[_Call[Any]] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        watch(self)

    def _forked(self) -> None:
        """Leave the loop to the parent, in a forked child process that has no such thread."""
        keep(self._loop)
        self._lock = threading.Lock()
        self._loop = self._thread = None
        self._handed.clear()
        self._tasks = set()

    def check(self) -> None:
        """Refuse to block in the loop's own thread.

        :raises RuntimeError: if called there.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("the chat was called in its own thread, which would wait for itself for ever")

    def call(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Await a coroutine function in the loop. If the wait is interrupted, the function is cancelled.

        :raises RuntimeError: in the loop's own thread.
        """
        self.check()
        call = _Call(partial(func, *args, **kwargs))
        try:
            self._hand_over(call)
            call.wait()
        except BaseException:
            if call.loop is not None:
                with contextlib.suppress(RuntimeError):  # The loop is closed, so the call is over.
                    call.loop.call_soon_threadsafe(self._cancel, call)
                    call.wait()
            raise
        finally:
            if call.thread is not None and self._loop is not call.loop:
                call.thread.join()
        if call.task is None:
            raise RuntimeError("the chat's thread has ended")
        return call.task.result()

    def call_sync(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function while nothing else of the chat runs: in the loop's thread, if there is one."""

        async def awaited() -> T:
            return func(*args, **kwargs)

        if threading.current_thread() is self._thread:
            return func(*args, **kwargs)
        with self._lock:
            if self._loop is None:
                return func(*args, **kwargs)
        return self.call(awaited)

    # -- in the caller's thread

    def _hand_over(self, call: _Call[Any]) -> None:
        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None:
                if thread is not None:
                    thread.join()  # It is about to end; there is never more than one.
                self._handed.clear()
                self._tasks.clear()
                loop = asyncio.new_event_loop()
                # A daemon: a program that forgets to disconnect can end.
                thread = threading.Thread(target=self._run, args=(loop,), name="connectycube chat", daemon=True)
                try:
                    self._loop, self._thread = loop, thread
                    thread.start()
                except BaseException:
                    self._loop = self._thread = None
                    raise
            call.loop, call.thread = loop, thread
            self._handed.append(call)
            loop.call_soon_threadsafe(self._begin)

    # -- in the loop's thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            wanted = self._loop is loop  # Not if `start` was interrupted.
        try:
            with asyncio.Runner(loop_factory=lambda: loop):  # It cancels what still runs, and closes the loop.
                if wanted:
                    loop.run_forever()
        finally:
            if self._loop is loop:  # A callback raised `SystemExit`: normally `_done` ends the loop.
                with self._lock:
                    self._loop = None
                    while self._handed:
                        self._handed.popleft().end()

    def _begin(self) -> None:
        while self._handed:
            call = self._handed.popleft()
            call.task = asyncio.get_running_loop().create_task(call.run(), name="connectycube call")
            self._tasks.add(call.task)
            call.task.add_done_callback(partial(self._done, call))

    def _cancel(self, call: _Call[Any]) -> None:
        self._begin()
        if call.task is not None:
            call.task.cancel()
        else:
            self._end(call)  # The interrupt came before the call was handed over.

    def _done(self, call: _Call[Any], task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # A caller that was interrupted doesn't ask for it.
        self._end(call)

    def _end(self, call: _Call[Any]) -> None:
        with self._lock:
            # Under the lock: no call is handed to a loop that ends.
            if not self._tasks and not self._handed and not self._wanted():
                self._loop = None
                asyncio.get_running_loop().stop()
        call.end()
