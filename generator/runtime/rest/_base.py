"""The part of a client that needs no network: its settings, and calls turned into HTTP requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from . import _wire, errors
from ._call import Call
from ._names import SCHEMES, STANDARD_HEADERS, USER_AGENT

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def base_address(url: str) -> str:
    """Check a base URL and return it without a slash at its end."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = None, False
    if parts is None or not usable:
        raise errors.ConfigurationError("base_url must be an http or https address")
    if parts.username is not None or parts.query or parts.fragment:
        raise errors.ConfigurationError("base_url must have no user name, query or fragment")
    return url.rstrip("/")


def retry_limit(max_retries: int) -> int:
    """Check a number of retries."""
    if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
        raise errors.ConfigurationError(f"max_retries must be an integer of 0 or more, not {max_retries!r}")
    return max_retries


def header_value(value: str, what: str) -> str:
    """Check the value of a header. The libraries below would quote a wrong one in their errors, secret or not."""
    if not isinstance(value, str) or _HEADER_VALUE.fullmatch(value) is None:
        raise errors.ConfigurationError(
            f"{what} must be printable ASCII text, without a line break or space at its ends"
        )
    return value


class QuietUrl(httpx.URL):
    """A URL that shows no query: a storage's URL is signed, and httpx logs the URL of every request."""

    def __str__(self) -> str:
        return str(self.copy_with(query=None))

    def __repr__(self) -> str:
        return repr(self.copy_with(query=None))


class BaseClient:
    """What the sync and the async client share: everything but the network."""

    base_url: str
    path_suffix: str
    timeout: float | httpx.Timeout | None
    max_retries: int
    _headers: dict[str, str]
    _secrets: Mapping[str, str | None]
    _owns_http = True

    def _configure(
        self,
        base_url: str,
        path_suffix: str,
        timeout: float | httpx.Timeout | None,
        max_retries: int,
        secrets: Mapping[str, str | None],
    ) -> None:
        self.base_url = base_address(base_url)
        self.path_suffix = path_suffix
        self.timeout = timeout
        self.max_retries = retry_limit(max_retries)
        self._headers = {}
        self._secrets = secrets

    def _secret(self, scheme: str) -> str | None:
        """Return the value of a security scheme, `None` if the client has none."""
        return self._secrets.get(scheme)

    def _fill(self, what: str) -> object:
        """Return a field of a body that the client knows."""
        raise errors.ConfigurationError(f"the client has no {what}")

    def _content(self, content: Any) -> Any:
        """Turn a body that isn't JSON into what the HTTP client accepts."""
        return content

    def _authorize(self, call: Call[Any], headers: dict[str, str]) -> None:
        """Add the header of the call's security scheme."""
        for scheme in call.operation.security:
            secret = self._secret(scheme)
            if secret is not None:
                name, prefix = SCHEMES[scheme]
                headers[name] = prefix + header_value(secret, f"the client's {name}")
                return
        if call.operation.security:
            raise self._unauthorized(call)

    def _unauthorized(self, call: Call[Any]) -> errors.ConfigurationError:
        wanted = " or ".join(call.operation.security)
        return errors.ConfigurationError(f"{call.operation.name} needs {wanted}: give it to the client")

    def _arguments(self, call: Call[Any]) -> dict[str, Any]:
        """Return a call as the arguments of `httpx.Client.build_request`."""
        operation = call.operation
        if operation.foreign:
            headers = {"User-Agent": USER_AGENT, **call.headers}
        else:
            headers = {**STANDARD_HEADERS, **self._headers, **call.headers}
            self._authorize(call, headers)
        url = f"{operation.server or self.base_url}{call.path}"
        if not operation.server:
            url += self.path_suffix
        if call.query:
            url += f"?{_wire.query_string(call.query)}"
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
        elif call.form is not None:
            arguments["data"], files = call.form
            if files:
                arguments["files"] = files
        return arguments

    def _request(self, call: Call[Any], http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Build the request of a call."""
        try:
            arguments = self._arguments(call)
        except errors.ConfigurationError as error:
            error.operation = call.operation.name
            raise
        if not call.operation.foreign:
            return http.build_request(**arguments)
        # Not built by the HTTP client: its default headers and cookies are not meant for another host.
        timeout = httpx.Timeout(arguments.pop("timeout")).as_dict()
        request = httpx.Request(**arguments, extensions={"timeout": timeout})
        request.url = QuietUrl(request.url)
        return request

    def _with_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Merge headers into the client's additional ones; names match in any case."""
        known = {name.lower(): name for name in (*STANDARD_HEADERS, *self._headers, "Content-Type")}
        known |= {name.lower(): name for name, _ in SCHEMES.values()}
        merged = dict(self._headers)
        for name, value in headers.items():
            if not isinstance(name, str) or _HEADER_NAME.fullmatch(name) is None:
                raise errors.ConfigurationError(f"{name!r} can't be the name of a header")
            merged[known.get(name.lower(), name)] = header_value(value, f"the header {name}")
        return merged

    # -- what a client with sessions overrides

    def _mark(self) -> Any:
        """Return what a renewal must know about the session that a call is sent with."""
        return None

    def _lost(self, call: Call[Any], response: httpx.Response) -> bool:
        """Return whether a call was refused for want of a session that is worth renewing."""
        return False
