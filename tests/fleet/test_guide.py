"""docs/fleet.md does what it says: its files and commands make a fleet, and its tables are complete."""

from __future__ import annotations

import configparser
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from connectycube.bots import cli
from connectycube.bots.fleet import metrics
from connectycube.bots.fleet.engine import FILES, OPTIONS, Address
from connectycube.chat import AsyncChat, MessageReceived
from connectycube.rest import AsyncConnectyCube
from connectycube.sandbox.demo import PASSWORD
from tests.integration.support import run
from tests.pages import DOCS, kinds, parts
from tests.test_guides import demo, rows

from .server import NatsServer

__all__ = ["demo"]

FLEET = DOCS / "fleet.md"
FILES_OF_PAGE = {block.file: block.text for block in parts(FLEET) if block.file}


def commands() -> list[list[str]]:
    """The words of each `connectycube-bots` command in a block of its own."""
    lines = [line for block in parts(FLEET) if block.info == "shell" for line in block.text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def check(words: list[str]) -> None:
    """Check that a command exists, with these arguments and with a store that exists."""
    name, *arguments = words
    assert Path(name).name == "connectycube-bots"
    Address.parse(cli.parser().parse_args(arguments).store)


def test_every_kind_of_block_is_used() -> None:
    # What NATS and pip are called with is in `text`.
    assert kinds(FLEET) == {"text", "python", "toml", "shell", "mermaid", "ini", "yaml"}
    assert set(FILES_OF_PAGE) == {"fleet_bot.py", "accounts.toml", "gateway.service", "fleet.yaml"}


def test_options_and_metrics_are_complete() -> None:
    assert rows(FLEET, "The NATS servers") == [*OPTIONS, *FILES]
    assert rows(FLEET, "Watch it") == re.findall(r"^\| `(connectycube[\w.]+)`", str(metrics.__doc__), re.MULTILINE)


def test_unit_starts_a_gateway() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(FILES_OF_PAGE["gateway.service"])
    assert unit.sections() == ["Unit", "Service", "Install"]
    check(shlex.split(unit["Service"]["ExecStart"]))


def test_manifest_starts_gateways_and_workers() -> None:
    found = list(yaml.safe_load_all(FILES_OF_PAGE["fleet.yaml"]))
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [
        ("Deployment", "gateway"),
        ("Deployment", "worker"),
        ("PodDisruptionBudget", "gateway"),
    ]
    for deployment in found[:2]:
        assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        check([*container["command"], *container["args"]])
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
        # The files that the arguments name are mounted.
        for path in re.findall(r"/run/[\w/.-]+", " ".join(container["args"])):
            assert str(Path(path).parent) in mounts.values()


@contextmanager
def started(words: list[str], *, log: bool = False) -> Iterator[None]:
    """A command that runs until it is asked to stop, and then stops in order. It logs nothing, unless it may."""
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate()
        ready, *logged = printed.splitlines()
        assert re.fullmatch(r"connected to nats://[\d.:]+; Ctrl-C stops", ready)
        assert log or not logged
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


async def talk() -> str:
    """What an account of the fleet answers to a user."""
    async with AsyncConnectyCube() as cube:
        ada = (await cube.login(login="ada", password=PASSWORD)).user_id or 0
        await cube.login(login="omar", password=PASSWORD)
        async with AsyncChat(cube) as omar:
            answers = omar.events(MessageReceived)
            await omar.send(ada, "/ping")
            return (await anext(answers)).message.body


@pytest.fixture
def at_page(demo: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the page in the current folder, and a sandbox with its accounts."""
    for name, text in FILES_OF_PAGE.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("ADA_PASSWORD", PASSWORD)


@pytest.mark.usefixtures("at_page")
def test_fleet_of_the_page_answers(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    gateway, worker, *looks = (
        [word.replace("nats://localhost:4222", nats_server.url) for word in words] for words in commands()
    )
    with started(gateway), started(worker):
        assert run(talk()) == "pong"
        for words in looks:
            assert cli.main(words[1:]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "waiting 0  held 0  unsent 0  failed 0" in printed.out


@pytest.mark.usefixtures("at_page")
def test_both_roles_in_one_process_carry_on_despite_a_wrong_password(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("accounts.toml").open("a") as accounts:
        accounts.write('[[accounts]]\nlogin = "echo"\npassword = "wrong-secret"\n')
    options = ["--store", nats_server.url, "--accounts", "accounts.toml"]
    shown: list[str] = []
    with started(["connectycube-bots", "run", "fleet_bot:bot", *options], log=True):
        assert run(talk()) == "pong"
        for _ in range(500):  # A gateway tells of a problem when it renews its leases.
            assert cli.main(["status", nats_server.url]) == 0
            lines = capsys.readouterr().out.splitlines()
            if shown := [line for line in lines if line.startswith("echo ") and "Unauthorized" in line]:
                break
    (line,) = shown
    assert "secret" not in line
