"""A NATS server for the tests of a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import NatsServer


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of its own for a test, which may kill it."""
    with NatsServer(tmp_path / "nats") as server:
        yield server
