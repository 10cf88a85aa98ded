"""A model of a server's list that changes while it is walked, and clients that walk it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from connectycube.rest import AsyncConnectyCube, ConnectyCube

MOST_REQUESTS = 3000
"""More requests than this mean an endless loop."""

Change = tuple[str, int]
"""insert, delete, touch (move to the head) or sink (move to the end), and the place or entry by its index."""

Echo = Literal["none", "honest", "asked"]


@dataclass
class ListServer:
    """Serves `entries` in pages and changes them between two requests.

    `script[n]` is done before the request after the n-th. `echo` tells what the answer says of the limit: nothing, the
    size that it used, or the size that was asked for.
    """

    entries: list[str]
    cap: int = 100
    total: bool = True
    echo: Echo = "none"
    script: Sequence[Sequence[Change]] = ()
    ignores_place: bool = False
    render: Callable[[str], Any] = lambda entry: {"_id": entry}
    requests: list[httpx.QueryParams] = field(default_factory=list)
    steady: set[str] = field(default_factory=set)
    """What was there, behind the skipped entries, at each request."""
    moved: set[str] = field(default_factory=set)
    born: int = 0
    longest: int = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        number = len(self.requests)
        assert number < MOST_REQUESTS, "the walk goes in a circle"
        if 0 < number <= len(self.script):
            for change, place in self.script[number - 1]:
                self.change(change, place)
        self.requests.append(params)
        first = int(self.requests[0].get("skip", 0))
        here = set(self.entries[first:])
        self.steady = here if number == 0 else self.steady & here
        self.longest = max(self.longest, len(self.entries))
        return httpx.Response(200, json=self.page(params))

    def page(self, params: httpx.QueryParams) -> Any:
        asked = int(params["limit"]) if "limit" in params else None
        size = min(asked or self.cap, self.cap)
        skip = 0 if self.ignores_place else int(params.get("skip", 0))
        page: dict[str, Any] = {"items": [self.render(entry) for entry in self.entries[skip : skip + size]]}
        if self.total:
            page["total_entries"] = len(self.entries)
        if self.echo != "none":
            page["limit"] = asked if self.echo == "asked" and asked else size
        return page

    def change(self, change: str, place: int) -> None:
        if change == "insert":
            self.born += 1
            self.entries.insert(place % (len(self.entries) + 1), f"new{self.born}")
        elif self.entries:
            entry = self.entries.pop(place % len(self.entries))
            if change != "delete":
                self.moved.add(entry)
                self.entries.insert(0 if change == "touch" else len(self.entries), entry)


def numbered(count: int) -> list[str]:
    return [f"e{number}" for number in range(count)]


@contextmanager
def client(handler: Callable[[httpx.Request], httpx.Response], **settings: Any) -> Iterator[ConnectyCube]:
    """A client whose requests go to `handler`."""
    with httpx.Client(transport=httpx.MockTransport(handler)) as http:
        yield ConnectyCube("1", "key", http_client=http, token="token", admin_key="admin", **settings)


def walk(server: ListServer, **arguments: Any) -> list[str]:
    """The ids that a walk through the dialogs gives."""
    with client(server.answer) as cube:
        return [str(entry.id) for entry in cube.dialogs.list(**arguments)]


def walk_async(server: ListServer, **arguments: Any) -> list[str]:
    async def run() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as http:
            cube = AsyncConnectyCube("1", "key", http_client=http, token="token")
            return [str(entry.id) async for entry in await cube.dialogs.list(**arguments)]

    return asyncio.run(run())
