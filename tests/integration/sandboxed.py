"""The sandbox as the server of these tests."""

from __future__ import annotations

import itertools
import random
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connectycube.sandbox import Sandbox
from connectycube.sandbox.config import Limits, Settings
from connectycube.sandbox.core import Core
from connectycube.sandbox.server import Service
from connectycube.sandbox.xmpp.late import LateChat
from tests.integration.platform_iq import NAMESPACES
from tests.integration.server import APP_ID, Ports, User
from tests.integration.support import free_ports


class _Sandbox(Sandbox):
    """One whose chat service can be looked into."""

    late: LateChat

    def _services(self, core: Core) -> Sequence[Service]:
        services = super()._services(core)
        assert isinstance(services[0], LateChat)
        self.late = services[0]
        return services

    def resources(self, user_id: int) -> list[str]:
        server = self.late._server
        return [] if server is None else [session.resource for session in server.chat.router.sessions(user_id)]

    def kick(self, user_id: int) -> int:
        server = self.late._server
        if server is None:
            return 0
        sessions = server.chat.router.sessions(user_id)
        for session in sessions:
            stream = session.stream
            server.chat.end(session)
            if stream is not None:
                stream.fail("policy-violation")
        return len(sessions)


class SandboxServer:
    """A sandbox over a file, with the same ports after each start: a context manager."""

    def __init__(self, *, resume_timeout: int = 60) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
        *ports, self._api = free_ports(4)
        self.ports = Ports(*ports)
        self._settings = Settings(app_id=APP_ID, limits=Limits(resume_seconds=resume_timeout))
        self._numbers = itertools.count(1)
        self._server: _Sandbox | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # The server

    @property
    def sandbox(self) -> _Sandbox:
        assert self._server is not None, "it does not run"
        return self._server

    def start(self) -> None:
        """Start, with the same ports and what the file holds."""
        assert self._server is None, "it runs already"
        server = _Sandbox(
            self._settings,
            data=self.folder / "data.sqlite",
            port=self._api,
            chat_port=self.ports.starttls,
            chat_tls_port=self.ports.tls,
            websocket_port=self.ports.http,
        )
        server.start()
        self._server = server

    def stop(self) -> None:
        """End it, and take away its folder."""
        self.stop_hard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_hard(self) -> None:
        """Break all connections without a word, then end it."""
        if self._server is not None:
            self._server.drop_connections()
            self.stop_kindly()

    def stop_kindly(self) -> None:
        """Shut down cleanly: clients receive `system-shutdown`."""
        server, self._server = self.sandbox, None
        server.stop()

    def restart(self) -> None:
        """Stop in order and start anew, with the same ports and users."""
        self.stop_kindly()
        self.start()

    @property
    def running(self) -> bool:
        return self._server is not None

    # Accounts, sessions, dialogs

    def register(self) -> User:
        """Make an account with a new id."""
        secret = f"pass-{random.randbytes(8).hex()}"
        return User(self.sandbox.create_user(f"user-{next(self._numbers)}", secret).id, secret)

    def unregister(self, user: User) -> None:
        """Take an account away; its sessions end."""
        self.sandbox.call(self.sandbox.core.accounts.delete, user.id)

    def set_password(self, user: User, password: str) -> User:
        """The same account with another password; sessions stay."""
        fields = {"password": password, "old_password": user.password}
        self.sandbox.call(self.sandbox.core.accounts.update, user.id, fields)
        return User(user.id, password)

    def kick(self, user: User) -> int:
        """End a user's sessions with a stream error, those included that are lost; the number of them."""
        return self.sandbox.call(self.sandbox.kick, user.id)

    def resources(self, user: User) -> list[str]:
        """The resources of a user's sessions, those included that were lost and can be resumed."""
        return self.sandbox.call(self.sandbox.resources, user.id)

    def offline_messages(self, user: User) -> int:
        """How many messages wait for a user."""

        def count() -> int:
            return int(self.sandbox.core.db.value("SELECT count(*) FROM offline_messages WHERE user_id = ?", user.id))

        return self.sandbox.call(count)

    def group(self, first: User, *others: User) -> str:
        """Create a group dialog with an empty room."""
        occupants = sorted({user.id for user in others} - {first.id})
        return self._dialog(first, {"type": 2, "name": "A group", "occupants_ids": occupants})

    def private(self, one: User, other: User) -> str:
        """The private dialog of two users."""
        return self._dialog(one, {"type": 3, "occupants_ids": [other.id]})

    def _dialog(self, user: User, fields: dict[str, Any]) -> str:
        return self.sandbox.call(self.sandbox.core.dialogs.create, user.id, fields).id

    def play_platform(self) -> None:
        """It does."""

    def asked_of_platform(self, user: User) -> list[str]:
        """The requests of a user that only the platform answers (K-51, K-52), as XML."""
        seen = [entry for entry in self.sandbox.journal.stanzas(user_id=user.id) if entry.direction == "in"]
        return [entry.xml for entry in seen if any(namespace in entry.xml for namespace in NAMESPACES)]

    # TLS

    @property
    def ca_file(self) -> Path:
        return self.sandbox.ca_file

    def ssl_context(self) -> ssl.SSLContext:
        """A client's context that trusts this server's authority alone."""
        return self.sandbox.ssl_context
