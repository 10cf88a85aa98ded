"""The server that these tests talk to: the sandbox, or with `--server ejabberd` a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.ejabberd import Ejabberd, EjabberdMissing
from tests.integration.proxy import FaultProxy
from tests.integration.sandboxed import SandboxServer
from tests.integration.server import Server, User


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against the sandbox, leave out what is about ejabberd, or about what can be switched only there."""
    if config.getoption("--server") == "ejabberd":
        return
    left_out = [item for item in items if "ejabberd" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server. A test that stops it starts it again."""
    if request.config.getoption("--server") == "sandbox":
        with SandboxServer() as sandbox:
            yield sandbox
        return
    try:
        ejabberd = Ejabberd()
    except EjabberdMissing as missing:
        pytest.fail(f"{missing}: `make interop` installs it and runs these tests", pytrace=False)
    with ejabberd:
        yield ejabberd


@pytest.fixture(scope="session")
def ejabberd(server: Server) -> Ejabberd:
    """The server, for tests of what only ejabberd has."""
    assert isinstance(server, Ejabberd)
    return server


@pytest.fixture
def users(server: Server) -> Iterator[Callable[[], User]]:
    """Makes accounts that no other test has; they are gone afterwards."""
    made: list[User] = []

    def user() -> User:
        made.append(server.register())
        return made[-1]

    yield user
    if not server.running:
        # A failed test left it so; the next ones shall not fail for that.
        server.start()
    for each in made:
        server.unregister(each)


@pytest.fixture
def proxy() -> Callable[[int], FaultProxy]:
    """Makes proxies before a port of loopback; each is an async context manager."""

    def before(port: int) -> FaultProxy:
        return FaultProxy("127.0.0.1", port)

    return before
