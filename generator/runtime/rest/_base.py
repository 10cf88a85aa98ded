"""The part of a client that needs no network: its settings, and calls turned into HTTP requests."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload
from urllib.parse import urljoin, urlsplit

import httpx

from . import _wire, errors
from ._call import Call
from ._masking import Secret, SecretBytes, hide
from ._names import BASE_URL, KEYS, SCHEMES, STANDARD_HEADERS, USER_AGENT

if TYPE_CHECKING:
    from typing import Self

R = TypeVar("R")

logger = logging.getLogger(__package__)

LONGEST_TIMEOUT: Final = 2_000_000.0
"""Seconds; a socket takes little more."""

_OURS: Final = frozenset(
    name.lower()
    for name in (
        *STANDARD_HEADERS,
        *(name for name, _ in SCHEMES.values()),
        *("Content-Type", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Host", "Cookie", "Range"),
    )
)
"""Headers that only this client sets."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def base_address(url: str, *, insecure: bool = True, source: str = "base_url") -> str:
    """Check a base URL and return it without a slash at its end.

    :param insecure: whether http is allowed to hosts other than this machine.
    :param source: where the URL comes from, for the error.
    """
    if url == "":
        raise errors.ConfigurationError(f"{source} is missing: give the address of the API's server")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.port != 0 and usable_host(httpx.URL(url))
    except (ValueError, TypeError, AttributeError, httpx.InvalidURL):
        parts, usable = None, False
    if parts is None or not usable:
        raise errors.ConfigurationError(f"{source} must be an http or https address")
    if parts.username is not None or parts.query or parts.fragment:
        raise errors.ConfigurationError(f"{source} must have no user name, query or fragment")
    if parts.scheme == "http" and not insecure and not loopback(parts.hostname or ""):
        raise errors.ConfigurationError(
            f"{source} sends secrets in the clear: use https, or pass allow_insecure=True for {parts.hostname}"
        )
    return url.rstrip("/")


def usable_host(url: httpx.URL) -> bool:
    """Return whether the host of a URL can be looked up: the network functions raise a bare `UnicodeError` if not."""
    try:
        return bool(url.host) and bool(url.raw_host.decode("ascii").encode("idna"))
    except UnicodeError:
        return False


def loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def timeout_of(timeout: float | httpx.Timeout | None) -> float | httpx.Timeout | None:
    """Check a timeout."""
    values = timeout.as_dict().values() if isinstance(timeout, httpx.Timeout) else [timeout]
    for value in values:
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST_TIMEOUT:
            unit = "a number of seconds, None or an httpx.Timeout"
            raise errors.ConfigurationError(f"timeout must be {unit}, 0 to {LONGEST_TIMEOUT:.0f}, not {value!r}")
    return timeout


def kept_headers(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """Return the default headers of a caller's HTTP client that can't collide with this client's."""
    return [(name, value) for name, value in headers.raw if name.decode("ascii", "replace").lower() not in _OURS]


def retry_limit(max_retries: int) -> int:
    """Check a number of retries."""
    if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
        raise errors.ConfigurationError(f"max_retries must be an integer of 0 or more, not {max_retries!r}")
    return max_retries


def deadline_of(seconds: float | None) -> float | None:
    """Check a deadline."""
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf")
    ):
        raise errors.ConfigurationError(f"deadline must be a number of seconds above 0, or None, not {seconds!r}")
    return seconds


def header_value(value: str, what: str) -> str:
    """Check the value of a header. The libraries below would quote a wrong one in their errors, secret or not."""
    if not isinstance(value, str) or _HEADER_VALUE.fullmatch(value) is None:
        raise errors.ConfigurationError(
            f"{what} must be printable ASCII text, without a line break or space at its ends"
        )
    return value


def cookie_value(value: str, name: str) -> str:
    """Check a secret that is sent in a cookie."""
    what = f"the client's {name}"
    header_value(value, what)
    if not {";", ",", " ", '"', "\\"}.isdisjoint(value):
        raise errors.ConfigurationError(f"{what} can't be sent in a cookie: it holds a separator")
    return value


