"""Fixtures for tests that use the official JavaScript SDK as a client of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectycube.sandbox import Sandbox
from tests.interop.javascript import Driver
from tests.interop.npm import JavaScriptMissing
from tests.interop.stage import Stage


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """Run the process that drives the SDK."""
    try:
        made = Driver()
    except JavaScriptMissing as missing:
        pytest.fail(f"{missing}: `make interop` installs Node.js and runs these tests", pytrace=False)
    with made:
        yield made


@pytest.fixture
def stage(connectycube_sandbox: Sandbox, driver: Driver) -> Stage:
    """Provide a sandbox without users, and ways to add some."""
    return Stage(connectycube_sandbox, driver)
