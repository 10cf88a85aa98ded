"""Set up what all tests share: command-line options, signals, a bytecode cache, garbage collection."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from connectycube.sandbox import Sandbox, Settings
from tests.properties import examples

hypothesis.settings.register_profile("project", max_examples=examples(100))
hypothesis.settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server", choices=["sandbox", "ejabberd"], default="sandbox", help="the server that tests/integration uses"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return how many processes run the tests: more than cores, since many tests mostly wait."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(4, cores)


def pytest_configure() -> None:
    """Give the processes that the tests start what a user's process has: default signals, and cached bytecode.

    A parent may ignore SIGINT and SIGTERM, as `nohup` and shells' background jobs do. An ignored signal stays ignored
    across exec, so the programs that the tests start and interrupt would never end. A handled one is reset to its
    default.

    Where PYTHONDONTWRITEBYTECODE is set, each process would compile every module that it imports, which takes as long
    as all else that it does.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        cache = Path(__file__).parents[1] / ".build" / "pycache"
        os.environ["PYTHONPYCACHEPREFIX"] = str(cache)
        # Each run has temporary folders of its own.
        shutil.rmtree(cache / tempfile.gettempdir().lstrip("/"), ignore_errors=True)
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_finish() -> None:
    """Exclude the collected tests and their modules from garbage collection, which would visit them all each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def connectycube_sandbox_server() -> Iterator[Sandbox]:
    """Start the sandbox of the fixture `connectycube_sandbox` with the application id that is in the tests' JIDs."""
    with Sandbox(Settings(app_id=7001)) as sandbox:
        yield sandbox
