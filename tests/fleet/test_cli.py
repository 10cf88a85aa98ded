"""`connectycube-bots` with a fleet: each mistake is one line and status 1, and processes stop in order."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from nats.js.api import StreamConfig

from connectycube.bots.cli import main
from connectycube.bots.fleet import engine as engines
from connectycube.bots.fleet.records import (
    FailedItem,
    Inbound,
    Outbound,
    decode_inbound,
    decode_outbound,
    encode_record,
)
from tests.integration.support import free_ports, run

from .fleet import opened
from .server import NatsServer
from .test_status import MESSAGE, REPLY, fill

BOT = "from connectycube.bots import Bot\n\nbot = Bot()\nother = 1\n"
ACCOUNTS = '[[accounts]]\nlogin = "bot"\npassword = "a-secret"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a bot and its accounts. What is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    (tmp_path / "mybot.py").write_text(BOT)
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    return tmp_path


@pytest.fixture
def failed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that fails, and returns the line that it prints."""

    def command(*arguments: str) -> str:
        assert main(arguments) == 1
        found = capsys.readouterr()
        assert found.out == ""
        (line,) = found.err.splitlines()
        assert "secret" not in line
        return line

    return command


def commands(url: str) -> list[tuple[str, ...]]:
    """Each command that connects to a fleet."""
    return [
        ("gateway", "--store", url, "--accounts", "accounts.toml"),
        ("worker", "mybot:bot", "--store", url),
        ("run", "mybot:bot", "--store", url, "--accounts", "accounts.toml"),
        ("status", url),
        ("stats", url),
    ]


def test_no_server(failed: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "OPENING", 0.1)
    (port,) = free_ports(1)
    for command in commands(f"nats://127.0.0.1:{port}"):
        line = failed(*command)
        assert line.startswith(f"the store nats://127.0.0.1:{port} can't be reached: ")
        assert line.endswith(": check its address, and whether it is running")


def test_wrong_credentials(folder: Path, failed: Callable[..., str]) -> None:
    with NatsServer(folder / "nats", config="authorization { user: bot, password: right }") as server:
        for command in commands(f"nats://bot:wrong-secret@127.0.0.1:{server.port}"):
            assert "Authorization Violation" in failed(*command)
        for option in ("creds", "nkey", "ca", "cert"):
            line = failed("status", f"{server.url}?{option}=missing")
            assert line.endswith(f"needs the file missing ({option}): No such file or directory")
        (folder / "seed").write_text("not a seed")
        assert failed("status", f"{server.url}?nkey=seed").endswith("needs a valid seed in seed (nkey)")


def test_no_jetstream(folder: Path, failed: Callable[..., str]) -> None:
    with NatsServer(folder / "nats", config="jetstream: disabled") as server:
        for command in commands(server.url):
            assert failed(*command).endswith("has no JetStream: start the server with -js, or enable it")


def test_other_streams(nats_server: NatsServer, failed: Callable[..., str]) -> None:
    async def create() -> None:
        async with opened(nats_server.url) as engine:
            await engine.js.delete_stream("connectycube-out")
            await engine.js.add_stream(StreamConfig(name="connectycube-out", subjects=["connectycube.out.>"]))

    run(create())
    for command in commands(nats_server.url):
        assert "has a stream connectycube-out whose retention is limits, not workqueue" in failed(*command)
    assert "connectycube-partitions is 32, not 4" in failed("status", f"{nats_server.url}?partitions=4")


def test_server_without_a_fleet(nats_server: NatsServer, failed: Callable[..., str]) -> None:
    for command in commands(nats_server.url)[-2:]:
        assert failed(*command).endswith("has no fleet with the prefix connectycube: start a gateway or a worker first")


def test_invalid_addresses(failed: Callable[..., str]) -> None:
    for url in ("http://host:4222", "nats://host:port", "nats://host:4222?colour=red"):
        for command in commands(url):
            line = failed(*command)
            assert "valid" in line or "unknown option" in line or line.startswith("store must be")


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("mybot", "", "'mybot' does not name a bot: write MODULE:BOT, such as weather_bot:bot"),
        ("absent:bot", "", "can't import absent: there is no such module here ("),
        ("mybot:absent", "", "mybot:absent does not exist: name the variable that holds the bot"),
        ("mybot:other", "", "mybot:other is int, not a Bot: name the variable that holds the bot"),
        ("broken:bot", "import absent\n", "can't import broken: ModuleNotFoundError: No module named 'absent' ("),
        ("broken:bot", "bot = 1 / 0\n", "can't import broken: ZeroDivisionError: division by zero ("),
        ("broken:bot", "bot = (\n", "can't import broken: SyntaxError: "),
    ],
)
@pytest.mark.parametrize("command", ["run", "worker"])
def test_no_bot(folder: Path, failed: Callable[..., str], command: str, name: str, source: str, problem: str) -> None:
    (folder / "broken.py").write_text(source)
    line = failed(command, name, "--store", "nats://127.0.0.1:1")
    assert line.startswith(problem)
    if source:
        assert "broken.py, line 1)" in line


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        (None, "accounts.toml"),
        ("[[accounts]\n", "accounts.toml"),
        ('[[accounts]]\nlogin = "bot"\n', "password"),
        (ACCOUNTS + ACCOUNTS, "twice"),
    ],
)
def test_wrong_accounts(folder: Path, failed: Callable[..., str], accounts: str | None, problem: str) -> None:
    if accounts is None:
        (folder / "accounts.toml").unlink()
    else:
        (folder / "accounts.toml").write_text(accounts)
    for command in commands("nats://127.0.0.1:1")[:3:2]:
        assert problem in failed(*command)


