"""Calls to the developer's own servers: the identity provider and webhooks. The journal shows each of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from .journal import HIDDEN, Journal, Medium

if TYPE_CHECKING:
    import ssl

__all__ = ["CallFailed", "Outside", "Reply"]

MOST_BYTES = 65_536
"""Most bytes that are read of an answer."""


class CallFailed(Exception):
    """A server could not be reached, was too slow, or answered with too much."""


@frozen(kw_only=True)
class Reply:
    """An answer. Redirects are not followed."""

    status: int
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the answer's JSON, `None` if it has none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


class Outside:
    """Calls servers, on the sandbox's loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._posts: set[asyncio.Task[None]] = set()

    async def call(
        self,
        medium: Medium,
        method: str,
        url: str,
        params: Mapping[str, Any],
        *,
        headers: Mapping[str, str],
        timeout: float,
        secret: bool = False,
        user_id: int | None = None,
    ) -> Reply:
        """Call a server.

        :param params: sent in the query with `GET`, otherwise as JSON.
        :param timeout: most seconds that the whole call may take.
        :param secret: whether the journal hides the values of the parameters.
        :raises CallFailed: if there is no answer.
        """
        shown = dict.fromkeys(params, HIDDEN) if secret else dict(params)
        try:
            async with asyncio.timeout(timeout):
                reply = await _call(method, url, params, headers)
        except TimeoutError as error:
            failure = CallFailed(f"no answer within {timeout:g} s")
            self._journal.outgoing(medium, url, shown, user_id=user_id, error=str(failure))
            raise failure from error
        except CallFailed as error:
            self._journal.outgoing(medium, url, shown, user_id=user_id, error=str(error))
            raise
        self._journal.outgoing(medium, url, shown, user_id=user_id, status=reply.status)
        return reply

    def post(
        self, medium: Medium, url: str, body: Mapping[str, Any], *, user_id: int | None = None, timeout: float = 10.0
    ) -> None:
        """Post JSON in the background, once. The journal shows what became of it."""

        async def posted() -> None:
            try:
                await self.call(medium, "POST", url, body, headers={}, timeout=timeout, user_id=user_id)
            except CallFailed:
                # The journal has the reason.
                return

        task = asyncio.get_running_loop().create_task(posted())
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)


@cache
def _certificates() -> ssl.SSLContext:
    """Return the usual certificates, which take longer to load than most calls."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


async def _call(method: str, url: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    # Imported here, because it takes a tenth of a second and most sandboxes call nobody.
    import httpx

    try:
        address = httpx.URL(url)
        if method == "GET":
            address = address.copy_merge_params(params)
        async with (
            httpx.AsyncClient(timeout=None, trust_env=False, verify=_certificates()) as client,
            client.stream(method, address, headers=headers, json=None if method == "GET" else params) as response,
        ):
            data = b""
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise CallFailed(f"the answer is longer than {MOST_BYTES} bytes")
            return Reply(status=response.status_code, content=data)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The error's own text may quote a header, which may hold a secret.
        raise CallFailed(f"the server can't be reached ({type(error).__name__})") from error
