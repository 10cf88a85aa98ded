"""`python -m tests.generator.refresh_golden`: make the golden output anew. Read what git says has changed."""

from __future__ import annotations

import sys
from pathlib import Path

from generator.__main__ import main

FOLDER = Path(__file__).parent / "golden"
EXPECTED = FOLDER / "expected"

ARGUMENTS = ["--spec", str(FOLDER / "spec.yaml"), "--package", "library"]

if __name__ == "__main__":
    sys.exit(main([*ARGUMENTS, "--out", str(EXPECTED)]))
