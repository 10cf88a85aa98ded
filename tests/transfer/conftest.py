"""Accounts on sandboxes whose pages are short, and exports and imports in this process or one of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from connectycube.cli.transfer import Summary, export, import_
from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.sandbox import Sandbox, Settings
from connectycube.sandbox.config import Limits
from connectycube.sandbox.domain.message_model import Draft

PASSWORD = "correct-horse-9"
PAGE = 4
"""Entries on a page of these sandboxes, so that little data fills many pages."""


@frozen
class Account:
    """A user of a sandbox, or with the admin key its application."""

    sandbox: Sandbox
    login: str
    id: int

    def cube(self) -> ConnectyCube:
        """A client of the user."""
        cube = ConnectyCube(self.sandbox.app_id, self.sandbox.auth_key, base_url=self.sandbox.api_url)
        cube.login(login=self.login, password=PASSWORD)
        return cube

    def friend(self, login: str) -> Account:
        """Another user of the same sandbox."""
        return Account(self.sandbox, login, self.sandbox.create_user(login, PASSWORD).id)

    def export(self, folder: Path, **options: Any) -> Summary:
        return asyncio.run(self._run(export, folder, options))

    def import_(self, folder: Path, **options: Any) -> Summary:
        return asyncio.run(self._run(import_, folder, options))

    async def _run(self, command: Any, folder: Path, options: dict[str, Any]) -> Summary:
        sandbox = self.sandbox
        async with AsyncConnectyCube(
            sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url, admin_key=sandbox.admin_key
        ) as cube:
            await cube.login(login=self.login, password=PASSWORD)
            found: Summary = await command(cube, folder, app_id=str(sandbox.app_id), **options)
            return found

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command in a process of its own."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("CONNECTYCUBE_")}
        environment |= {
            "CONNECTYCUBE_APP_ID": str(self.sandbox.app_id),
            "CONNECTYCUBE_AUTH_KEY": self.sandbox.auth_key,
            "CONNECTYCUBE_ADMIN_KEY": self.sandbox.admin_key,
            "CONNECTYCUBE_BASE_URL": self.sandbox.api_url,
            "CONNECTYCUBE_LOGIN": self.login,
            "CONNECTYCUBE_PASSWORD": PASSWORD,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "connectycube.cli", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def write(self, dialog_id: str, count: int, *, sender: Account | None = None, **fields: Any) -> list[str]:
        """Store messages directly, and return their ids."""
        core = self.sandbox.core

        def write() -> list[str]:
            dialog, sender_id = core.dialogs.get(dialog_id), (sender or self).id
            drafts = (Draft(sender_id=sender_id, body=f"message {number}", **fields) for number in range(count))
            return [core.messages.store(dialog, draft).id for draft in drafts]

        return self.sandbox.call(write)


def account(app_id: int) -> Iterator[Account]:
    with Sandbox(Settings(app_id=app_id, limits=Limits(page=PAGE, largest_page=PAGE))) as sandbox:
        yield Account(sandbox, "mary", sandbox.create_user("mary", PASSWORD).id)


@pytest.fixture
def source() -> Iterator[Account]:
    """The account to export."""
    yield from account(7001)


@pytest.fixture
def target() -> Iterator[Account]:
    """The account to import into. Its user has another id."""
    for found in account(7002):
        found.sandbox.create_user("earlier", PASSWORD)
        yield found.friend("maria")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "export"


@frozen
class Exported:
    """What an export holds, as a reader of its files sees it."""

    dialogs: list[dict[str, Any]]
    messages: dict[str, list[dict[str, Any]]]
    """By dialog."""
    files: dict[str, tuple[dict[str, Any], bytes]]

    @property
    def message_ids(self) -> list[str]:
        return [message["_id"] for messages in self.messages.values() for message in messages]


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSON Lines file, the last of which must have an end, too."""
    text = path.read_bytes().decode("utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def read(folder: Path) -> Exported:
    return Exported(
        dialogs=lines(folder / "dialogs.jsonl"),
        messages={path.stem: lines(path) for path in sorted((folder / "messages").iterdir())},
        files={
            row["uid"]: (row, (folder / "files" / row["uid"]).read_bytes()) for row in lines(folder / "files.jsonl")
        },
    )
