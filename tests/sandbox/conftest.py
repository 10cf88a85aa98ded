"""Fixtures of the tests of the sandbox: users with a client each, sync or async, over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox
from tests.rest.both import Both
from tests.rest.conftest import bare_environment, both, waits

__all__ = ["bare_environment", "both", "http", "join", "sandbox", "waits"]

PASSWORD = "correct-horse-9"

Join = Callable[..., Any]
"""Makes clients; not typed as such, for every id in an answer may be missing."""


@pytest.fixture
def sandbox(connectycube_sandbox: Sandbox) -> Sandbox:
    return connectycube_sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Send plain requests, without a session."""
    # The address is one of plain HTTP, and loading certificates would take longer than all else.
    with httpx.Client(base_url=sandbox.api_url, verify=False) as client:
        yield client


@pytest.fixture
def join(both: Both, sandbox: Sandbox) -> Join:
    """Makes a client of a new user, logged in; `user_id` of its session tells who it is."""

    def joined(login: str, **options: Any) -> Any:
        cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None, max_retries=0, **options)
        cube.login(login=login, password=PASSWORD, create=True)
        return cube

    return joined


def session_id(cube: ConnectyCube) -> int:
    """Which session a client has."""
    session = cube.session
    assert session is not None
    assert session.id is not None
    return session.id


def user_id(cube: ConnectyCube) -> int:
    """Whose client it is."""
    session = cube.session
    assert session is not None
    assert session.user_id is not None
    return session.user_id
