"""Check the state machines of the spec and make their pages."""

from __future__ import annotations

from pathlib import Path

from . import docs
from .language import read


def package(folder: Path, base: Path, label: str) -> dict[str, str]:
    """Make the files, by their names below `generated/`.

    :param base: the folder that file names in faults are relative to.
    :raises SpecFaults: with every fault in the tables.
    """
    machines = read(folder, base)
    return {f"docs/machines/{name}": text for name, text in docs.render(machines, label).items()}
