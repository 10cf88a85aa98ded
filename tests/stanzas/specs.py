"""Small specs of stanzas, written into a folder and read."""

from __future__ import annotations

import shutil
from pathlib import Path

from generator.faults import SpecFaults
from generator.stanzas.language import read
from generator.stanzas.model import Language

ROOT = Path(__file__).parent.parent.parent
SPEC = ROOT / "spec" / "stanzas"
HEAD = "protocol: {name}\ntitle: Odd\nsource: XEP-0000\ndoc: Odd stanzas.\nelements:\n"
"""Five lines; the first element is in line 6."""


def protocol(elements: str, name: str = "odd") -> str:
    """Write a file with these elements, which are already indented."""
    return HEAD.format(name=name) + elements


def write(folder: Path, **files: str) -> Path:
    """Write a folder of specs, each file named after its protocol."""
    spec = folder / "stanzas"
    spec.mkdir(exist_ok=True)
    (folder / "schema").mkdir(exist_ok=True)
    shutil.copy(ROOT / "spec" / "schema" / "stanza.schema.json", folder / "schema")
    for name, text in files.items():
        (spec / f"{name}.yaml").write_text(text, encoding="utf-8")
    return spec


def load(folder: Path, **files: str) -> Language:
    """Read the language of some files."""
    return read(write(folder, **files), folder)


def faults(folder: Path, **files: str) -> list[str]:
    """Return what is wrong with some files."""
    try:
        load(folder, **files)
    except SpecFaults as error:
        return [str(fault) for fault in error.faults]
    return []