def test_invalid_options(failed: Callable[..., str]) -> None:
    gateway = commands("nats://127.0.0.1:1")[0]
    assert failed(*gateway, "--catch-up", "-1") == "--catch-up must be 0 or more, not -1"
    assert failed(*gateway, "--logins-per-second", "0") == "--logins-per-second must be above 0, not 0"


def test_run_without_a_fleet_has_one_account(failed: Callable[..., str]) -> None:
    line = failed("run", "mybot:bot", "--accounts", "accounts.toml")
    assert line == "several accounts need a fleet: pass --store nats://HOST:PORT, or leave out --accounts"


@pytest.mark.parametrize("blocked", ["nats", "rich"])
def test_missing_extra(blocked: str) -> None:
    code = f"import sys\nsys.modules[{blocked!r}] = None\nfrom connectycube._extras import bots\nsys.exit(bots())"
    command = [sys.executable, "-c", code, "status", "nats://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    expected = f'connectycube.fleet needs {blocked}, which is not installed: pip install "connectycube[fleet]"'
    assert done.stderr == f"connectycube-bots: {expected}\n"


# -- what is stored


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == 0
    found = capsys.readouterr()
    assert found.err == ""
    return found.out.splitlines()


def test_failures_are_listed_and_retried(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    url, reply = nats_server.url, replace(REPLY, id="0c")

    async def prepare() -> None:
        async with opened(url) as engine:
            await fill(engine)
            layout = engine.layout
            item = FailedItem(error="RecipientBlocked: no", failed_at=dt.datetime.now(dt.UTC), outbound=reply)
            await engine.publish(layout.of("failed", "weather", reply.id), encode_record(item))
            for key in (MESSAGE.key, reply.id):
                await engine.publish(layout.of("done", "weather", key), b"")

    async def stored() -> tuple[Inbound, Outbound]:
        async with opened(url) as engine:
            js, layout = engine.js, engine.layout
            subjects = layout.waiting("weather", MESSAGE.dialog, MESSAGE.key), layout.of("out", "weather", reply.id)
            message, sent = [
                (await js.get_last_msg(layout.stream(stream), subject)).data or b""
                for stream, subject in zip(("in", "out"), subjects, strict=True)
            ]
            return decode_inbound(message), decode_outbound(sent)

    run(prepare())
    first, second = printed(capsys, "failed", url)
    assert first.startswith("1  20")
    assert first.endswith("  weather  message  ValueError: no  'hello'")
    assert second.startswith("2  20")
    assert second.endswith("  weather  reply  RecipientBlocked: no  'hello'")
    assert printed(capsys, "stats", url) == ["pending 4", "handled 2", "failed 2", "unsent 1"]
    assert printed(capsys, "retry", url, "2") == ["2 will be retried"]
    assert printed(capsys, "stats", url) == ["pending 4", "handled 1", "failed 1", "unsent 2"]
    assert printed(capsys, "retry", url) == ["1 will be retried"]
    assert printed(capsys, "stats", url) == ["pending 5", "handled 0", "failed 0", "unsent 2"]
    assert run(stored()) == (replace(MESSAGE, retried=1), replace(reply, retried=1))
    assert printed(capsys, "failed", url) == []
    for absent in ("2", "0", "other"):
        assert main(["retry", url, absent]) == 1
        assert capsys.readouterr().err == f"there is no failure {absent}: see `connectycube-bots failed`\n"


def test_status_is_printed(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    async def prepare() -> None:
        async with opened(nats_server.url) as engine:
            await fill(engine)

    run(prepare())
    assert "waiting 3  held 1  unsent 1  failed 1" in printed(capsys, "status", nats_server.url)
    (line,) = printed(capsys, "status", nats_server.url, "--json")
    assert json.loads(line)["waiting"] == 3
