"""What a sandbox is started with: names, keys, addresses and the platform's limits."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, field, frozen

__all__ = ["Limits", "Settings"]

APP_ID = 7001
AUTH_KEY = "sandbox-auth-key"
ADMIN_KEY = "sandbox-admin-key"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that nobody else reaches."""


@frozen(kw_only=True)
class Limits:
    """The platform's limits (section 5 of the wire facts); a test may narrow them."""

    session_seconds: int = 2 * 60 * 60
    """A session's life after its last call (R-001)."""
    guest_seconds: int = 24 * 60 * 60
    """A guest's life (X-06)."""
    contacts: int = 300
    """Contacts of one user (F-089)."""
    contact_groups: int = 50
    """Groups that one contact is in; the platform's own figure is not known, nor that of the next."""
    contact_name: int = 255
    """Characters of a contact's or a group's name (RFC 6121 section 2.3.3)."""
    dialog_admins: int = 5
    dialog_extensions: int = 3
    preview_messages: int = 20
    search_results: int = 100
    user_tags: int = 5
    page: int = 100
    """Entries of a page unless told otherwise."""
    largest_page: int = 1000
    """Most entries of a page where no limit is documented (U-06, CR-41)."""
    file_bytes: int = 104_857_600
    body_bytes: int = 1_048_576
    """Most bytes of a request other than an upload; the platform's own figure is not known."""
    whiteboards: int = 3
    upload_seconds: int = 60 * 60
    """Life of an upload form (R-050)."""
    download_seconds: int = 7 * 24 * 60 * 60
    """Life of a download address (R-057)."""
    custom_objects: int = 100
    stanza_bytes: int = 262_144
    """Most bytes of a stanza; the platform's own figure is not known (U-49)."""
    write_buffer_bytes: int = 4_194_304
    """What may wait for a chat client that reads slowly, before its connection is broken."""
    resume_seconds: int = 300
    """How long a stream can be resumed (XEP-0198 section 5, U-35)."""
    unacked_stanzas: int = 2_000
    """Most stanzas that are kept for a client that does not acknowledge them."""
    sasl_failures: int = 5
    """Failed logins on one connection (RFC 6120 section 6.4.5)."""


_HOST = re.compile(r"(?=.{1,249}$)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.ASCII | re.IGNORECASE)
_KEY = re.compile(r"[!-~]([ -~]*[!-~])?")


def _number(_: Settings, attribute: Attribute[int], value: int) -> None:
    # JIDs and the numbers of SQLite hold no other.
    if not 0 < value < 10**18:
        raise ValueError(f"{attribute.name} must be a positive number of at most 18 digits")


def _fits(pattern: re.Pattern[str], what: str) -> Any:
    """A check whether a text is of a kind; it never repeats the text, which may be secret."""

    def check(_: Settings, attribute: Attribute[str], value: str) -> None:
        if pattern.fullmatch(value) is None:
            raise ValueError(f"{attribute.name} must be {what}")

    return check


_is_key = _fits(_KEY, "a text that fits into a header")
_is_host = _fits(_HOST, "a host name")


@frozen(kw_only=True)
class Settings:
    """How a sandbox presents itself.

    :raises ValueError: if a name or key could not work.
    """

    app_id: int = field(default=APP_ID, validator=_number)
    auth_key: str = field(default=AUTH_KEY, repr=False, validator=_is_key)
    admin_key: str = field(default=ADMIN_KEY, repr=False, validator=_is_key)
    chat_host: str = field(default="localhost", validator=_is_host)
    """Domain of the users' JIDs."""
    users_v1: bool = False
    """Whether the deprecated list of users answers (R-010: off by default)."""
    create_users_on_login: bool = True
    """Whether a session with an unknown login makes the user (R-001)."""
    extensions: tuple[str, ...] | None = None
    """Names of a dialog's own fields (R-027); `None` takes any three."""
    check_answers: bool = True
    """Whether each answer is held against the spec before it leaves."""
    limits: Limits = field(factory=Limits)

    @property
    def muc_host(self) -> str:
        """Domain of the rooms' JIDs."""
        return f"muc.{self.chat_host}"

    def user_jid(self, user_id: int) -> str:
        """A user's bare JID."""
        return f"{user_id}-{self.app_id}@{self.chat_host}"

    def room_jid(self, dialog_id: str) -> str:
        """A dialog's room."""
        return f"{self.app_id}_{dialog_id}@{self.muc_host}"
