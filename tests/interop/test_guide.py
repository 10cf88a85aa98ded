"""The JavaScript in the guide for users of the official SDK runs, too."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from connectycube.sandbox import Sandbox
from connectycube.sandbox.demo import SEED, Echo
from tests.interop.javascript import program
from tests.interop.npm import JavaScriptMissing
from tests.pages import DOCS, parts


def test_javascript_of_the_guide_runs(tmp_path: Path) -> None:
    blocks = [block.text for block in parts(DOCS / "guides" / "from-javascript.md") if block.info == "js"]
    assert len(blocks) > 5
    with Sandbox(seed=SEED) as sandbox:
        sandbox.call(Echo, sandbox.core)
        endpoints = {"api_url": sandbox.api_url, "chat": sandbox.chat_host, "chat_url": sandbox.websocket_url}
        here = "init({ appId, authKey }"
        text = "".join(blocks)
        assert here in text
        text = text.replace(here, f"{here}, {{ endpoints: {json.dumps(endpoints)} }}")
        source = tmp_path / "guide.mjs"
        source.write_text(f'import ConnectyCube from "connectycube";\n{text}process.exit();\n', "utf-8")
        try:
            script = program(source)
        except JavaScriptMissing as missing:
            pytest.fail(f"{missing}: `make interop` installs Node.js and runs this test", pytrace=False)
        variables = {"CONNECTYCUBE_APP_ID": str(sandbox.app_id), "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key}
        ended = subprocess.run(
            ["node", script], env={**os.environ, **variables}, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        assert "Seven o'clock?" in ended.stdout
