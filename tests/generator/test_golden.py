"""What the templates make of a small spec, byte for byte.

After an intended change: `python -m tests.generator.refresh_golden`, then review the difference in git.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from .refresh_golden import ARGUMENTS, EXPECTED, RUNTIME
from .support import run, tree


def test_golden(tmp_path: Path) -> None:
    outcome = run(*ARGUMENTS, "--out", tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    made = {name: content for name, content in tree(tmp_path).items() if not content.startswith(RUNTIME)}
    expected = tree(EXPECTED)
    assert set(made) == set(expected)
    for name in expected:
        old, new = expected[name].decode().splitlines(), made[name].decode().splitlines()
        assert list(difflib.unified_diff(old, new, "golden", "made", n=1, lineterm="")) == [], name
        assert made[name] == expected[name]
