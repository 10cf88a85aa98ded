"""What a chat is set up with: checked arguments, credentials, the TLS context."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import ssl
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from attrs import field, frozen

from connectycube.rest import (
    AsyncConnectyCube,
    ConfigurationError,
    ConnectyCube,
    ConnectyCubeError,
    InvalidArgument,
)
from connectycube.stanzas import JIDError, RoomJID, UserJID

from .machines.connection import Backoff

__all__ = ["Credentials", "MarkDelivered", "Settings", "Tls", "checked_seconds", "settings"]

Tls = Literal["direct", "starttls", "none"]
MarkDelivered = Literal["markable", "always", "never"]

HOST: Final = "chat.connectycube.com"
PORT: Final = 5223

logger = logging.getLogger("connectycube.chat")

_contexts: WeakValueDictionary[str, ssl.SSLContext] = WeakValueDictionary()


def shared_context() -> ssl.SSLContext:
    """The TLS context of all chats that are not given one: it takes most of a connection's memory, and is only read.

    It is gone with the last chat that uses it.
    """
    context = _contexts.get("default")
    if context is None:
        context = _contexts["default"] = ssl.create_default_context()
    return context


@frozen(kw_only=True)
class Settings:
    """The checked arguments of a chat."""

    app_id: int
    host: str
    port: int
    muc_host: str
    tls: Tls
    allow_insecure: bool
    context: ssl.SSLContext | None = field(repr=False)
    resource: str | None
    auto_reconnect: bool
    stream_management: bool
    keepalive: float | None
    mark_delivered: MarkDelivered
    timeout: float
    send_timeout: float | None
    stable_after: float
    backoff: Backoff
    roster: bool
    initial_presence: bool

    def user(self, user_id: int) -> str:
        """The bare JID of a user.

        :raises InvalidArgument: if it is no id.
        """
        return _user_jid(_id(user_id), self.app_id, self.host)

    def room(self, dialog_id: str) -> str:
        """The JID of a dialog's room.

        :raises InvalidArgument: if it is no id.
        """
        try:
            return _room_jid(dialog_id, self.app_id, self.muc_host)
        except JIDError as error:
            raise InvalidArgument("dialog_id", f"is no dialog's: {error.problem}") from error


@lru_cache(maxsize=4096)
def _user_jid(user_id: int, app_id: int, host: str) -> str:
    return str(UserJID(user_id=user_id, app_id=app_id, host=host))


@lru_cache(maxsize=4096)
def _room_jid(dialog_id: str, app_id: int, host: str) -> str:
    return str(RoomJID(app_id=app_id, dialog_id=dialog_id, host=host))


def _id(user_id: object) -> int:
    if isinstance(user_id, bool) or not isinstance(user_id, int) or not 0 < user_id < 10**19:
        raise InvalidArgument("user_id", f"must be a positive whole number, not {user_id!r}")
    return user_id


def checked_seconds(name: str, value: object, least: float = 0) -> None:
    """Check a time.

    :raises InvalidArgument: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise InvalidArgument(name, f"must be {'more than 0' if least else '0 or more'} seconds, not {value!r}")


class Credentials:
    """Who logs in. The `repr` shows no secret.

    :ivar renewable: whether the REST client may be asked to renew its session.
    """

    __slots__ = ("_cube", "_password", "_user_id", "renewable")

    def __init__(
        self, cube: ConnectyCube | AsyncConnectyCube | None, user_id: int | None, password: str | None
    ) -> None:
        if cube is None and (user_id is None or password is None):
            raise ConfigurationError("the chat needs a cube that is logged in, or user_id and password")
        if password is not None and (not isinstance(password, str) or not password):
            raise InvalidArgument("password", "must be a text that is not empty")
        self._cube = cube
        self._user_id = None if user_id is None else _id(user_id)
        self._password = password
        self.renewable = True

    def __repr__(self) -> str:
        return f"<Credentials of {self._user_id or 'the session'}>"

    @property
    def user_id(self) -> int:
        """The user's id.

        :raises ConfigurationError: if nobody is logged in.
        """
        if self._user_id is not None:
            return self._user_id
        session = None if self._cube is None else self._cube.session
        if session is None or session.user_id is None:
            raise ConfigurationError("the cube has no user's session: call login() first, or give user_id")
        return session.user_id

    def secret(self) -> str:
        """The password, or the session's token as it is now (F-010): it may have been renewed since the last time.

        :raises ConfigurationError: if nobody is logged in.
        """
        if self._password is not None:
            return self._password
        session = None if self._cube is None else self._cube.session
        if session is None or session.token is None:
            raise ConfigurationError("the cube has no session: call login() first, or give password")
        return session.token

    async def renew(self) -> bool:
        """Let the REST client look after its session: it renews one that is gone, if it can.

        :returns: whether there is another token now.
        """
        if self._cube is None or self._password is not None or not self.renewable:
            return False
        before = self.secret()
        try:
            # A call that needs the session; those about the session itself are not renewed.
            if isinstance(self._cube, AsyncConnectyCube):
                await self._cube.dialogs.list(limit=1)
            else:
                await asyncio.to_thread(self._cube.dialogs.list, limit=1)
        except ConnectyCubeError as error:
            # The refusal of the chat server is what the caller is told; this only says why it stays.
            logger.warning("the session of the REST client could not be renewed: %s", error)
        return self.secret() != before


