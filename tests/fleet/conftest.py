"""A NATS server for the tests of a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectycube.sandbox import Sandbox
from tests.bots.conftest import World

from .server import NatsServer


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of its own for a test, which may kill it."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let those who lost a server that a test has restarted find it at once."""
    monkeypatch.setattr("connectycube.bots.fleet.engine.RECONNECT", 0.05)


@pytest.fixture
def world(connectycube_sandbox: Sandbox, tmp_path: Path) -> World:
    return World(connectycube_sandbox, tmp_path)