def add_cookies(request: httpx.Request) -> None:
    """Add a call's own cookies to those of the HTTP client. Of two with the same name, the call's own is sent."""
    own: bytes = request.extensions["cookies"]
    names = {part.partition(b"=")[0] for part in own.split(b"; ")}
    others = [
        part
        for name, value in request.headers.raw
        if name.lower() == b"cookie"
        for part in value.split(b"; ")
        if part.partition(b"=")[0] not in names
    ]
    kept = [(name, value) for name, value in request.headers.raw if name.lower() != b"cookie"]
    request.headers = httpx.Headers([*kept, (b"Cookie", SecretBytes(b"; ".join([*others, own])))])


def _too_long(call: Call[Any]) -> errors.InvalidArgument:
    """Return the error of a call whose address is too long, which names the argument that makes it so."""
    sizes = {"the path": len(call.path)}
    for key, value in call.query:
        sizes[key] = sizes.get(key, 0) + len(_wire.query_string([(key, value)]))
    error = errors.InvalidArgument(max(sizes, key=lambda name: sizes[name]), _wire.TOO_LONG)
    error.operation = call.operation.name
    return error


def _is_given(call: Call[Any], scheme: str) -> bool:
    """Return whether an argument of a call holds what a security scheme asks for."""
    if scheme in SCHEMES:
        return bool(call.headers) and SCHEMES[scheme][0].lower() in {name.lower() for name in call.headers}
    place, key = KEYS[scheme]
    found = [name for name, _ in call.query] if place == "query" else [text.partition("=")[0] for text in call.cookies]
    return key in found


class QuietUrl(httpx.URL):
    """A URL that shows no query: a storage's URL is signed, and httpx logs the URL of every request."""

    def __str__(self) -> str:
        return str(self.copy_with(query=None))

    def __repr__(self) -> str:
        return repr(self.copy_with(query=None))


class lazy(Generic[R]):
    """An attribute that is made when it is first used.

    `functools.cached_property` would do, if it did not hold a lock before Python 3.12: a process that is forked
    meanwhile would wait for it forever.
    """

    def __init__(self, make: Callable[[Any], R]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type) -> R: ...

    def __get__(self, owner: object | None, kind: type) -> Self | R:
        if owner is None:
            return self
        made = owner.__dict__[self._make.__name__] = self._make(owner)
        return made


class Owner:
    """A client that may be closed, together with those that `with_options` made of it.

    :ivar first: whether it made the connections.
    """

    __slots__ = ("__weakref__", "closed", "first")

    def __init__(self, *, first: bool = True) -> None:
        self.closed = False
        self.first = first


