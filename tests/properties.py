"""How many examples and seeds tests try: few on a developer's machine, all in CI."""

import os

CI = bool(os.environ.get("CI"))


def examples(count: int) -> int:
    """The number for `max_examples`: `count` in CI, a tenth of it (minimum 5) elsewhere."""
    return count if CI else max(5, count // 10)


def seeds(count: int) -> range:
    """The seeds of tests with random faults: `count` of them in CI, one elsewhere."""
    return range(count if CI else 1)
