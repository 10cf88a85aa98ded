"""Redirects, which a client follows where the caller's own HTTP client does, and the headers that go with them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from .support import document, generated

DOCUMENT = document(
    paths={
        "/a": {
            "get": {
                "operationId": "a",
                "parameters": [{"name": "X-Tenant", "in": "header", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "ok", "content": {"text/csv": {}, "application/json": {}}}},
                "security": [{"key": []}],
            },
            "post": {
                "operationId": "add",
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "ok", "content": {"text/csv": {}}}},
            },
        },
    },
    components={"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
)

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    place: Path = generated(tmp_path_factory.mktemp("redirects"), DOCUMENT, "redirected").parent
    sys.path.insert(0, str(place))
    yield import_module("redirected")
    sys.path.remove(str(place))
    for name in [name for name in sys.modules if name.partition(".")[0] == "redirected"]:
        del sys.modules[name]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, package: ModuleType) -> Run:
    """Makes a call whose requests are answered by a function."""

    def call(
        answer: Callable[[httpx.Request], httpx.Response],
        make: Callable[[Any], Any],
        *,
        follow: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Any:
        transport = httpx.MockTransport(answer)
        if request.param == "sync":
            with httpx.Client(transport=transport, follow_redirects=follow) as http:
                client = package.Client("https://api.example", key="the-key", http_client=http)
                return make(client.with_options(headers=headers).default)

        async def wait() -> Any:
            async with httpx.AsyncClient(transport=transport, follow_redirects=follow) as http:
                client = package.AsyncClient("https://api.example", key="the-key", http_client=http)
                return await make(client.with_options(headers=headers).default)

        return asyncio.run(wait())

    return call


class Answers:
    """Redirects the first request and answers the second."""

    def __init__(self, location: str, status: int = 302) -> None:
        self.location = location
        self.status = status
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if len(self.requests) == 1:
            return httpx.Response(self.status, headers={"Location": self.location})
        return httpx.Response(200, text="found", headers={"Content-Type": "text/csv"})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_on_the_same_server_all_headers_go_along(run: Run, status: int) -> None:
    answers = Answers("/b", status)
    assert run(answers, lambda default: default.a(x_tenant="t")) == "found"
    first, second = answers.requests
    assert (second.method, str(second.url)) == ("GET", "https://api.example/b")
    assert first.headers == second.headers
    assert second.headers["X-Key"] == "the-key"
    assert second.headers["X-Tenant"] == "t"


@pytest.mark.parametrize("place", ["https://other.example/b", "https://api.example:8443/b"])
def test_to_another_server_no_secret_goes_along(run: Run, place: str) -> None:
    answers = Answers(place)
    assert run(answers, lambda default: default.a(x_tenant="t"), headers={"X-More": "m"}) == "found"
    second = answers.requests[1]
    assert str(second.url) == place
    assert second.headers["Accept"] == "application/json, text/csv"
    assert not {"x-key", "x-tenant", "x-more", "authorization", "cookie"} & second.headers.keys()


@pytest.mark.parametrize("place", ["http://api.example/b", "http://other.example/b"])
def test_no_redirect_leaves_https(run: Run, package: ModuleType, place: str) -> None:
    answers = Answers(place)
    with pytest.raises(package.ApiError) as caught:
        run(answers, lambda default: default.a())
    assert (caught.value.status, len(answers.requests)) == (302, 1)


def test_a_client_that_does_not_follow(run: Run, package: ModuleType) -> None:
    answers = Answers("/b")
    with pytest.raises(package.ApiError) as caught:
        run(answers, lambda default: default.a(), follow=False)
    assert caught.value.headers["location"] == "/b"
    assert len(answers.requests) == 1


@pytest.mark.parametrize(("status", "method", "body"), [(303, "GET", b""), (307, "POST", b'{"a":1}')])
def test_a_body_goes_along_only_as_the_status_says(run: Run, status: int, method: str, body: bytes) -> None:
    answers = Answers("/b", status)
    assert run(answers, lambda default: default.add(body={"a": 1})) == "found"
    assert (answers.requests[1].method, answers.requests[1].content) == (method, body)


def test_endless_redirects_end(run: Run, package: ModuleType) -> None:
    requests: list[httpx.Request] = []

    def again(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(302, headers={"Location": "/a"})

    with pytest.raises(package.ApiError, match="302"):
        run(again, lambda default: default.a())
    assert len(requests) == 21


def test_the_caller_may_ask_for_one_of_the_documented_types(run: Run) -> None:
    answers = Answers("/b")
    run(answers, lambda default: default.a(), headers={"accept": "text/csv"})
    assert [request.headers["Accept"] for request in answers.requests] == ["text/csv", "text/csv"]
