"""What holds for all tests: the command line's options, and signals."""

from __future__ import annotations

import signal
from collections.abc import Iterator

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


def pytest_configure() -> None:
    """Handle SIGINT and SIGTERM although a parent may ignore them, as `nohup` and shells' background jobs do.

    An ignored signal stays ignored across exec, so the programs that the tests start and interrupt would never end. A
    handled one is reset to its default.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def connectycube_sandbox_server() -> Iterator[Sandbox]:
    """Start the sandbox of the fixture `connectycube_sandbox` with the application id that is in the tests' JIDs."""
    with Sandbox(Settings(app_id=7001)) as sandbox:
        yield sandbox
