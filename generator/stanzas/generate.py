"""From the stanza language to all files of the stanza half."""

from __future__ import annotations

from pathlib import Path

from ..faults import SpecFaults
from . import conformance, docs, render
from .language import read
from .prove import prove


def package(folder: Path, base: Path, label: str) -> dict[str, str]:
    """The files by their names below `generated/`.

    :param base: the folder that file names in faults are relative to.
    :raises SpecFaults: all faults of the language, or all examples that do not hold.
    """
    language = read(folder, base)
    files = render.render(language, label)
    faults = prove(files, language)
    if faults:
        raise SpecFaults(faults)
    made = {f"connectycube/stanzas/{name}": text for name, text in files.items()}
    made |= {f"conformance/{name}": text for name, text in conformance.render(language, label).items()}
    return made | {f"docs/stanzas/{name}": text for name, text in docs.render(language, label).items()}
