"""What `connectycube.sandbox` exports, and that it costs nothing to have its pytest plugin."""

from __future__ import annotations

import subprocess
import sys

import pytest

import connectycube.sandbox


@pytest.mark.parametrize("name", connectycube.sandbox.__all__)
def test_all_exported_names_exist_and_are_listed(name: str) -> None:
    assert getattr(connectycube.sandbox, name).__name__ == name
    assert name in dir(connectycube.sandbox)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = connectycube.sandbox.nothing


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_pytest_plugin_imports_nothing_from_the_extra() -> None:
    code = "import sys, connectycube.sandbox.pytest_plugin; print(*{'uvicorn', 'starlette', 'yaml'} & {*sys.modules})"
    assert run(code).strip() == ""


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from connectycube.sandbox import Sandbox"
    assert 'connectycube.sandbox needs uvicorn, which is not installed: pip install "connectycube[sandbox]"' in run(
        code
    )
