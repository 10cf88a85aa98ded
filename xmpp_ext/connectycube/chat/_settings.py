"""The configuration of a chat: checked arguments, credentials and the TLS context."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import ssl
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import idna
from attrs import field, frozen

from connectycube.rest import (
    ApiError,
    AsyncConnectyCube,
    BadRequest,
    ConfigurationError,
    ConnectyCube,
    Forbidden,
    InvalidArgument,
    NotFound,
    Unauthorized,
    Unprocessable,
)
from connectycube.rest._log import show_log
from connectycube.stanzas import JIDError, UserJID

from ._ids import Addresses, checked_user_id
from .machines.connection import Backoff

__all__ = [
    "Credentials",
    "MarkDelivered",
    "Settings",
    "Tls",
    "Transport",
    "checked_seconds",
    "settings",
    "split_address",
]

Tls = Literal["direct", "starttls", "none"]
Transport = Literal["tcp", "websocket"]
MarkDelivered = Literal["markable", "always", "never"]

HOST: Final = "chat.connectycube.com"
PORT: Final = 5223
WEBSOCKET_PORT: Final = 5291
PROXIES: Final = ("http", "socks4", "socks5", "socks5h")

logger = logging.getLogger("connectycube.chat")

_contexts: WeakValueDictionary[str, ssl.SSLContext] = WeakValueDictionary()


def shared_context() -> ssl.SSLContext:
    """Return the TLS context shared by all chats that were not given one.

    A context takes most of a connection's memory and is only read, so one is enough. It is freed with the last chat
    that uses it.

    :raises ConfigurationError: if `CONNECTYCUBE_CHAT_CA_FILE` names no file with certificates.
    """
    file = os.environ.get("CONNECTYCUBE_CHAT_CA_FILE", "")
    context = _contexts.get(file)
    if context is None:
        try:
            context = _contexts[file] = ssl.create_default_context(cafile=file or None)
        except OSError as error:
            if not file:
                raise
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigurationError(f"CONNECTYCUBE_CHAT_CA_FILE can't be used: {file!r}: {reason}") from error
    return context


@frozen(kw_only=True)
class Settings:
    """The checked arguments of a chat.

    :ivar dial: host and port of the server; the host is in ASCII and without brackets, as a resolver takes it.
    :ivar srv: whether to look for servers in SRV records first.
    :ivar url: the URL of a WebSocket; `None` for TCP.
    """

    addresses: Addresses
    dial: tuple[str, int]
    srv: bool
    url: str | None
    proxy: str | None = field(repr=False)
    tls: Tls
    allow_insecure: bool
    context: ssl.SSLContext | None = field(repr=False)
    resource: str | None
    auto_reconnect: bool
    stream_management: bool
    keepalive: float | None
    mark_delivered: MarkDelivered
    resolve_dialogs: bool
    timeout: float
    send_timeout: float | None
    max_stanza_size: int | None
    stable_after: float
    backoff: Backoff
    roster: bool
    initial_presence: bool

    @property
    def server(self) -> str:
        """The server, for messages."""
        host, port = self.dial
        return self.url or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return _is_loopback(self.dial[0])

    @property
    def certified(self) -> str:
        """The name that the server's certificate must have: the domain's, whatever is dialled (RFC 6120 13.7.2.1)."""
        return ascii_host(self.addresses.host)


def checked_seconds(name: str, value: object, least: float = 0) -> None:
    """Check a duration.

    :raises InvalidArgument: if it is not a number of seconds, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise InvalidArgument(name, f"must be {'more than 0' if least else '0 or more'} seconds, not {value!r}")


