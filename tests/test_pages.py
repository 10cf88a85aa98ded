"""The blocks of the tutorial, the guides and the concepts run as a reader would run them, and no page has others.

The page's other blocks import the files that it says to save, or a test below runs them. The cells of a notebook are
fenced as `python notebook`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectycube.chat import Chat, MessageReceived
from connectycube.rest import ConnectyCube
from connectycube.sandbox import Entry, Exchange, Sandbox
from connectycube.sandbox.demo import SEED, Echo
from tests.pages import DOCS, PROJECT, broken_links, fenced, kinds, parts
from tests.tunnel import tunnel

GUIDES = DOCS / "guides"
TUTORIAL = DOCS / "tutorial.md"
PASSWORD = "correct-horse-9"
PAGES = sorted(page for folder in ("guides", "concepts") for page in (DOCS / folder).glob("*.md"))
ELSEWHERE = {
    "CONTRIBUTING.md": "tests/test_contributing.py",
    "README.md": "tests/test_readme.py",
    "docs/bots.md": "tests/bots/test_guide.py",
    "docs/chat.md": "tests/test_guides.py",
    "docs/fleet.md": "tests/fleet/test_guide.py",
    "docs/generator.md": "tests/generator/test_page.py",
    "docs/recipes.md": "tests/test_recipes.py",
    "docs/rest.md": "tests/test_guides.py",
    "docs/sandbox.md": "tests/sandbox/test_docs.py",
    "docs/stanzas.md": "tests/test_guides.py",
}
"""The tests of pages whose blocks are not run here."""
BELOW = {"docs/guides/docker.md": {"bot.py"}, "docs/guides/django.md": {"tasks.py"}}
"""Files that a test below runs as a program of its own."""

AS_A_SCRIPT = """
import pathlib, runpy, sys
runpy.run_path("page.py", run_name="__main__")
pathlib.Path("imported").write_text(" ".join(sys.modules))
"""


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def test_every_python_block_of_every_page_is_run() -> None:
    pages = [*PROJECT.glob("*.md"), *DOCS.rglob("*.md")]
    with_code = {name_of(page): page for page in pages if re.search(r"^ *```python", page.read_text("utf-8"), re.M)}
    here = {name_of(page) for page in [*PAGES, TUTORIAL]}
    assert set(with_code) - here == set(ELSEWHERE)
    for name, test in ELSEWHERE.items():
        assert Path(name).stem.lower() in (PROJECT / test).read_text("utf-8").lower(), f"{test} does not name {name}"
    for name in here & set(with_code):
        unknown = {kind for kind in kinds(with_code[name]) if kind.startswith("python")} - {"python", "python notebook"}
        assert not unknown, f"{name}: no test runs {unknown}"


def files(page: Path) -> dict[str, str]:
    """The Python files that a page says to save."""
    return {block.file: block.text for block in parts(page) if block.file.endswith(".py")}


def loose(page: Path, info: str) -> list[str]:
    """The blocks to run one after the other."""
    return [block.text for block in parts(page) if block.info == info and not block.file]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """The sandbox of `connectycube-sandbox --demo`, and its `export` lines in the environment."""
    with Sandbox(seed=SEED) as sandbox:
        sandbox.call(Echo, sandbox.core)
        for variable, value in {
            "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
            "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
            "CONNECTYCUBE_BASE_URL": sandbox.api_url,
            "CONNECTYCUBE_CHAT_HOST": sandbox.chat_host,
            "CONNECTYCUBE_CHAT_PORT": str(sandbox.chat_tls_port),
            "CONNECTYCUBE_CHAT_CA_FILE": str(sandbox.ca_file),
            "CONNECTYCUBE_LOGIN": "bot",
            "CONNECTYCUBE_PASSWORD": PASSWORD,
            "CHAT_WEBSOCKET": sandbox.secure_websocket_url,
            "PYTHONPATH": str(tmp_path),
        }.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.chdir(tmp_path)
        yield sandbox


def write(page: Path) -> None:
    """Write the files of a page into the current folder."""
    for name, text in files(page).items():
        Path(name).write_text(text, "utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if "python" in kinds(page)], ids=name_of)
def test_blocks_run_in_order(page: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    write(page)
    found = loose(page, "python")
    Path("page.py").write_text("\n".join(found), "utf-8")
    with tunnel() as proxy:
        monkeypatch.setenv("PROXY", f"http://127.0.0.1:{proxy.server_port}")
        command = [sys.executable, "-W", "error", "-c", AS_A_SCRIPT]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ("PROXY" in "".join(found)) == bool(proxy.asked)
    imported = {name for name in files(page) if Path(name).stem in Path("imported").read_text("utf-8").split()}
    assert set(files(page)) == imported | BELOW.get(name_of(page), set())


@pytest.mark.parametrize("page", [page for page in PAGES if "python notebook" in kinds(page)], ids=name_of)
def test_cells_run_in_order(page: Path, sandbox: Sandbox) -> None:
    cells = loose(page, "python notebook")

    async def notebook() -> None:
        names: dict[str, Any] = {}
        for cell in cells:
            code = compile(cell, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if inspect.iscoroutine(result):
                await result

    asyncio.run(notebook())
    assert len(cells) > 3


def test_bot_in_a_container_answers_and_stops(sandbox: Sandbox) -> None:
    page = GUIDES / "docker.md"
    write(page)
    dockerfile = fenced(page, "dockerfile")
    (command,) = re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)
    python, *arguments = json.loads(command)
    assert python == "python"
    with subprocess.Popen([sys.executable, *arguments], env={**os.environ, "STORE": "elsewhere.db"}) as process:
        try:
            with Chat(user_id=81001, password=PASSWORD) as mary, mary.events(MessageReceived) as answers:
                mary.send(81005, "/ping")
                assert next(answers).message.body == "pong"
        finally:
            process.terminate()
        assert process.wait(timeout=60) == 0
    assert Path("elsewhere.db").exists()


def test_container_has_what_the_bot_needs(sandbox: Sandbox) -> None:
    page = GUIDES / "docker.md"
    dockerfile = fenced(page, "dockerfile")
    (extra,) = re.findall(r"\.whl\)\[(\w+)\]", dockerfile)
    assert extra in tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (copied,) = re.findall(r"^COPY (\w+\.py) \.$", dockerfile, re.MULTILINE)
    assert copied in files(page)
    (service,) = yaml.safe_load(fenced(page, "yaml"))["services"].values()
    (store,) = re.findall(r"STORE=(\S+)", dockerfile)
    assert [volume.partition(":")[2] for volume in service["volumes"]] == [str(Path(store).parent)]
    assert set(service["environment"]) < set(os.environ)


def is_new_message(entry: Entry) -> bool:
    return isinstance(entry, Exchange) and entry.path == "/chat/Message"


def test_tasks_run_in_forked_workers(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    write(GUIDES / "django.md")
    for folder in ("queue", "control"):
        Path(folder).mkdir()
    monkeypatch.setenv("CELERY_BROKER_URL", "filesystem://")
    options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
    program = f"from tasks import app, announce; app.conf.broker_transport_options = {options}; "
    worker = program + "app.worker_main(['worker', '--pool=prefork', '--concurrency=2'])"
    sender = program + "[announce.delay(81001, f'Rope {number}') for number in range(6)]"
    with subprocess.Popen([sys.executable, "-c", worker]) as process:
        try:
            subprocess.run([sys.executable, "-c", sender], check=True, timeout=120)
            last = 0
            for _ in range(6):
                last = sandbox.journal.wait_for(is_new_message, after=last, timeout=60).number
        finally:
            process.terminate()
    with ConnectyCube() as mary:
        mary.login(login="mary", password=PASSWORD)
        dialog = mary.dialogs.create(type=3, occupants_ids=[81005])
        assert {one.message for one in mary.messages.list(chat_dialog_id=dialog)} == {f"Rope {one}" for one in range(6)}


def test_tutorial_leads_to_a_tested_bot(sandbox: Sandbox) -> None:
    for block in parts(TUTORIAL):
        if block.file:
            Path(block.file).write_text(block.text, "utf-8")
    commands = [block.text.strip() for block in parts(TUTORIAL) if block.info == "shell"]
    install, start, *rest = commands
    assert install.endswith('pip install ".[all]" pytest')
    assert start == "connectycube-sandbox --demo"
    assert rest == ["python hello.py", "python bot.py", "python talk.py", "pytest test_bot.py"]

    def run(*command: str) -> str:
        ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    assert "Climbing" in run("hello.py")
    with subprocess.Popen([sys.executable, "bot.py"]) as bot:
        try:
            assert run("talk.py") == "6\n"
        finally:
            bot.terminate()
    assert "1 passed" in run("-m", "pytest", "test_bot.py")
