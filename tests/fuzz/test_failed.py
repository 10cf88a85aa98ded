"""Inputs that once failed, found by fuzzing or by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.target import FAILED, check


@pytest.mark.parametrize("path", sorted(FAILED.iterdir()), ids=lambda path: path.name)
def test_is_handled(path: Path) -> None:
    check(path.read_bytes())