class Credentials:
    """The user who logs in, fixed when the chat first connects. The `repr` hides secrets.

    The REST client may log out, or log in as somebody else: the chat keeps the last token it had for its own user.

    :ivar renewable: whether the REST client may be asked to renew its session.
    """

    __slots__ = ("_cube", "_given", "_password", "_token", "_user_id", "renewable")

    def __init__(
        self, cube: ConnectyCube | AsyncConnectyCube | None, user_id: int | None, password: str | None
    ) -> None:
        if cube is None and (user_id is None or password is None):
            raise ConfigurationError("the chat needs a logged-in cube, or user_id and password")
        if password is not None and (not isinstance(password, str) or not password):
            raise InvalidArgument("password", "must be a non-empty string")
        self._cube = cube
        self._user_id = None if user_id is None else checked_user_id(user_id)
        self._given = user_id is not None
        self._password = password
        self._token: str | None = None
        self.renewable = True

    def __repr__(self) -> str:
        return f"<Credentials of {self._user_id or 'the session'}>"

    @property
    def user_id(self) -> int:
        """The user's id.

        :raises ConfigurationError: if no user is logged in.
        """
        if self._user_id is not None:
            return self._user_id
        session = None if self._cube is None else self._cube.session
        if session is None or session.user_id is None:
            raise ConfigurationError("the cube has no user session: call login() first, or pass user_id")
        return session.user_id

    def fix(self) -> int:
        """Fix the user for good, and return the id.

        :raises ConfigurationError: if no user is logged in.
        """
        self._user_id = self.user_id
        return self._user_id

    def secret(self) -> str:
        """Return the password, or the user's current token.

        :raises ConfigurationError: if there is no session of that user.
        """
        if self._password is not None:
            return self._password
        # F-010: the token may have been renewed since the last connection, so it is read again for each one.
        self._token = self._current_token() or self._token
        if self._token is None:
            raise ConfigurationError(f"the cube has no session of user {self.user_id}: call login(), or pass password")
        return self._token

    def _current_token(self) -> str | None:
        """Return the token of the REST client's session, unless that belongs to somebody else."""
        session = None if self._cube is None else self._cube.session  # Read once: another thread may change it.
        if session is None:
            return None
        # A session that was restored with `use_session` may not know its user.
        is_own = session.user_id == self.user_id or (session.user_id is None and self._given)
        return session.token if is_own else None

    @property
    def cube(self) -> ConnectyCube | AsyncConnectyCube | None:
        """The REST client, while it is logged in as this user."""
        return None if self._current_token() is None else self._cube

    def rest(self, what: str) -> ConnectyCube | AsyncConnectyCube:
        """Return the REST client.

        :param what: the method that needs it.
        :raises ConfigurationError: if the chat has no client, or the client is not logged in as this user.
        """
        if self._cube is None:
            raise ConfigurationError(f"{what} needs the REST API: create the chat with a logged-in cube")
        if self.cube is None:
            raise ConfigurationError(f"{what} needs a session of user {self.user_id}: call login() of the cube first")
        return self._cube

    async def renew(self, refused: str) -> bool:
        """Let the REST client renew its session if it has expired.

        :param refused: the token that the chat server refused.
        :returns: whether there is another one.
        :raises ConfigurationError: if the REST client has logged out, or logged in as somebody else.
        :raises ConnectyCubeError: if the REST API can't be reached or fails, so the answer isn't known yet.
        """
        if self._cube is None or self._password is not None:
            return False
        if self.secret() != refused:  # Renewed in the meantime.
            return True
        if not self.renewable:
            return False
        if self._current_token() is None:
            raise ConfigurationError(
                f"the server refused the token of user {self.user_id}, and the cube has logged out or in as another "
                "user: give each user a cube of their own, or pass user_id and password"
            )
        try:
            # A cheap call that needs a session makes the client renew an expired one (section 2.1 of the facts). Calls
            # about the session itself would not.
            if isinstance(self._cube, AsyncConnectyCube):
                await self._cube.dialogs.list(limit=1)
            else:
                await asyncio.to_thread(self._cube.dialogs.list, limit=1)
        except (BadRequest, Unauthorized, Forbidden, NotFound, Unprocessable, ConfigurationError) as error:
            if isinstance(error, ApiError) and isinstance(error.body, str):
                raise  # A page of a gateway or a captive portal: the platform answers in JSON.
            # The caller gets the chat server's refusal; the log says why a renewal could not help.
            logger.warning("the session of the REST client could not be renewed: %s", error)
        return self.secret() != refused


