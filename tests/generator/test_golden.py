"""A small spec and its whole output, byte for byte.

After an intended change: `python -m tests.generator.refresh_golden`, then read the difference in git.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from .refresh_golden import ARGUMENTS, EXPECTED
from .support import run, tree


def test_golden(tmp_path: Path) -> None:
    outcome = run(*ARGUMENTS, "--out", tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    made, expected = tree(tmp_path), tree(EXPECTED)
    assert set(made) == set(expected)
    for name in expected:
        old, new = expected[name].decode().splitlines(), made[name].decode().splitlines()
        assert list(difflib.unified_diff(old, new, "golden", "made", n=1, lineterm="")) == [], name
        assert made[name] == expected[name]
