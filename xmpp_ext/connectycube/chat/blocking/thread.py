"""An event loop in a thread of its own, for callers that block.

Callers wait at plain locks, not at `concurrent.futures`: those have locks in Python, which an interrupt at the wrong
moment leaves locked, and with it the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["LoopThread", "wait_at"]

P = ParamSpec("P")
T = TypeVar("T")

LOOK: Final = 1.0
"""Seconds between two looks for a signal: one that comes just before a wait does not break it off by itself, nor does
any on Windows."""


def wait_at(gate: threading.Lock) -> None:
    """Wait until a lock can be had, and take it. Ctrl-C breaks it off."""
    while not gate.acquire(timeout=LOOK):
        pass


class _Ended(Exception):
    """The loop takes no more calls."""


class _Running:
    """A loop that runs, until `stop`."""

    __slots__ = ("_ended", "_error", "_lock", "_loop", "_quit", "_ready", "_tasks", "_thread")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._error: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ready = threading.Lock()
        self._ready.acquire()
        # A program that forgets to disconnect can end all the same.
        self._thread = threading.Thread(target=self._run, name="connectycube chat", daemon=True)
        self._thread.start()
        wait_at(self._ready)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.locked():
                self._error = error
                self._ready.release()
            else:
                raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._quit = asyncio.Event()
        self._ready.release()
        await self._quit.wait()
        with self._lock:
            self._ended = True
        await asyncio.sleep(0)  # What was called before has begun now.
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def here(self) -> bool:
        """Whether this is called in the loop's own thread."""
        return threading.current_thread() is self._thread

    def check(self) -> None:
        """Refuse to wait in the loop's own thread."""
        if self.here:
            raise RuntimeError("the chat was called in its own thread, which would wait for itself for ever")

    def call(self, func: Callable[[], Awaitable[T]]) -> T:
        """Await a coroutine function in the loop. Where the wait is interrupted, so is what it waits for.

        :raises _Ended: if the loop takes no more calls.
        """
        self.check()
        done = threading.Lock()
        done.acquire()
        made: list[asyncio.Task[T]] = []

        async def run() -> T:
            return await func()

        def begin() -> None:
            task = self._loop.create_task(run(), name="connectycube call")
            made.append(task)
            self._tasks.add(task)
            task.add_done_callback(end)

        def end(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                task.exception()  # Whoever was interrupted does not ask for it.
            done.release()

        self._soon(begin)
        try:
            while not done.acquire(timeout=LOOK):
                if not self._thread.is_alive():
                    raise _Ended
        except BaseException:
            with contextlib.suppress(_Ended):
                self._soon(lambda: made[0].cancel())
            raise
        return made[0].result()

    def _soon(self, callback: Callable[[], object]) -> None:
        with self._lock:
            if self._ended or not self._thread.is_alive():
                raise _Ended
            self._loop.call_soon_threadsafe(callback)

    def stop(self) -> None:
        """End the loop once its calls are done, and the thread."""
        with contextlib.suppress(_Ended):
            self._soon(self._quit.set)
        self._thread.join()


class LoopThread:
    """The loop of a chat: there is one from `start` to `stop`. Every method but these two may be called anywhere."""

    __slots__ = ("_lock", "_running", "_starting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._starting = 0

    def check(self) -> None:
        """Refuse to wait in the loop's own thread.

        :raises RuntimeError: if this is it.
        """
        running = self._running
        if running is not None:
            running.check()

    def call(self, func: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await a coroutine function in the loop. Without a loop it gets one for the call: all that it can do then is
        to raise what it raises offline.

        :raises RuntimeError: in the loop's own thread.
        """
        made = partial(func, *args, **kwargs)
        while True:
            running = self._running
            if running is None:
                with self._lock:
                    if self._running is None:
                        running = _Running()
                        try:
                            return running.call(made)
                        finally:
                            running.stop()
                continue
            with contextlib.suppress(_Ended):
                return running.call(made)
            self._forget(running)

    def there(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function where nothing else of the chat happens meanwhile: in the loop's thread."""

        async def awaited() -> T:
            return func(*args, **kwargs)

        while True:
            running = self._running
            if running is None:
                with self._lock:
                    if self._running is None:
                        return func(*args, **kwargs)
                continue
            if running.here:
                return func(*args, **kwargs)
            with contextlib.suppress(_Ended):
                return running.call(awaited)
            self._forget(running)

    def start(self, first: Callable[[], Awaitable[None]], undo: Callable[[], Awaitable[object]]) -> None:
        """Begin a loop, if there is none, and await a coroutine function in it.

        :param first: what to await; where it fails the loop ends.
        :param undo: what to await then before that.
        """
        while True:
            with self._lock:
                if self._running is None:
                    self._running = _Running()
                running = self._running
                self._starting += 1
            try:
                running.call(first)
            except _Ended:
                # It was found while it ended.
                self._started()
                self._forget(running)
            except BaseException:
                self._started()
                self._end(running, undo)
                raise
            else:
                self._started()
                return

    def stop(self, undo: Callable[[], Awaitable[object]]) -> None:
        """End the loop, unless another thread is just starting it.

        :param undo: what to await before.
        """
        running = self._running
        if running is not None:
            self._end(running, undo)

    def _end(self, running: _Running, undo: Callable[[], Awaitable[object]]) -> None:
        try:
            with contextlib.suppress(_Ended):
                running.call(undo)
        finally:
            with self._lock:
                wanted = self._starting > 0
                if not wanted and self._running is running:
                    self._running = None
            if not wanted:
                running.stop()

    def _started(self) -> None:
        with self._lock:
            self._starting -= 1

    def _forget(self, running: _Running) -> None:
        with self._lock:
            if self._running is running:
                self._running = None
