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
    assert "ImportError: Sandbox needs uvicorn: pip install 'connectycube[sandbox]'" in run(code)


@pytest.mark.parametrize(("module", "options"), [("uvicorn", ""), ("trustme", ", '--demo'")])
def test_the_command_names_a_missing_extra(module: str, options: str) -> None:
    code = f"import sys; sys.modules['{module}'] = None; from connectycube.sandbox.cli import main; "
    text = f"connectycube-sandbox: {module} is missing: pip install 'connectycube[sandbox]'\n"
    assert run(f"{code}print(main(['--port', '0'{options}]))") == f"1\n{text}"
