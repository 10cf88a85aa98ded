"""Importing the client loads only what is needed, measured in modules rather than time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

REST = "connectycube.rest"
LATER = ["attr", "attrs", "yaml", "generator"]
LATER += [f"{REST}.{part}" for part in "models filters inputs resources _calls _lenient _files".split()]


def loaded(statement: str) -> set[str]:
    """The modules that are there after a statement that are not there after `import httpx, msgspec`."""
    code = f"import sys, json, httpx, msgspec; before = set(sys.modules); {statement}; "
    code += "print(json.dumps(sorted(set(sys.modules) - before)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(run.stdout)
    return set(found)


def later(modules: set[str]) -> set[str]:
    return {module for module in modules if any(module == name or module.startswith(f"{name}.") for name in LATER)}


def test_client_alone() -> None:
    modules = loaded("from connectycube.rest import ConnectyCube")
    assert f"{REST}.client" in modules
    assert later(modules) == set()
    assert "httpcore" not in modules  # httpx loads it only for the first client.


def test_creating_a_client_loads_nothing_more() -> None:
    assert later(loaded("from connectycube.rest import ConnectyCube; ConnectyCube('1', 'key').close()")) == set()


def test_resource_loads_only_its_own_models() -> None:
    # A resource with pages would load the models of all pages that are read quickly.
    modules = loaded("from connectycube.rest import ConnectyCube; ConnectyCube('1', 'key').calls")
    assert f"{REST}.resources.calls" in modules
    assert f"{REST}.resources.dialogs" not in modules
    assert f"{REST}.models.dialogs" not in modules
    assert "httpx_retries" not in modules


def test_name_loads_only_its_own_module() -> None:
    modules = loaded("from connectycube.rest import Whiteboard")
    assert {module for module in modules if module.startswith(f"{REST}.models.")} == {f"{REST}.models.whiteboards"}
