"""The README, followed from start to end in an empty folder, with the wheel installed and the sandbox running.

Each block is run as it is, in order, except for what needs the network or changes this machine: `make` only tells what
it would run, of `pip install` only the arguments are checked, and the sandbox gets free ports. All else is done with
what those commands lead to: an environment of its own, in which pip has installed the wheel of this checkout. Its
dependencies are those of the environment that runs the tests.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectycube.chat import Chat, MessageReceived
from connectycube.rest import ConnectyCube
from tests.pages import PROJECT, README, kinds, parts

TIMEOUT = 120
SANDBOX = "connectycube-sandbox --demo"
BOT = "python bot.py"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a shell in which an environment with the wheel is activated."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True, timeout=TIMEOUT)
    (wheel,) = (tmp_path / "dist").iterdir()
    place = tmp_path / "venv"
    venv.create(place)
    pip = [sys.executable, "-m", "pip", "--python", str(place), "install", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, timeout=TIMEOUT)
    (site,) = (place / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    # What the environment of the tests adds to its path, such as an editable install, is not followed from there.
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CONNECTYCUBE_", "PYTHON"))}
    scripts = [str(place / "bin"), os.path.dirname(sys.executable), variables["PATH"]]
    variables |= {"VIRTUAL_ENV": str(place), "PATH": os.pathsep.join(scripts), "PYTHONUNBUFFERED": "1"}
    # This plugin, which warns if it is not configured, is there for the tests of this project only.
    return variables | {"PYTEST_ADDOPTS": "-p no:asyncio"}


@contextmanager
def interrupted(command: str, folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until Ctrl-C, and then ends in order."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 0
        finally:
            process.kill()


def test_every_block_works_as_pasted(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    todo = parts(README)
    here: dict[str, Any] = {"cwd": folder, "env": environment}
    start = next(place for place, block in enumerate(todo) if block.text.strip() == SANDBOX)
    for block in todo[:start]:
        for line in block.text.splitlines():
            check(line)
    with interrupted(f"{SANDBOX} --port 0", folder, environment) as sandbox:
        assert sandbox.stdout is not None
        exports = exported(sandbox.stdout)
        environment |= exports
        for name, value in exports.items():
            monkeypatch.setenv(name, value)
        for block in todo[start + 1 :]:
            if block.file:
                (folder / block.file).write_text(block.text)
            elif block.text.strip() == BOT:
                with interrupted(BOT, folder, environment):
                    assert said_by_the_bot("/weather Kyiv 3", "Hello") == ["Kyiv, 3 days: sunny", "You said: Hello"]
            else:
                shell = ["python", "-"] if block.info == "python" else ["bash", "-e"]
                done = subprocess.run(shell, input=block.text, text=True, capture_output=True, timeout=TIMEOUT, **here)
                assert (done.returncode, done.stderr) == (0, "")
                assert done.stdout, "a block shows what it does"


def check(line: str) -> None:
    """Check a command that is not run."""
    command, *arguments = line.partition("#")[0].split()
    if command == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=PROJECT, check=True, capture_output=True)
    elif command in ("python3", "."):
        assert arguments in (["-m", "venv", ".venv"], [".venv/bin/activate"])
    else:
        assert (command, arguments.pop(0)) == ("pip", "install")
        what, *others = arguments
        assert others == ["pytest"], "the last block needs it, and no extra has it"
        extra = what.removeprefix('".[').removesuffix(']"')
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
        assert extra in project["optional-dependencies"]


def exported(lines: Iterator[str]) -> dict[str, str]:
    """The variables of the `export` lines that the sandbox prints, the last of which is the password."""
    found: dict[str, str] = {}
    for line in lines:
        export, assignment = shlex.split(line)
        assert export == "export"
        name, _, value = assignment.partition("=")
        found[name] = value
        if name == "CONNECTYCUBE_PASSWORD":
            break
    return found


def said_by_the_bot(*texts: str) -> list[str]:
    """What the bot of the demo answers to Mary."""
    with ConnectyCube() as cube:
        cube.login(login="mary", password="correct-horse-9")
        with Chat(cube) as chat, chat.events(MessageReceived) as answers:
            for text in texts:
                chat.send(81005, text)
            return [next(answers).message.body for _ in texts]


def test_every_kind_of_block_is_run() -> None:
    assert kinds(README) == {"python", "shell"}


def test_readme_is_short() -> None:
    assert len(README.read_text("utf-8").split()) <= 700
