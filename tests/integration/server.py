"""What the tests use of a server, whoever plays it: accounts, sessions and dialogs, and that it stops and starts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

APP_ID = 7001
HOST = "localhost"
MUC_HOST = f"muc.{HOST}"


@dataclass(frozen=True)
class User:
    """An account on the server."""

    id: int
    password: str = field(repr=False)

    @property
    def local(self) -> str:
        """The login name."""
        return f"{self.id}-{APP_ID}"

    @property
    def jid(self) -> str:
        return f"{self.local}@{HOST}"


@dataclass(frozen=True)
class Ports:
    """The listeners, all on 127.0.0.1."""

    starttls: int
    """Plain XMPP; STARTTLS is offered."""
    tls: int
    """TLS from the first byte."""
    http: int
    """HTTP without TLS: XMPP over WebSocket at `/ws`."""


def room_jid(dialog_id: str) -> str:
    return f"{APP_ID}_{dialog_id}@{MUC_HOST}"


class Server(Protocol):
    """A running server. What it does blocks: where clients must go on meanwhile, call it in a thread."""

    @property
    def ports(self) -> Ports: ...

    @property
    def ca_file(self) -> Path:
        """Its authority's certificate, as PEM."""

    def ssl_context(self) -> ssl.SSLContext:
        """A client's context that trusts this server's authority alone."""

    # It runs, or does not

    @property
    def running(self) -> bool: ...

    def start(self) -> None:
        """Start, with the same ports and with what was kept."""

    def stop_hard(self) -> None:
        """End without a word to the clients."""

    def restart(self) -> None:
        """Stop in order and start anew."""

    # Accounts, sessions, dialogs

    def register(self) -> User:
        """Make an account with a new id."""

    def unregister(self, user: User) -> None:
        """Take an account away, with all that is kept for it; its sessions end."""

    def set_password(self, user: User, password: str) -> User:
        """The same account with another password; sessions stay."""

    def kick(self, user: User) -> int:
        """End a user's sessions with a stream error, those included that are lost; the number of them."""

    def resources(self, user: User) -> list[str]:
        """The resources of a user's sessions, those included that are lost and can be resumed."""

    def offline_messages(self, user: User) -> int:
        """How many messages wait for a user."""

    def group(self, first: User, *others: User) -> str:
        """Create a group dialog with an empty room."""

    def private(self, one: User, other: User) -> str:
        """The private dialog of two users."""

    # What only the platform has

    def play_platform(self) -> None:
        """Let the server answer the two requests of the platform (K-51, K-52), if it doesn't anyway."""

    def asked_of_platform(self, user: User) -> list[str]:
        """These requests of a user since then, as XML."""
