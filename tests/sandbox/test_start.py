"""What the start leaves for later: the chat, the reading of YAML."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from connectycube.rest import ConnectyCube
from connectycube.sandbox import ChatStartError, Sandbox
from connectycube.sandbox.core import Core
from connectycube.sandbox.rest.document import read_document
from connectycube.stanzas import ChatMessage
from tests.sandbox.xmpp.raw import HEADER, Ended, Raw

ROOT = Path(__file__).parents[2]
REST_ONLY = """
import sys
from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox
with Sandbox() as sandbox, ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
    cube.login(login="mary", password="correct-horse-9", create=True)
    cube.dialogs.create(type=4, name="News")
    sandbox.reset()
    assert sandbox.chat_port and sandbox.websocket_url
    print([name for name in ("connectycube.sandbox.xmpp.chat", "trustme") if name in sys.modules])
    ca_file = sandbox.ca_file
    assert ca_file.read_bytes()
assert not ca_file.exists()
"""


def test_using_only_rest_loads_no_chat() -> None:
    run = subprocess.run([sys.executable, "-c", REST_ONLY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "[]\n", "")


def test_messages_over_rest_wait_for_the_first_connection() -> None:
    with Sandbox() as sandbox:
        mary, joe = sandbox.create_user("mary", "pass"), sandbox.create_user("joe", "pass")
        with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
            cube.login(login="mary", password="pass")
            sent = cube.messages.create(recipient_id=joe.id, message="early", send_to_chat=True)
        with Raw(sandbox).enter(joe.id) as client:
            received = client.until(ChatMessage)
    assert (received.id, received.body) == (sent.id, "early")
    assert received.from_.startswith(f"{mary.id}-")


def test_many_clients_may_connect_before_the_chat_is_loaded() -> None:
    with Sandbox() as sandbox:
        joe = sandbox.create_user("joe", "pass")
        for one in [Raw(sandbox), Raw(sandbox), Raw(sandbox)]:
            with one.enter(joe.id) as client:
                assert client.jid


def test_it_can_stop_while_the_chat_is_loading() -> None:
    with Sandbox() as sandbox:
        client = Raw(sandbox)
        client.send(HEADER)
    with client, pytest.raises(Ended):
        client.until(ChatMessage)


def test_lazily_loaded_parts_report_that_they_are_ready() -> None:
    told: list[str] = []

    class Telling(Sandbox):
        def _make_core(self) -> Core:
            core = super()._make_core()
            core.loaded = lambda: told.append("loaded")
            return core

    with Telling() as sandbox:
        joe = sandbox.create_user("joe", "pass")
        with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
            cube.login(login="joe", password="pass")
        assert told == ["loaded"]
        with Raw(sandbox).enter(joe.id):
            assert told == ["loaded", "loaded"]


class TestAChatThatCanNotStart:
    """Whoever uses the sandbox is told, wherever that is."""

    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> OSError:
        error = OSError("no room for a certificate")

        def made(*names: str, ca_file: Path | None) -> None:
            raise error

        monkeypatch.setattr("connectycube.sandbox.xmpp.certificates.Certificates", made)
        return error

    def test_it_ends_the_sandbox(self, broken: OSError) -> None:
        sandbox = Sandbox()
        sandbox.start()
        with Raw(sandbox) as client, pytest.raises(Ended):
            client.read()
        uses: list[Callable[[], object]] = [
            lambda: sandbox.api_url,
            lambda: sandbox.chat_port,
            lambda: sandbox.secure_websocket_url,
            lambda: sandbox.create_user("mary"),
            sandbox.reset,
            sandbox.stop,
        ]
        for use in uses:
            with pytest.raises(ChatStartError, match="could not be started: OSError: no room") as told:
                use()
            assert told.value.__cause__ is broken
        sandbox.stop()
        with pytest.raises(RuntimeError, match="is not running"):
            sandbox.create_user("mary")

    def test_it_is_raised_at_the_end_of_an_async_block(self, broken: OSError) -> None:
        async def run() -> None:
            async with Sandbox() as sandbox:
                reader, writer = await asyncio.open_connection(sandbox.host, sandbox.chat_port)
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()

        with pytest.raises(ChatStartError):
            asyncio.run(run())

    def test_it_is_raised_while_the_sandbox_stops(self, broken: OSError) -> None:
        with pytest.raises(ChatStartError), Sandbox() as sandbox:
            client = Raw(sandbox)
        client.cut()

    def test_a_message_over_rest_reveals_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def made(*arguments: object) -> None:
            raise OSError("no server")

        monkeypatch.setattr("connectycube.sandbox.xmpp.server.XmppServer", made)
        sandbox = Sandbox()
        sandbox.start()
        joe = sandbox.create_user("joe", "pass")
        with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
            cube.login(login="mary", password="pass", create=True)
            assert cube.messages.create(recipient_id=joe.id, message="hello", send_to_chat=True).id
        with pytest.raises(ChatStartError, match="no server"):
            sandbox.stop()

    def test_where_the_chat_starts_at_once_the_sandbox_does_not_start(
        self, broken: OSError, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def add_reader(*arguments: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", add_reader)
        sandbox = Sandbox()
        with pytest.raises(ChatStartError):
            sandbox.start()
        with pytest.raises(RuntimeError, match="is not running"):
            _ = sandbox.chat_port


class TestTheDocument:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        source = tmp_path / "openapi.yaml"
        source.write_text("openapi: 3.1.0\npaths: {}\n")
        return source

    def test_it_is_the_same_from_json(self, tmp_path: Path) -> None:
        source, kept = ROOT / "generated" / "openapi.yaml", tmp_path / "openapi.json"
        first = read_document(source, kept)
        assert first == yaml.safe_load(source.read_text("utf-8")) == read_document(source, kept)

    def test_it_is_read_again_only_after_a_change(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = tmp_path / "openapi.json"
        monkeypatch.setattr(sys, "dont_write_bytecode", False)
        assert read_document(source, kept)["openapi"] == "3.1.0"
        kept.write_text(kept.read_text().replace("3.1.0", "from JSON"))
        assert read_document(source, kept)["openapi"] == "from JSON"
        source.write_text("openapi: 3.1.1\npaths: {x: {}}\n")
        assert read_document(source, kept)["openapi"] == "3.1.1"
        assert json.loads(kept.read_text())["document"]["openapi"] == "3.1.1"

    @pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff", b'{"stamp": 1}'])
    def test_a_broken_copy_is_ignored(self, broken: bytes, source: Path, tmp_path: Path) -> None:
        kept = tmp_path / "openapi.json"
        kept.write_bytes(broken)
        assert read_document(source, kept)["openapi"] == "3.1.0"

    def test_no_copy_is_kept_where_that_is_impossible_or_unwanted(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert read_document(source, tmp_path / "missing" / "openapi.json")["openapi"] == "3.1.0"
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        read_document(source, tmp_path / "openapi.json")
        assert list(tmp_path.iterdir()) == [source]