def settings(
    cube: ConnectyCube | AsyncConnectyCube | None,
    *,
    app_id: int | None,
    host: str | None,
    muc_host: str | None,
    address: str | None,
    transport: Transport,
    srv: bool | None,
    proxy: str | None,
    tls: Tls,
    allow_insecure: bool,
    ssl_context: ssl.SSLContext | None,
    mark_delivered: MarkDelivered,
    port: int | None,
    **others: Any,
) -> Settings:
    """Check the arguments of a chat.

    :raises InvalidArgument: if an argument is invalid.
    :raises ConfigurationError: if an argument is missing, or the connection would be insecure.
    """
    show_log()
    host = _domain(_host(cube) if host is None else host)
    if tls not in ("direct", "starttls", "none"):
        raise InvalidArgument("tls", f"must be 'direct', 'starttls' or 'none', not {tls!r}")
    if transport not in ("tcp", "websocket"):
        raise InvalidArgument("transport", f"must be 'tcp' or 'websocket', not {transport!r}")
    if mark_delivered not in ("markable", "always", "never"):
        raise InvalidArgument("mark_delivered", f"must be 'markable', 'always' or 'never', not {mark_delivered!r}")
    for name in ("timeout", "send_timeout", "keepalive", "stable_after"):
        value = others[name]
        optional = name in ("send_timeout", "keepalive")
        least = 0 if name == "stable_after" else 1e-9
        if not (optional and value is None):
            checked_seconds(name, value, least)
    size: object = others["max_stanza_size"]
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise InvalidArgument("max_stanza_size", f"must be a positive number of bytes, not {size!r}")
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise InvalidArgument("ssl_context", f"must be an ssl.SSLContext, not {type(ssl_context).__name__}")
    if not isinstance(others["backoff"], Backoff):
        raise InvalidArgument("backoff", f"must be a Backoff, not {type(others['backoff']).__name__}")
    try:
        # Building an address checks and normalizes its parts (RFC 7622); any user id will do.
        user = UserJID(user_id=1, app_id=_app_id(cube, app_id), host=host, resource=others["resource"])
        # An IPv6 address has no subdomains.
        rooms = host if host.startswith("[") else f"muc.{host}"
        room_user = UserJID(user_id=1, app_id=1, host=rooms if muc_host is None else muc_host)
    except JIDError as error:
        raise InvalidArgument("host, muc_host or resource", f"can't be used: {error.problem}") from error
    dial, url = _server(user.host, address, port, transport, tls)
    if url is not None:
        tls = "none" if url.startswith("ws:") else "direct"
    if tls == "none":
        if ssl_context is not None:
            raise InvalidArgument("ssl_context", "can't be used without TLS")
        if not allow_insecure and not (_is_loopback(dial[0]) and proxy is None):
            how = "ws://" if url else "tls='none'"
            raise ConfigurationError(
                f"{how} would expose messages and passwords to everyone on the way to "
                f"{dial[0]}: use TLS, or pass allow_insecure=True as well"
            )
    named = address is not None or port is not None or bool(os.environ.get("CONNECTYCUBE_CHAT_PORT"))
    resolvable = url is None and not _is_address(dial[0]) and not _is_loopback(dial[0])
    if srv and not resolvable:
        raise InvalidArgument("srv", "needs a domain, and transport='tcp'")
    return Settings(
        addresses=Addresses(app_id=user.app_id, host=user.host, muc_host=room_user.host),
        dial=dial,
        srv=(not named and resolvable and proxy is None) if srv is None else bool(srv),
        url=url,
        proxy=None if proxy is None else _checked_proxy(proxy),
        tls=tls,
        allow_insecure=allow_insecure,
        context=None if tls == "none" else ssl_context or shared_context(),
        mark_delivered=mark_delivered,
        **others,
    )


