"""A sandbox's settings: names, keys, addresses and the platform's limits."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from typing import Any

from attrs import Attribute, evolve, field, frozen
from attrs.validators import instance_of, optional

from .identity import IdentityProvider, is_url

__all__ = ["Keys", "Limits", "Settings", "show_log"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this machine can reach."""


@frozen(kw_only=True)
class Limits:
    """The platform's limits (section 5 of the wire facts), which tests may lower."""

    session_seconds: int = 2 * 60 * 60
    """How long a session lasts after its last call (R-001)."""
    guest_seconds: int = 24 * 60 * 60
    """How long a guest exists (X-06)."""
    contacts: int = 300
    """Most contacts of one user (F-089)."""
    contact_groups: int = 50
    """Most groups that one contact is in. The platform's limit is not known, nor is that of `contact_name`."""
    contact_name: int = 255
    """Most characters in the name of a contact or group (RFC 6121 section 2.3.3)."""
    dialog_admins: int = 5
    dialog_extensions: int = 3
    preview_messages: int = 20
    search_results: int = 100
    user_tags: int = 5
    page: int = 100
    """Default number of entries on a page."""
    largest_page: int = 100
    """Most entries on a page, whatever a call asks for (U-06, N-12)."""
    file_bytes: int = 104_857_600
    body_bytes: int = 1_048_576
    """Most bytes in a request other than an upload. The platform's limit is not known."""
    whiteboards: int = 3
    upload_seconds: int = 60 * 60
    """How long an upload form is valid (R-050)."""
    download_seconds: int = 7 * 24 * 60 * 60
    """How long a download address is valid (R-057)."""
    recording_seconds: int = 60 * 60
    """How long the address of a recording is valid (R-082)."""
    custom_objects: int = 100
    stanza_bytes: int = 262_144
    """Most bytes in a stanza. The platform's limit is not known (U-49)."""
    write_buffer_bytes: int = 4_194_304
    """Most bytes that wait for a chat client that reads slowly, before its connection is dropped."""
    resume_seconds: int = 300
    """How long a stream can be resumed (XEP-0198 section 5, U-35)."""
    unacked_stanzas: int = 2_000
    """Most unacknowledged stanzas that are kept for a client."""
    sasl_failures: int = 5
    """Most failed logins on one connection (RFC 6120 section 6.4.5)."""


