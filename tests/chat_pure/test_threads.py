"""The thread of the blocking chat, without a server: interrupts, forks, and why the standard executors don't serve."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from connectycube.chat.blocking.thread import LoopThread, _Call

PATIENCE = 30


@contextlib.contextmanager
def interrupt(where: Callable[[FrameType], bool]) -> Iterator[None]:
    """Raise `KeyboardInterrupt` where the interpreter looks for signals: as a function begins, and after one in C."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        # One in the callback of a weak reference is only reported.
        if event in ("call", "c_return") and frame.f_code.co_name != "_remove" and where(frame):
            raise KeyboardInterrupt

    before = sys.getprofile()
    # One in what the garbage collector finalizes is only reported, too, and would not reach the call.
    gc.disable()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        gc.enable()


def at(step: int) -> Callable[[FrameType], bool]:
    """Choose a place by its number."""
    steps = itertools.count()
    return lambda _: next(steps) == step


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """A loop that stays until the end of the test."""
    wanted = True
    loop = LoopThread(lambda: wanted)
    before = threading.active_count()
    loop.call(asyncio.sleep, 0)
    yield loop
    wanted = False
    loop.call(asyncio.sleep, 0)
    assert threading.active_count() == before


def test_an_interrupt_anywhere_in_a_call_leaves_the_loop_usable(loop: LoopThread) -> None:
    async def answer() -> int:
        return 42

    interrupted, step = True, 0
    while interrupted:
        interrupted = False
        try:
            with interrupt(at(step)):
                loop.call(answer)
        except KeyboardInterrupt:
            interrupted = True
        helper = threading.Thread(target=loop.call, args=(answer,), daemon=True)
        helper.start()
        helper.join(PATIENCE)
        assert not helper.is_alive(), f"the loop hangs after an interrupt at step {step}"
        step += 1
    assert step > 20


def test_an_interrupt_anywhere_in_a_call_cancels_it() -> None:
    """Wherever it comes, neither the call nor its thread outlives it."""
    loop, before = LoopThread(lambda: False), threading.active_count()

    async def wait() -> None:
        running.append(asyncio.current_task())
        try:
            await asyncio.Event().wait()
        finally:
            running.clear()

    running = list[asyncio.Task[None] | None]()
    waiting, places = _Call.wait.__code__, set[bool]()
    for step in itertools.count():
        handed, left = False, step

        def here(frame: FrameType) -> bool:
            nonlocal handed, left
            handed = handed or frame.f_code is waiting
            thread = loop._thread
            # Without a thread asyncio would leave its sockets open, and `threading` itself would break.
            if thread is None or not thread.is_alive() or frame.f_code.co_filename == threading.__file__:
                return False
            left -= 1
            return left < 0 or handed  # A call that waits is the last place.

        with pytest.raises(KeyboardInterrupt), interrupt(here):
            loop.call(wait)
        assert running == []
        for thread in threading.enumerate():
            if thread.name == "connectycube chat":
                thread.join(PATIENCE)
        assert threading.active_count() == before
        places.add(handed)
        if handed:
            break
    assert places == {False, True}
    assert step > 5


def test_an_interrupt_can_leave_a_portal_locked() -> None:
    """This is why `thread` uses no portal: the chat would hang."""
    go = threading.Event()
    locking = threading.Condition.__enter__.__code__
    seen: list[FrameType] = []

    def locked(frame: FrameType) -> bool:
        seen.extend([frame] if frame.f_code is locking else [])
        return len(seen) == 2  # First it begins, then its lock is acquired.

    with start_blocking_portal() as portal:
        future = portal.start_task_soon(go.wait)
        with pytest.raises(KeyboardInterrupt), interrupt(locked):
            future.result()
        go.set()
        other = threading.Thread(target=portal.call, args=(asyncio.sleep, 0))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        future._condition.release()
        other.join(PATIENCE)
        assert not other.is_alive()


def test_an_interrupted_call_is_cancelled(loop: LoopThread) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = _Call.wait.__code__
    with pytest.raises(KeyboardInterrupt), interrupt(lambda frame: frame.f_code is waiting and begun.wait(PATIENCE)):
        loop.call(wait)
    assert cancelled.is_set()


def test_the_thread_ends_with_the_last_call() -> None:
    loop, before = LoopThread(lambda: False), threading.active_count()
    for _ in range(3):
        loop.call(asyncio.sleep, 0)
        assert threading.active_count() == before


def test_calls_of_many_threads_share_one_loop() -> None:
    loop, seen = LoopThread(lambda: False), list[asyncio.AbstractEventLoop]()
    together = threading.Barrier(10)

    async def note() -> None:
        seen.append(asyncio.get_running_loop())

    def call() -> None:
        together.wait()
        for _ in range(50):
            loop.call(note)

    before = threading.active_count()
    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(seen) == 500
    assert all(one.is_closed() for one in seen)
    assert threading.active_count() == before


def test_what_a_call_raises_reaches_the_caller(loop: LoopThread) -> None:
    async def fail() -> None:
        raise ValueError("not this way")

    with pytest.raises(ValueError, match="not this way"):
        loop.call(fail)


FORK = """
import asyncio, os, warnings
from connectycube.chat.blocking.thread import LoopThread

warnings.simplefilter("ignore", DeprecationWarning)  # Of a fork in a program with threads.
wanted = True
loop = LoopThread(lambda: wanted)
loop.call(asyncio.sleep, 0)
if os.fork() == 0:
    wanted = False
    assert loop.call_sync(lambda: 5) == 5
    loop.call(asyncio.sleep, 0)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
"""

ENDLESS_HANDLER = """
import threading
from connectycube.chat import TypingStarted
from connectycube.chat._bus import Bus
from connectycube.chat.blocking.workers import Handler, Workers

begun = threading.Event()

def endless(event):
    begun.set()
    threading.Event().wait()

Handler(Workers(Bus()), endless, 1).put(TypingStarted(user_id=1, dialog_id=None))
begun.wait()
"""


PROGRAMS = {"endless-handler": ENDLESS_HANDLER, **({"fork": FORK} if hasattr(os, "fork") else {})}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_program_ends(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_executor_would_wait_for_an_endless_handler() -> None:
    """This is why `workers` uses none: at exit, Python waits for every thread that is not a daemon."""
    with ThreadPoolExecutor() as executor:
        assert not executor.submit(threading.current_thread).result().daemon
