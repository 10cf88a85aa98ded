"""Fixtures of the tests with the official JavaScript SDK as a client of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectycube.sandbox import Sandbox
from tests.interop.javascript import Driver, JavaScriptMissing
from tests.interop.stage import Stage


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """The process in which the SDK runs."""
    try:
        made = Driver()
    except JavaScriptMissing as missing:
        pytest.fail(f"{missing}: `make interop` installs Node.js and runs these tests", pytrace=False)
    with made:
        yield made


@pytest.fixture
def stage(connectycube_sandbox: Sandbox, driver: Driver) -> Stage:
    """A sandbox without users, and ways to bring some."""
    return Stage(connectycube_sandbox, driver)
