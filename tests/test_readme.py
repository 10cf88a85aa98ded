"""The README's Python blocks run, one after the other, as a reader would type them.

The test of a bot is fenced as `python test`: `tests/sandbox/test_docs.py` runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_server import APP_ID, AUTH_KEY, LocalServer
from tests.pages import README, blocks, kinds


def test_every_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    with LocalServer() as server:
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(APP_ID))
        monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", AUTH_KEY)
        monkeypatch.setenv("CONNECTYCUBE_BASE_URL", server.url)
        for block in blocks(README):
            exec(block, namespace)
    assert namespace["message"].message == "Who drives?"
    namespace["cube"].close()


def test_no_block_is_skipped() -> None:
    assert kinds(README) == {"python", "python test", "shell"}
