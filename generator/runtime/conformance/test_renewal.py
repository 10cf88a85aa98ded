"""A session that ends under several calls at once is renewed only once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from connectycube.rest import AsyncConnectyCube, ConnectyCube

from .rest import APP_ID, AUTH_KEY

CALLS = 4
PATIENCE = 0.2
"""Seconds that a renewal takes, in which a second one would be noticed."""


class Platform:
    """Gives out sessions, of which the first has ended."""

    def __init__(self) -> None:
        self.sessions = 0

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/session":
            self.sessions += 1
            session = {"id": self.sessions, "user_id": 81001, "token": f"token-{self.sessions}"}
            return httpx.Response(201, json={"session": session})
        if request.url.path == "/login":
            return httpx.Response(200, json={"user": {"id": 81001}})
        if request.headers["CB-Token"] == "token-1":
            return httpx.Response(401, json={"errors": {"base": ["Required session does not exist"]}})
        return httpx.Response(200, json={"items": []})


def test_threads_renew_a_session_once() -> None:
    platform, all_lost, renewed_again = Platform(), threading.Barrier(CALLS), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        response = platform.respond(request)
        if response.status_code == 401:
            all_lost.wait(10)
        elif platform.sessions > 2:
            renewed_again.set()
        elif response.status_code == 201 and platform.sessions == 2:
            renewed_again.wait(PATIENCE)
        return response

    with httpx.Client(transport=httpx.MockTransport(answer)) as http, ThreadPoolExecutor(CALLS) as threads:
        cube = ConnectyCube(APP_ID, AUTH_KEY, http_client=http)
        cube.login(login="mary", password="correct-horse-9")
        calls = [threads.submit(cube.dialogs.list) for _ in range(CALLS)]
        assert [call.result().items for call in calls] == [[]] * CALLS
    assert platform.sessions == 2


def test_tasks_renew_a_session_once() -> None:
    async def run() -> int:
        platform, all_lost, renewed_again = Platform(), asyncio.Barrier(CALLS), asyncio.Event()

        async def answer(request: httpx.Request) -> httpx.Response:
            response = platform.respond(request)
            if response.status_code == 401:
                await asyncio.wait_for(all_lost.wait(), 10)
            elif platform.sessions > 2:
                renewed_again.set()
            elif response.status_code == 201 and platform.sessions == 2:
                with suppress(TimeoutError):
                    await asyncio.wait_for(renewed_again.wait(), PATIENCE)
            return response

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            cube = AsyncConnectyCube(APP_ID, AUTH_KEY, http_client=http)
            await cube.login(login="mary", password="correct-horse-9")
            pages = await asyncio.gather(*(cube.dialogs.list() for _ in range(CALLS)))
            assert [page.items for page in pages] == [[]] * CALLS
        return platform.sessions

    assert asyncio.run(run()) == 2
