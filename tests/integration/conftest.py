"""Fixtures of the tests against a real ejabberd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.ejabberd import Ejabberd, EjabberdMissing, User
from tests.integration.proxy import FaultProxy


@pytest.fixture(scope="session")
def ejabberd() -> Iterator[Ejabberd]:
    """The server. A test that stops it starts it again."""
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
