"""Keeps web pages of strangers, opened in a browser on this machine, from using the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

CORS = {
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Expose-Headers": "CB-Token-ExpirationDate",
    "Vary": "Origin",
}


class Guard:
    """Middleware that checks `Host` and `Origin`, and tells browsers which pages may read the answers.

    :param host: the address that the sandbox listens on.
    :param origins: origins that may use it, besides its own.
    """

    def __init__(self, app: ASGIApp, host: str, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = {"localhost", host.lower(), *(urlsplit(origin).hostname for origin in origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origins = headers.get("host", ""), headers.getlist("origin")
        if not self._is_own(host):
            await _refusal(f"{host!r} is not a name of this sandbox")(scope, receive, send)
        elif not origins:
            await self._app(scope, receive, send)
        elif any(origin != f"http://{host}" and origin not in self._origins for origin in origins):
            await _refusal(f"Pages of {origins[0]!r} may not use this sandbox: see --allow-origin")(
                scope, receive, send
            )
        else:

            async def allow(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update({"Access-Control-Allow-Origin": origins[0], **CORS})
                await send(message)

            await self._app(scope, receive, allow)

    def _is_own(self, host: str) -> bool:
        """Tell whether a browser can only mean this sandbox: another name may be a stranger's (DNS rebinding)."""
        try:
            name = urlsplit(f"//{host}").hostname
            # Nobody can make an address lead elsewhere, and only browsers matter, which always name a host.
            return name is None or name in self._hosts or bool(ip_address(name))
        except ValueError:
            return False


def _refusal(text: str) -> JSONResponse:
    return JSONResponse({"errors": {"base": [text]}}, 403)
