"""Fixtures of the tests that go over loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.rest.both import Both
from tests.rest.server import Server


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and no proxy from outside."""
    for name in list(os.environ):
        if name.startswith("CONNECTYCUBE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    made = Both(request.param)
    yield made
    made.close_all()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def storage() -> Iterator[Server]:
    """Another company's host: it has another port."""
    with Server() as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that clients would have waited between attempts; nothing really waits."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr("connectycube.rest._retry.sleep", found.append)
    monkeypatch.setattr("connectycube.rest._retry.asleep", sleep)
    return found
