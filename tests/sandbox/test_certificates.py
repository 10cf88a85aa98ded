"""The authority of the chat's TLS: of one run, or kept beside the data file."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest

from connectycube.chat import Chat
from connectycube.sandbox import Sandbox
from connectycube.sandbox.storage import DataFileError


def test_without_a_data_file_the_authority_is_temporary() -> None:
    with Sandbox() as one, Sandbox() as other:
        assert one.ca_file.read_bytes() != other.ca_file.read_bytes()
        ca_file = one.ca_file
    assert not ca_file.parent.exists()


def test_the_authority_of_a_data_file_survives_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data.sqlite"
    with Sandbox(data=data) as sandbox:
        mary = sandbox.create_user("mary", "pass")
        context = ssl.create_default_context(cafile=sandbox.ca_file)
    key_file = tmp_path / "data.sqlite.ca.pem.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with Sandbox(data=data) as sandbox:
        assert sandbox.ca_file == tmp_path / "data.sqlite.ca.pem"
        chat = Chat(
            user_id=mary.id,
            password="pass",
            app_id=sandbox.app_id,
            host="localhost",
            port=sandbox.chat_tls_port,
            ssl_context=context,
        )
        with chat:
            assert chat.online


@pytest.mark.parametrize("broken", ["ca.pem", "ca.pem.key"])
@pytest.mark.parametrize("text", [None, "", "not a certificate"])
def test_an_invalid_authority_is_an_error(tmp_path: Path, broken: str, text: str | None) -> None:
    data = tmp_path / "data.sqlite"
    with Sandbox(data=data) as sandbox:
        assert sandbox.ca_file.exists()
    file = tmp_path / f"data.sqlite.{broken}"
    file.unlink()
    if text is not None:
        file.write_text(text)
    with Sandbox(data=data) as sandbox:
        if (broken, text) == ("ca.pem", None):
            # Nobody can trust it any more: there is a new one.
            assert sandbox.ca_file.exists()
        else:
            with pytest.raises(DataFileError, match="delete both"):
                _ = sandbox.ca_file


def test_the_authority_is_stored_in_the_given_file(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        with Sandbox(ca_file=tmp_path / "ca.pem") as sandbox:
            found.append(sandbox.ca_file.read_bytes())
    assert found[0] == found[1] == (tmp_path / "ca.pem").read_bytes()


def test_an_unwritable_authority_file_is_an_error(tmp_path: Path) -> None:
    with (
        Sandbox(ca_file=tmp_path / "nowhere" / "ca.pem") as sandbox,
        pytest.raises(DataFileError, match="No such file"),
    ):
        _ = sandbox.ca_file
