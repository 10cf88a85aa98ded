"""Make all files of the stanzas from the stanza language."""

from __future__ import annotations

from pathlib import Path

from ..faults import SpecFaults
from . import conformance, docs, render
from .language import read
from .prove import prove


def package(folder: Path, base: Path, label: str) -> dict[str, str]:
    """Make the files, by their names below `generated/`.

    :param base: the folder that file names in faults are relative to.
    :raises SpecFaults: with every fault in the language, or every wrong example.
    """
    language = read(folder, base)
    files = render.render(language, label)
    faults = prove(files, language)
    if faults:
        raise SpecFaults(faults)
    made = {f"connectycube/stanzas/{name}": text for name, text in files.items()}
    made |= {f"conformance/{name}": text for name, text in conformance.render(language, label).items()}
    return made | {f"docs/stanzas/{name}": text for name, text in docs.render(language, label).items()}
