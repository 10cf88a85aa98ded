"""From the machine language to all files of the machine part."""

from __future__ import annotations

from pathlib import Path

from . import conformance, docs
from .language import read


def package(folder: Path, base: Path, label: str) -> dict[str, str]:
    """The files by their names below `generated/`.

    :param base: the folder that file names in faults are relative to.
    :raises SpecFaults: all faults of the tables.
    """
    machines = read(folder, base)
    made = {f"conformance/{name}": text for name, text in conformance.render(machines, label).items()}
    return made | {f"docs/machines/{name}": text for name, text in docs.render(machines, label).items()}
