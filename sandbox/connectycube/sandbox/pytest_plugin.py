"""The pytest fixture `connectycube_sandbox`: one server for the whole run, reset before each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import Sandbox

__all__ = ["connectycube_sandbox", "connectycube_sandbox_server"]


@pytest.fixture(scope="session")
def connectycube_sandbox_server() -> Iterator[Sandbox]:
    """Start the server. Override this fixture to use your own settings."""
    # Imported here because most runs of pytest don't use it.
    from . import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def connectycube_sandbox(connectycube_sandbox_server: Sandbox) -> Sandbox:
    """Return a local ConnectyCube, as if it had just been started."""
    connectycube_sandbox_server.reset()
    return connectycube_sandbox_server
