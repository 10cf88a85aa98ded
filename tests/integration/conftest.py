"""Fixtures of the tests against a real ejabberd, or with `--server sandbox` against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.ejabberd import Ejabberd, EjabberdMissing, User
from tests.integration.proxy import FaultProxy
from tests.integration.sandboxed import SandboxServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", choices=["ejabberd", "sandbox"], default="ejabberd", help="whom the chat talks to")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against the sandbox, leave out what is about ejabberd or about what only an administrator of it can do."""
    if config.getoption("--server") == "sandbox":
        left_out = [item for item in items if item.get_closest_marker("ejabberd_only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def ejabberd(request: pytest.FixtureRequest) -> Iterator[Ejabberd | SandboxServer]:
    """The server. A test that stops it starts it again."""
    if request.config.getoption("--server") == "sandbox":
        with SandboxServer() as sandbox:
            yield sandbox
        return
    try:
        server = Ejabberd()
    except EjabberdMissing as missing:
        pytest.fail(f"{missing}: `make interop` installs it and runs these tests", pytrace=False)
    with server:
        yield server


@pytest.fixture
def users(ejabberd: Ejabberd) -> Iterator[Callable[[], User]]:
    """Makes accounts that no other test has; they are gone afterwards."""
    made: list[User] = []

    def user() -> User:
        made.append(ejabberd.register())
        return made[-1]

    yield user
    if not ejabberd.running:
        # A failed test left it so; the next ones shall not fail for that.
        ejabberd.start()
    for each in made:
        ejabberd.unregister(each)


@pytest.fixture
def proxy() -> Callable[[int], FaultProxy]:
    """Makes proxies before a port of loopback; each is an async context manager."""

    def before(port: int) -> FaultProxy:
        return FaultProxy("127.0.0.1", port)

    return before