def settings(
    cube: ConnectyCube | AsyncConnectyCube | None,
    *,
    app_id: int | None,
    host: str | None,
    muc_host: str | None,
    tls: Tls,
    allow_insecure: bool,
    ssl_context: ssl.SSLContext | None,
    mark_delivered: MarkDelivered,
    port: int | None,
    **others: Any,
) -> Settings:
    """Check the arguments of a chat.

    :raises InvalidArgument: if one is wrong.
    :raises ConfigurationError: if one is missing, or the connection would be insecure.
    """
    host = _host(cube) if host is None else host
    if tls not in ("direct", "starttls", "none"):
        raise InvalidArgument("tls", f"must be 'direct', 'starttls' or 'none', not {tls!r}")
    if tls == "none":
        if ssl_context is not None:
            raise InvalidArgument("ssl_context", "has no use with tls='none'")
        if not allow_insecure and not _is_loopback(host):
            raise ConfigurationError(
                f"tls='none' would show messages and passwords to everyone on the way to {host}: "
                "use TLS, or say allow_insecure=True as well"
            )
    if mark_delivered not in ("markable", "always", "never"):
        raise InvalidArgument("mark_delivered", f"must be 'markable', 'always' or 'never', not {mark_delivered!r}")
    for name in ("timeout", "send_timeout", "keepalive", "stable_after"):
        value = others[name]
        optional = name in ("send_timeout", "keepalive")
        least = 0 if name == "stable_after" else 1e-9
        if not (optional and value is None):
            checked_seconds(name, value, least)
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise InvalidArgument("ssl_context", f"must be an ssl.SSLContext, not {type(ssl_context).__name__}")
    if not isinstance(others["backoff"], Backoff):
        raise InvalidArgument("backoff", f"must be a Backoff, not {type(others['backoff']).__name__}")
    number: object = _port() if port is None else port
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65536:
        raise InvalidArgument("port", f"must be a number from 1 to 65535, not {number!r}")
    try:
        address = UserJID(user_id=1, app_id=_app_id(cube, app_id), host=host, resource=others["resource"])
        rooms = UserJID(user_id=1, app_id=1, host=f"muc.{host}" if muc_host is None else muc_host).host
    except JIDError as error:
        raise InvalidArgument("host, muc_host or resource", f"can't be used: {error.problem}") from error
    return Settings(
        app_id=address.app_id,
        host=address.host,
        port=number,
        muc_host=rooms,
        tls=tls,
        allow_insecure=allow_insecure,
        context=None if tls == "none" else ssl_context or shared_context(),
        mark_delivered=mark_delivered,
        **others,
    )


def _app_id(cube: ConnectyCube | AsyncConnectyCube | None, given: int | None) -> int:
    session = None if cube is None else cube.session
    found: object = given
    if found is None and session is not None:
        found = session.application_id
    if found is None:
        text = os.environ.get("CONNECTYCUBE_APP_ID", "")
        found = int(text) if text.isdigit() else None
    if found is None:
        raise ConfigurationError("the chat has no app_id: pass it, or set CONNECTYCUBE_APP_ID")
    if isinstance(found, bool) or not isinstance(found, int) or found <= 0:
        raise InvalidArgument("app_id", f"must be a positive whole number, not {found!r}")
    return found


def _port() -> int | str:
    text = os.environ.get("CONNECTYCUBE_CHAT_PORT") or str(PORT)
    return int(text) if text.isdecimal() else text


def _host(cube: ConnectyCube | AsyncConnectyCube | None) -> str:
    """The host of the environment, or that which belongs to a REST host: `chat.` for `api.` (3.1 of the facts)."""
    if named := os.environ.get("CONNECTYCUBE_CHAT_HOST"):
        return named
    if cube is None:
        return HOST
    name = urlsplit(cube.base_url).hostname or ""
    if name.startswith("api."):
        return f"chat.{name.removeprefix('api.')}"
    raise ConfigurationError(
        f"the chat host does not follow from {name or 'the base_url'}: pass host, or set CONNECTYCUBE_CHAT_HOST"
    )


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
