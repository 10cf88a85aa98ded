"""Modules are loaded when they are first needed, by imports that static analysis finds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from modulefinder import ModuleFinder
from pathlib import Path

from connectycube import stanzas

FOLDER = Path(stanzas.__file__).parent
MODULES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "slixmpp_bridge"}
BASE = {"_families", "_roots", "_xml"}


def loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the modules of the package that it loads."""
    report = "\nimport sys\nprint(*(name for name in sys.modules if name.startswith('connectycube.stanzas.')))"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return {name.rpartition(".")[2] for name in run.stdout.split()}


def test_import_loads_no_classes() -> None:
    assert loaded("import connectycube.stanzas") == BASE


def test_parse_loads_only_the_classes_of_the_root_element() -> None:
    code = "from connectycube import stanzas\nstanzas.parse('<r xmlns=\"urn:xmpp:sm:3\"/>')"
    assert loaded(code) == BASE | {"_extras", "_values", "stream_management"}


def test_freezing_tools_find_every_module(tmp_path: Path) -> None:
    """Such tools follow import statements, wherever they are, but no computed names."""
    shutil.copytree(FOLDER, tmp_path / "frozen")  # ModuleFinder can't search namespace packages.
    finder = ModuleFinder(path=[str(tmp_path)])
    finder.import_hook("frozen")
    assert {name.removeprefix("frozen.") for name in finder.modules if name.startswith("frozen.")} == MODULES
