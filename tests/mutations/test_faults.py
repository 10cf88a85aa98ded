"""Every mutation fits the code as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from .__main__ import PROJECT, apply
from .faults import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_text_to_replace_occurs_once(mutation: Mutation, tmp_path: Path) -> None:
    for name in mutation.files:
        if (PROJECT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    assert apply(mutation, tmp_path) in mutation.files