def _domain(host: object) -> str:
    """Return the host as it is written in addresses: IPv6 in brackets (RFC 7622 section 3.2)."""
    if not isinstance(host, str):
        raise InvalidArgument("host", f"must be a string, not {host!r}")
    return f"[{host}]" if ":" in host and not host.startswith("[") and _is_address(host) else host


def split_address(text: str) -> tuple[str, int | None]:
    """Return the parts of `host`, `host:port`, `[IPv6]:port` or an IPv6 address; the host in ASCII.

    :raises ValueError: if it is something else.
    """
    if _is_address(text):
        return ascii_host(text), None
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc != text or "@" in text or text.endswith(":"):
        raise ValueError("it is not host:port")
    return ascii_host(parts.hostname), parts.port


def ascii_host(host: str) -> str:
    """Return a host as DNS and certificates have it, without the brackets of IPv6.

    :raises ValueError: if it can't be a host.
    """
    host = host.strip("[]")
    return host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()


def _server(
    domain: str, address: str | None, port: int | None, transport: Transport, tls: Tls
) -> tuple[tuple[str, int], str | None]:
    """Return the host and port to dial, and the URL of a WebSocket."""
    host, given, url = domain, None, ""
    if address is not None and not isinstance(address, str):
        raise InvalidArgument("address", f"must be a string like host:port, not {address!r}")
    try:
        if address is not None:
            if transport == "websocket" and "://" in address:
                url = address
                parts = urlsplit(address)
                if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.username is not None:
                    raise ValueError("the URL must be like wss://host:port/path")
                host, given = parts.hostname, parts.port or (443 if parts.scheme == "wss" else 80)
            else:
                host, given = split_address(address)
        host = ascii_host(host)
    except ValueError as error:
        name = "host" if address is None else "address"
        raise InvalidArgument(name, f"can't be used: {domain if address is None else address!r}: {error}") from error
    if given is not None and port is not None and port != given:
        raise InvalidArgument("port", f"contradicts the address {address!r}: give one of them")
    found: object = given if given is not None else port
    if found is None:
        found = _port(PORT if transport == "tcp" else WEBSOCKET_PORT)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 < found < 65536:
        raise InvalidArgument("port", f"must be a number from 1 to 65535, not {found!r}")
    if transport == "tcp":
        return (host, found), None
    if tls == "starttls":
        raise InvalidArgument("tls", "can't be 'starttls' with transport='websocket': use 'direct'")
    if not url:
        url = f"{'ws' if tls == 'none' else 'wss'}://{f'[{host}]' if ':' in host else host}:{found}/"
    return (host, found), url


def _checked_proxy(url: object) -> str:
    """Check the URL of a proxy. It may contain a password, so it is not repeated."""
    problem = f"must be a URL like socks5://user:password@host:port ({', '.join(PROXIES)})"
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is not None and parts.scheme in PROXIES and parts.hostname and parts.port:
            return parts.geturl()
    except ValueError:
        raise InvalidArgument("proxy", problem) from None
    raise InvalidArgument("proxy", problem)


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


def _port(default: int) -> int | str:
    text = os.environ.get("CONNECTYCUBE_CHAT_PORT") or str(default)
    return int(text) if text.isdecimal() else text


def _host(cube: ConnectyCube | AsyncConnectyCube | None) -> str:
    """Return the host from the environment, or the one that belongs to the REST host.

    The chat's host has `chat.` where the REST host has `api.` (section 3.1 of the facts).
    """
    if named := os.environ.get("CONNECTYCUBE_CHAT_HOST"):
        return named
    if cube is None:
        return HOST
    name = urlsplit(cube.base_url).hostname or ""
    if name.startswith("api."):
        return f"chat.{name.removeprefix('api.')}"
    raise ConfigurationError(
        f"the chat host can't be derived from {name or 'the base_url'}: pass host, or set CONNECTYCUBE_CHAT_HOST"
    )


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
