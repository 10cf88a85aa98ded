"""Options of the command line: pytest reads them from here wherever it is started."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server", choices=["sandbox", "ejabberd"], default="sandbox", help="whom tests/integration talks to"
    )
