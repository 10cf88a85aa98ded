"""The bundled document in the hands of other tools: linters, and a generator of clients in TypeScript."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectycube.sandbox import Sandbox
from tests.interop.npm import ROOT, JavaScriptMissing, installed

HERE = Path(__file__).parent / "openapi"
DOCUMENT = ROOT / "generated/openapi.yaml"
RULES = ROOT / "spec/lint"
TIMEOUT = 300.0


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder in which the tools are installed."""
    try:
        return installed(HERE, "openapi")
    except JavaScriptMissing as missing:
        pytest.fail(f"{missing}: `make interop` installs Node.js and runs these tests", pytrace=False)


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.load(DOCUMENT.read_bytes(), yaml.CSafeLoader)


def run(folder: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an installed program in a folder."""
    env = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", **environment}
    return subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT
    )


def redocly(tools: Path, document: Path) -> set[str]:
    """Lint a document, and return the rules that it breaks."""
    config = f"--config={RULES / 'redocly.yaml'}"
    done = run(document.parent, tools / "node_modules/.bin/redocly", "lint", config, "--format=json", document)
    return {problem["ruleId"] for problem in json.loads(done.stdout)["problems"]}


def spectral(tools: Path, document: Path) -> set[str]:
    """Lint a document, and return the rules that it breaks."""
    report = document.parent / "spectral.json"
    options = (f"--ruleset={RULES / 'spectral.yaml'}", "--format=json", f"--output={report}")
    run(document.parent, tools / "node_modules/.bin/spectral", "lint", *options, document)
    return {problem["code"] for problem in json.loads(report.read_bytes())}


Linter = Callable[[Path, Path], set[str]]


@pytest.mark.parametrize("lint", [redocly, spectral])
def test_bundled_document_passes_the_linters(lint: Linter, tools: Path, tmp_path: Path) -> None:
    assert lint(tools, Path(shutil.copy(DOCUMENT, tmp_path))) == set()


@pytest.mark.parametrize(
    ("lint", "rule"), [(redocly, "no-invalid-media-type-examples"), (spectral, "oas3-valid-media-example")]
)
def test_linters_report_an_example_that_breaks_its_schema(
    lint: Linter, rule: str, document: Any, tools: Path, tmp_path: Path
) -> None:
    broken = copy.deepcopy(document)
    broken["components"]["schemas"]["Dialog"]["properties"]["user_id"]["type"] = "boolean"
    target = tmp_path / "openapi.yaml"
    target.write_text(yaml.safe_dump(broken), encoding="utf-8")
    assert rule in lint(tools, target)


@pytest.fixture(scope="module")
def journey(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program, compiled with the client that it uses."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(tools / "node_modules")
    shutil.copy(HERE / "journey.ts", folder)
    made = run(folder, tools / "node_modules/.bin/openapi-ts", "-i", DOCUMENT, "-o", "client", "--no-log-file")
    assert made.returncode == 0, made.stdout + made.stderr
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom,dom.iterable")
    compiled = run(
        folder, tools / "node_modules/.bin/tsc", *options, "--types", "node", "--outDir", "out", "journey.ts"
    )
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    return folder / "out/journey.js"


def test_client_of_another_generator_works_with_the_sandbox(journey: Path, connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox
    account = {"API_URL": sandbox.api_url, "APP_ID": f"{sandbox.app_id}", "AUTH_KEY": sandbox.auth_key}
    done = run(journey.parent, "node", journey, **account)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    group, closed = found["expected"]["group"], found["expected"]["closed"]
    assert found["session"] is True
    assert found["dialogs"] == {
        "all": sorted([group, closed]),
        "groups": [group],
        "either": sorted([group, closed]),
        "city": [group],
        "elsewhere": [],
        "none": [],
        "count": 2,
    }
    assert found["messages"] == {"all": ["hello", "bye"], "one": ["bye"], "other": ["hello"], "first": True}
    assert found["records"] == {
        "recent": ["Glass harbour"],
        "either": ["Glass harbour", "Night train"],
        "equal": ["Night train"],
        "updated": ["Glass harbour", "Night train"],
        "left": ["Glass harbour"],
    }
    assert found["users"] == {"named": ["ada"], "both": ["ada", "mary"], "started": ["mary"]}
    assert found["refused"] == [404, True]