class BaseClient:
    """What the sync and the async client share: everything but the network."""

    base_url: str = ""
    _home = BASE_URL.rstrip("/")
    """The base URL with which operations go to servers of their own."""
    _servers: Mapping[str, str] = {}
    """The servers whose addresses have variables, by the addresses that they have by default."""
    path_suffix: str
    timeout: float | httpx.Timeout | None
    max_retries: int
    deadline: float | None
    _headers: dict[str, str]
    _secrets: Mapping[str, str | None]
    _owner: Owner
    _owns_http = True
    _allow_insecure = True
    _on_retry: Callable[[Any, float], object] | None = None

    def _configure(
        self,
        base_url: str,
        path_suffix: str,
        timeout: float | httpx.Timeout | None,
        max_retries: int,
        deadline: float | None,
        secrets: Mapping[str, str | None],
    ) -> None:
        self.base_url = base_address(base_url, insecure=self._allow_insecure)
        if not isinstance(path_suffix, str):
            raise errors.ConfigurationError(f"path_suffix must be text, not {type(path_suffix).__name__}")
        self.path_suffix = path_suffix
        self.timeout = timeout_of(timeout)
        self.max_retries = retry_limit(max_retries)
        self.deadline = deadline_of(deadline)
        self._headers = {}
        self._secrets = {scheme: hide(secret) for scheme, secret in secrets.items()}

    def _secret(self, scheme: str, mark: Any) -> str | None:
        """Return the value of a security scheme, `None` if the client has none."""
        return self._secrets.get(scheme)

    def _fill(self, what: str) -> object:
        """Return a field of a body that the client knows."""
        raise errors.ConfigurationError(f"the client has no {what}")

    def _content(self, content: Any) -> Any:
        """Turn a body that isn't JSON into what the HTTP client accepts."""
        return content

    def _authorize(self, call: Call[Any], headers: dict[str, Any], mark: Any) -> tuple[_wire.Pairs, Sequence[str]]:
        """Add the secrets of the first of the call's alternatives for which the client has all of them.

        :param headers: takes those that are sent in headers.
        :returns: the call's query and cookies, with the other secrets.
        """
        for wanted in call.operation.security:
            query, cookies = call.query, call.cookies
            own: dict[str, bytes] = {}
            for scheme in (wanted,) if isinstance(wanted, str) else wanted:
                if (call.headers or KEYS) and _is_given(call, scheme):
                    continue  # What the caller passes as an argument is not sent twice.
                secret = self._secret(scheme, mark)
                if secret is None:
                    break
                if scheme in SCHEMES:
                    name, prefix = SCHEMES[scheme]
                    own[name] = SecretBytes((prefix + header_value(secret, f"the client's {name}")).encode("ascii"))
                elif KEYS[scheme][0] == "query":
                    name = KEYS[scheme][1]
                    query = [*query, (name, Secret(header_value(secret, f"the client's {name}")))]
                else:
                    name = KEYS[scheme][1]
                    cookies = [*cookies, Secret(f"{name}={cookie_value(secret, name)}")]
            else:
                headers.update(own)
                return query, cookies
        raise self._unauthorized(call)

    def _unauthorized(self, call: Call[Any]) -> errors.ConfigurationError:
        alternatives = [entry if isinstance(entry, str) else " and ".join(entry) for entry in call.operation.security]
        wanted = " or ".join(alternatives)
        return errors.ConfigurationError(f"{call.operation.name} needs {wanted}: give it to the client")

    def _arguments(self, call: Call[Any], mark: Any) -> dict[str, Any]:
        """Return a call as the arguments of `httpx.Client.build_request`."""
        operation = call.operation
        headers: dict[str, Any]
        query, cookies = call.query, call.cookies
        if operation.foreign:
            headers = {"User-Agent": USER_AGENT, **call.headers}
        else:
            headers = {**STANDARD_HEADERS, **self._headers}
            if call.headers:
                own = {name.lower() for name in call.headers}
                headers = {name: value for name, value in headers.items() if name.lower() not in own} | call.headers
                if "Accept" in self._headers:
                    # Of the documented media types, the caller wants this one.
                    headers["Accept"] = self._headers["Accept"]
            if operation.security:
                query, cookies = self._authorize(call, headers, mark)
        # A server of the caller's own, such as a sandbox, stands for all of the API's.
        url = f"{self.base_url}{call.path}{self.path_suffix}"
        if operation.server.startswith("/"):
            url = f"{urljoin(self.base_url, operation.server).rstrip('/')}{call.path}{self.path_suffix}"
        elif operation.server and (operation.foreign or self._home in ("", self.base_url)):
            url = self._servers.get(operation.server, operation.server) + call.path
        if query:
            url += f"?{_wire.query_string(query)}"
            if query is not call.query:
                url = Secret(url)
        if "Cookie" in headers:
            cookies = [headers["Cookie"], *cookies]
        if cookies:
            headers["Cookie"] = SecretBytes("; ".join(cookies).encode("ascii"))
        if len(url) > _wire.LONGEST_ADDRESS and not operation.foreign:
            raise _too_long(call)
        arguments: dict[str, Any] = {
            "method": operation.method,
            "url": url,
            "headers": headers,
            "timeout": self.timeout,
        }
        if call.json is not None or operation.fill:
            body = call.json
            if operation.fill:
                body = {**{key: self._fill(what) for key, what in operation.fill.items()}, **(body or {})}
            arguments["content"] = _wire.json_bytes("the body", body)
            if "Content-Type" not in call.headers:
                headers["Content-Type"] = "application/json"
        elif call.content is not None:
            arguments["content"] = self._content(call.content)
            length = getattr(call.content, "length", None)
            if length is not None:
                headers["Content-Length"] = str(length)
        elif call.form:
            arguments["files"] = call.form
        elif "Content-Type" in call.headers:
            del headers["Content-Type"]
        return arguments

    def _request(self, call: Call[Any], http: httpx.Client | httpx.AsyncClient, mark: Any) -> httpx.Request:
        """Build the request of a call.

        :param mark: the session to send it with.
        """
        try:
            arguments = self._arguments(call, mark)
        except errors.ConfigurationError as error:
            error.operation = call.operation.name
            raise
        if not call.operation.foreign:
            cookies = arguments["headers"].pop("Cookie", None)
            built = http.build_request(**arguments)
            if cookies is not None:
                built.extensions["cookies"] = cookies
                add_cookies(built)
            if isinstance(arguments["url"], Secret):
                built.url = QuietUrl(built.url)
            return built
        address = httpx.URL(arguments["url"])
        if not usable_host(address):
            raise httpx.InvalidURL("Invalid host")
        self._check_secure(call, address)
        # Not built by the HTTP client: its default headers and cookies are not meant for another host.
        timeout = httpx.Timeout(arguments.pop("timeout")).as_dict()
        request = httpx.Request(**arguments, extensions={"timeout": timeout})
        request.url = QuietUrl(request.url)
        return request

    def _redirect(self, call: Call[Any], response: httpx.Response) -> httpx.Request | None:
        """Return the request that a redirect asks for, without secrets if it goes to another host."""
        request = response.next_request
        if request is None or call.operation.foreign or not isinstance(request.stream, httpx.ByteStream):
            return None
        old, new = response.request.url, request.url
        if (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port):
            if request.method not in ("GET", "HEAD") or (old.scheme == "https" and new.scheme != "https"):
                return None
            for name in (*self._headers, *call.headers, *(name for name, _ in SCHEMES.values())):
                if name != "Accept":
                    request.headers.pop(name, None)
            request.extensions.pop("cookies", None)
        elif "cookies" in request.extensions:
            add_cookies(request)
        if isinstance(old, QuietUrl):
            request.url = QuietUrl(new)
        return request

    def _bad_redirect(self, call: Call[Any]) -> errors.DecodeError:
        error = errors.DecodeError(f"the response to {call.operation.name} has a redirect to an invalid host")
        error.operation = call.operation.name
        return error

    def _check_secure(self, call: Call[Any], url: httpx.URL) -> None:
        """Refuse to leave https for http because a server says so."""
        if url.scheme == "https" or self._allow_insecure:
            return
        if not (self.base_url.startswith("http:") and loopback(url.host)):
            error = errors.ConfigurationError(
                f"{call.operation.name} was sent on to http://{url.host}: pass allow_insecure=True to permit it"
            )
            error.operation = call.operation.name
            raise error

    def _with_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Merge headers into the client's additional ones; names match in any case."""
        known = {name.lower(): name for name in (*STANDARD_HEADERS, *self._headers, "Content-Type", "Cookie")}
        known |= {name.lower(): name for name, _ in SCHEMES.values()}
        merged = dict(self._headers)
        for name, value in headers.items():
            if not isinstance(name, str) or _HEADER_NAME.fullmatch(name) is None:
                raise errors.ConfigurationError(f"{name!r} can't be the name of a header")
            merged[known.get(name.lower(), name)] = header_value(value, f"the header {name}")
        return merged

    # -- what a client with sessions overrides

    def _mark(self) -> Any:
        """Return the session that a call is sent with, which stays the same when it is retried."""
        return None

    def _lost(self, call: Call[Any], response: httpx.Response, mark: Any) -> bool:
        """Return whether a call was refused for want of a session that is worth renewing."""
        return False
