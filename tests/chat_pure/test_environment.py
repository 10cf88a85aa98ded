"""The environment variables that stand in for missing arguments."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from connectycube.chat import AsyncChat, Chat
from connectycube.rest import ConfigurationError, ConnectyCube, InvalidArgument

HOST, PORT, APP_ID = "CONNECTYCUBE_CHAT_HOST", "CONNECTYCUBE_CHAT_PORT", "CONNECTYCUBE_APP_ID"
CA_FILE = "CONNECTYCUBE_CHAT_CA_FILE"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (HOST, PORT, APP_ID, CA_FILE):
        monkeypatch.delenv(name, raising=False)


def found(**options: Any) -> tuple[int, str, int, str]:
    use = AsyncChat(**{"user_id": 81001, "password": "secret", "app_id": 7001, **options})._settings
    assert Chat(**{"user_id": 81001, "password": "secret", "app_id": 7001, **options})._chat._settings == use
    return use.addresses.app_id, use.addresses.host, use.dial[1], use.addresses.muc_host


def test_defaults() -> None:
    assert found() == (7001, "chat.connectycube.com", 5223, "muc.chat.connectycube.com")


def test_arguments_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ((HOST, "chat.own.example"), (PORT, "5225"), (APP_ID, "9")):
        monkeypatch.setenv(name, value)
    assert found(app_id=None) == (9, "chat.own.example", 5225, "muc.chat.own.example")
    assert found(host="other.example", port=1, muc_host="rooms.example") == (7001, "other.example", 1, "rooms.example")


@pytest.mark.parametrize("value", ["", "no", "0", "65536", "-1", "5223.5"])
def test_invalid_port_is_rejected(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(PORT, value)
    if value:
        with pytest.raises(InvalidArgument, match=f"from 1 to 65535, not '?{value}"):
            found()
    else:
        assert found()[2] == 5223


def test_host_is_derived_from_the_rest_client(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = ConnectyCube(7001, "key", base_url="https://api.own.example")
    assert found(cube=cube)[1] == "chat.own.example"
    local = ConnectyCube(7001, "key", base_url="http://127.0.0.1:8080")
    with pytest.raises(ConfigurationError, match="pass host, or set CONNECTYCUBE_CHAT_HOST"):
        found(cube=local)
    monkeypatch.setenv(HOST, "localhost")
    assert found(cube=local)[1] == "localhost"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_authority_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(CA_FILE, str(file))
    reason = "No such file" if content is None else "it holds no certificate"
    with pytest.raises(ConfigurationError, match=rf"^{CA_FILE} can't be used: '{re.escape(str(file))}': {reason}"):
        found()
    found(tls="none", host="localhost")
    found(ssl_context=ssl.create_default_context())


def test_missing_configuration_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="pass it, or set CONNECTYCUBE_APP_ID"):
        found(app_id=None)
    with pytest.raises(ConfigurationError, match="user_id and password"):
        Chat(app_id=7001, user_id=81001)
