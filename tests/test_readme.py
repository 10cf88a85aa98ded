"""The README's Python blocks run, one after the other, as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from local_server import APP_ID, AUTH_KEY, LocalServer

README = Path(__file__).parent.parent / "README.md"


def test_every_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = README.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    with LocalServer() as server:
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(APP_ID))
        monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", AUTH_KEY)
        monkeypatch.setenv("CONNECTYCUBE_BASE_URL", server.url)
        blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
        for block in blocks:
            line = text.count("\n", 0, block.start(1))
            # The line numbers of a traceback are those of the README.
            exec(compile("\n" * line + block.group(1), str(README), "exec"), namespace)
    assert len(blocks) > 10


def test_the_links_to_files_and_headings_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    headings = {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (README.parent / target).exists(), target


def test_every_error_class_stands_in_the_table() -> None:
    from connectycube.rest import errors

    text = README.read_text(encoding="utf-8")
    for name in errors.__all__:
        if isinstance(value := getattr(errors, name), type) and issubclass(value, Exception):
            assert f"`{name}`" in text, name
