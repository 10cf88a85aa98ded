"""The blocks of the guides and concepts run as a reader would run them, and no block of any page is left out.

A block with a title is a file, which the page's other blocks import or a test below runs. The cells of a notebook are
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
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectycube.chat import Chat, MessageReceived
from connectycube.rest import ConnectyCube
from connectycube.sandbox import Entry, Exchange, Sandbox
from tests.pages import PROJECT, broken_links, fenced, kinds, titled
from tests.tunnel import tunnel

GUIDES = PROJECT / "docs" / "guides"
PASSWORD = "correct-horse-9"
PAGES = sorted(page for folder in ("guides", "concepts") for page in (PROJECT / "docs" / folder).glob("*.md"))
ELSEWHERE = {
    "CONTRIBUTING.md": "tests/test_contributing.py",
    "README.md": "tests/test_readme.py",
    "docs/bots.md": "tests/integration/test_pages.py",
    "docs/chat.md": "tests/integration/test_pages.py",
    "docs/generator.md": "tests/generator/test_page.py",
    "docs/recipes.md": "tests/sandbox/test_recipes.py",
    "docs/sandbox.md": "tests/sandbox/test_docs.py",
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
    pages = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
    with_code = {name_of(page): page for page in pages if re.search(r"^ *```python", page.read_text("utf-8"), re.M)}
    here = {name_of(page) for page in PAGES}
    assert set(with_code) - here == set(ELSEWHERE)
    for name, test in ELSEWHERE.items():
        assert Path(name).stem.lower() in (PROJECT / test).read_text("utf-8").lower(), f"{test} does not name {name}"
    for name in here & set(with_code):
        unknown = {kind for kind in kinds(with_code[name]) if kind.startswith("python")}
        unknown -= {"python", "python notebook", *(f'python title="{file}"' for file in titled(with_code[name]))}
        assert not unknown, f"{name}: no test runs {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


@pytest.fixture
def sandbox(connectycube_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """A sandbox with the users of `connectycube-sandbox --demo`; the environment names it."""
    sandbox = connectycube_sandbox
    for login, name in {"mary": "Mary S.", "ada": "Ada L.", "omar": "Omar K.", "echo": "Echo", "bot": "Bot"}.items():
        sandbox.create_user(login, PASSWORD, full_name=name)
    for variable, value in {
        "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
        "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
        "CONNECTYCUBE_BASE_URL": sandbox.api_url,
        "CONNECTYCUBE_CHAT_HOST": sandbox.chat_host,
        "CONNECTYCUBE_CHAT_PORT": str(sandbox.chat_tls_port),
        "CONNECTYCUBE_LOGIN": "bot",
        "CONNECTYCUBE_PASSWORD": PASSWORD,
        "CHAT_WEBSOCKET": sandbox.secure_websocket_url,
        "SSL_CERT_FILE": str(sandbox.ca_file),
        "PYTHONPATH": str(tmp_path),
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    return sandbox


def write(page: Path) -> None:
    """Write the files of a page into the current folder."""
    for name, text in titled(page).items():
        Path(name).write_text(text, "utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if "python" in kinds(page)], ids=name_of)
def test_blocks_run_in_order(page: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    write(page)
    found = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    Path("page.py").write_text("\n".join(found), "utf-8")
    with tunnel() as proxy:
        monkeypatch.setenv("PROXY", f"http://127.0.0.1:{proxy.server_port}")
        command = [sys.executable, "-W", "error", "-c", AS_A_SCRIPT]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ("PROXY" in "".join(found)) == bool(proxy.asked)
    imported = {name for name in titled(page) if Path(name).stem in Path("imported").read_text("utf-8").split()}
    assert set(titled(page)) == imported | BELOW.get(name_of(page), set())


@pytest.mark.parametrize("page", [page for page in PAGES if "python notebook" in kinds(page)], ids=name_of)
def test_cells_run_in_order(page: Path, sandbox: Sandbox) -> None:
    cells = re.findall(r"^```python notebook\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)

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
    assert copied in titled(page)
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
        assert mary.messages.unread_count().total == 6
