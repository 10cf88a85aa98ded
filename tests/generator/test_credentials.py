"""Credentials and cookies: where they go, and where they must not show."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from .support import Node, document, dump, generated, operation, run

KEY = "the-secret-key"

NAMES = ("in_query", "in_cookie", "in_header", "basic")
"""Those of the schemes, and of the operations that need them."""

Handler = Callable[[httpx.Request], httpx.Response]


def api() -> Node:
    """A document with a key in the query, one in a cookie, one in a header, and a user name with a password."""
    parameters = [{"name": "sid", "in": "cookie", "schema": {"type": "string"}}]
    paths = {f"/{name}": {"get": operation(name, security=[{name: []}], parameters=parameters)} for name in NAMES}
    schemes: Node = {name: {"type": "apiKey", "in": name.removeprefix("in_"), "name": f"X-{name}"} for name in NAMES}
    schemes["basic"] = {"type": "http", "scheme": "basic"}
    return document(paths=paths, servers=[{"url": "https://api.example"}], components={"securitySchemes": schemes})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("credentials")
    generated(folder, api(), "with_credentials")
    sys.path.insert(0, str(folder / "out"))
    yield import_module("with_credentials")
    sys.path.remove(str(folder / "out"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "with_credentials"]:
        del sys.modules[name]


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, package: ModuleType) -> Callable[..., list[httpx.Request]]:
    """Make a call with either client, and return the requests that it sent."""

    def make(name: str, handler: Handler, http: Node | None = None, sid: str | None = None) -> list[httpx.Request]:
        sent: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return handler(request)

        secret: Any = ("user", KEY) if name == "basic" else KEY
        options = {"transport": httpx.MockTransport(handle), **(http or {})}

        async def wait() -> None:
            async with httpx.AsyncClient(**options) as given:
                client = package.AsyncClient(http_client=given, max_retries=0, **{name: secret})
                await getattr(client.default, name)(sid=sid)

        if request.param == "async":
            asyncio.run(wait())
        else:
            with httpx.Client(**options) as given:
                client = package.Client(http_client=given, max_retries=0, **{name: secret})
                getattr(client.default, name)(sid=sid)
        return sent

    return make


Call = Callable[..., list[httpx.Request]]


def done(_: httpx.Request) -> httpx.Response:
    return httpx.Response(204)


def refused(_: httpx.Request) -> httpx.Response:
    return httpx.Response(403, json={"message": "No"})


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route", request=request)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("handler", [refused, unreachable])
def test_secrets_show_nowhere(
    call: Call, package: ModuleType, caplog: pytest.LogCaptureFixture, name: str, handler: Handler
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(package.ClientError) as raised:
        call(name, handler)
    error = raised.value
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    # The frames of this file hold the key themselves.
    found.stack[:] = [frame for frame in found.stack if frame.filename != __file__]
    texts = [caplog.text, repr(error), str(error), repr(vars(error)), "".join(found.format())]
    assert caplog.records or handler is unreachable
    for secret in (KEY, "dXNlcjp0aGUtc2VjcmV0LWtleQ=="):
        assert not [text for text in texts if secret in text]


def test_secrets_are_sent(call: Call, package: ModuleType) -> None:
    assert [request.url.raw_path for request in call("in_query", done)] == [b"/in_query?X-in_query=the-secret-key"]
    assert [request.headers["Cookie"] for request in call("in_cookie", done)] == ["X-in_cookie=the-secret-key"]
    assert KEY not in repr(package.Client(in_query=KEY, basic=("user", KEY)))


def test_cookies_stand_beside_those_of_the_http_client(call: Call) -> None:
    (request,) = call("in_cookie", done, {"cookies": {"a": "1", "sid": "old"}}, sid="new")
    assert request.headers.get_list("Cookie") == ["a=1; sid=new; X-in_cookie=the-secret-key"]
    (request,) = call("in_header", done, {"cookies": {"a": "1"}})
    assert request.headers.get_list("Cookie") == ["a=1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_redirect_to_another_host_takes_no_credentials_along(call: Call, name: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "api.example":
            return httpx.Response(302, headers={"Location": "https://other.example/a"})
        if request.url.path == "/a":
            return httpx.Response(302, headers={"Location": "/b"})
        return httpx.Response(204)

    _, other, last = call(name, handler, {"follow_redirects": True}, sid="mine")
    for request in (other, last):
        assert request.url.host == "other.example"
        assert KEY not in f"{request.url} {request.headers.raw}"
        assert not {"cookie", "authorization"} & set(request.headers)


def test_cookies_go_along_to_the_same_host(call: Call) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        again = request.url.path == "/again"
        return httpx.Response(204) if again else httpx.Response(302, headers={"Location": "/again"})

    requests = call("in_cookie", handler, {"follow_redirects": True}, sid="mine")
    assert [request.headers["Cookie"] for request in requests] == ["sid=mine; X-in_cookie=the-secret-key"] * 2


def test_a_parameter_without_a_type_takes_any_value(tmp_path: Path) -> None:
    parts = [{"type": "object", "properties": {"a": {"type": kind}}} for kind in ("string", "integer")]
    odd = {"name": "odd", "in": "query", "schema": {"$ref": "#/components/schemas/Odd"}}
    paths = {"/a": {"get": operation("a", parameters=[odd])}}
    api = document(paths=paths, components={"schemas": {"Odd": {"allOf": parts}}})
    outcome = run("--spec", dump(tmp_path, api), "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert "api.yaml:" in outcome.err
    assert "the schemas of 'a' contradict one another: string and integer. Any value is accepted." in outcome.err
    calls = (tmp_path / "out/client/_calls/default.py").read_text(encoding="utf-8")
    assert "odd: inputs.OddInput | Mapping[str, Any] | None = None" in calls
