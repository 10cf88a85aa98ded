"""What varies with the spec: names, addresses, headers."""

from __future__ import annotations

from typing import Final

__all__ = ["ClientError"]


class ClientError(Exception):
    """The base class of this package's exceptions.

    :ivar operation: the operation's name, such as `things.get`; empty if there is none.
    :ivar file_id: the id of the file whose upload failed after it was created.
    """

    # Shown, and pickled, under its public address.
    __module__ = f"{__package__}.errors"

    operation: str = ""
    file_id: int | None = None


PackageError = ClientError
"""The base error under the name that the runtime knows."""

BASE_URL: Final = "https://api.example.com"

USER_AGENT: Final = "sample-python/1.0"

STANDARD_HEADERS: Final[dict[str, str]] = {"Accept": "application/json", "User-Agent": USER_AGENT}
"""Sent with every call to the API itself."""

SCHEMES: Final[dict[str, tuple[str, str]]] = {"session": ("X-Token", "")}
"""The header of each security scheme and the text before its secret."""

KEYS: Final[dict[str, tuple[str, str]]] = {}
"""The place and the name of each security scheme's key that is no header: `query` or `cookie`."""

RESOURCES: Final = frozenset({"files", "sessions"})
"""The names under which a client keeps its resources."""