_HOST = re.compile(r"(?=.{1,249}$)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.ASCII | re.IGNORECASE)
_KEY = re.compile(r"[!-~]([ -~]*[!-~])?")


def _number(_: Settings, attribute: Attribute[int], value: int) -> None:
    # Larger numbers fit neither into JIDs nor into SQLite.
    if not 0 < value < 10**18:
        raise ValueError(f"{attribute.alias} must be a positive number of at most 18 digits")


def _fits(pattern: re.Pattern[str], what: str) -> Any:
    """Return a validator whose error doesn't repeat the text, which may be secret."""

    def check(_: Settings, attribute: Attribute[str], value: str) -> None:
        if pattern.fullmatch(value) is None:
            raise ValueError(f"{attribute.alias} must be {what}")

    return check


_is_key = _fits(_KEY, "a text that fits into a header")
_is_host = _fits(_HOST, "a host name")
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", re.ASCII)


def _are_origins(_: Settings, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for origin in value:
        if _ORIGIN.fullmatch(origin) is None:
            raise ValueError(f"{attribute.alias} must be origins such as http://localhost:3000, not {origin!r}")


def _is_template(_: Settings, attribute: Attribute[Any], value: str | None) -> None:
    try:
        (value or "").format(sender="", message="", dialog="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        names = "{sender}, {message} and {dialog}"
        raise ValueError(f"{attribute.alias} may contain {names}, and other braces doubled: {value!r}") from error


def _origins(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


@frozen(kw_only=True)
class Keys:
    """What clients must present. It is random, so that no page in a browser on this machine can know it."""

    app_id: int = field(factory=lambda: 100_000 + secrets.randbelow(900_000))
    auth_key: str = field(factory=lambda: secrets.token_hex(16), repr=False)
    admin_key: str = field(factory=lambda: secrets.token_hex(16), repr=False)


@frozen(kw_only=True)
class Settings:
    """A sandbox's names, keys and behaviour.

    :ivar app_id: id of the application. It and the keys are random by default; a data file keeps them.
    :ivar auth_key: authorization key of the application.
    :ivar admin_key: key of the admin API.
    :raises ValueError: if a name or key is invalid.
    """

    _app_id: int | None = field(default=None, validator=optional(_number), alias="app_id")
    _auth_key: str | None = field(default=None, repr=False, validator=optional(_is_key), alias="auth_key")
    _admin_key: str | None = field(default=None, repr=False, validator=optional(_is_key), alias="admin_key")
    _random: Keys = field(factory=Keys, init=False, repr=False, eq=False)
    chat_host: str = field(default="localhost", validator=_is_host)
    """The domain of the users' JIDs."""
    users_v1: bool = False
    """Whether version 1 of the users API is available: the deprecated list and the look-ups by id, login, email,
    Facebook id, Twitter id, tags and external id (N-01). On the platform it is a permission, off by default."""
    online_users: bool = True
    """Whether the Online Users API is available (N-07). On the platform it is a permission."""
    chat_alert: str | None = field(default="{sender}: {message}", validator=_is_template)
    """Text of the push notification that offline recipients of a message get (F-082); it may contain `{sender}`,
    `{message}` and `{dialog}`. With `None`, there are none, as while the dashboard has no template."""
    identity_provider: IdentityProvider | None = field(default=None, validator=optional(instance_of(IdentityProvider)))
    """The developer's own server that vouches for who logs in with R-006 (N-03). With it, logins and passwords of the
    sandbox's users no longer count there."""
    recording_webhook: str | None = field(default=None, validator=optional(is_url))
    """The developer's URL that receives the recording webhook (N-04)."""
    create_users_on_login: bool = True
    """Whether opening a session with an unknown login creates the user (R-001)."""
    extensions: tuple[str, ...] | None = None
    """Names of the application's own fields of dialogs (R-027). `None` accepts any three."""
    check_answers: bool = True
    """Whether to check each answer against the spec before it is sent."""
    limits: Limits = field(factory=Limits)
    origins: tuple[str, ...] = field(default=(), converter=_origins, validator=_are_origins)
    """Origins of web pages that may use REST and the chat, such as `http://localhost:3000`. By default, only the
    sandbox's own page may. Programs other than browsers send no origin."""

    @property
    def app_id(self) -> int:
        """The id of the application."""
        return self._random.app_id if self._app_id is None else self._app_id

    @property
    def auth_key(self) -> str:
        """The authorization key of the application."""
        return self._random.auth_key if self._auth_key is None else self._auth_key

    @property
    def admin_key(self) -> str:
        """The key of the admin API."""
        return self._random.admin_key if self._admin_key is None else self._admin_key

    def with_kept(self, kept: Keys) -> Settings:
        """Return these settings with the keys of an earlier start where none are given."""
        return evolve(
            self,
            app_id=kept.app_id if self._app_id is None else self._app_id,
            auth_key=kept.auth_key if self._auth_key is None else self._auth_key,
            admin_key=kept.admin_key if self._admin_key is None else self._admin_key,
        )

    @property
    def muc_host(self) -> str:
        """The domain of the rooms' JIDs."""
        return f"muc.{self.chat_host}"

    def user_jid(self, user_id: int) -> str:
        """Return a user's bare JID."""
        return f"{user_id}-{self.app_id}@{self.chat_host}"

    def room_jid(self, dialog_id: str) -> str:
        """Return the JID of a dialog's room."""
        return f"{self.app_id}_{dialog_id}@{self.muc_host}"


def show_log() -> None:
    """Write the log to the standard error stream if `CONNECTYCUBE_LOG` is `debug` or `info`.

    :raises ValueError: if it is something else.
    """
    if os.environ.get("CONNECTYCUBE_LOG"):
        # Imported late: a sandbox starts faster without the REST client.
        from connectycube.rest import ConfigurationError, _log

        try:
            _log.show_log()
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
