"""Bodies beyond what the documents show: retries, file names, styles of a form, raw responses, types of overloads."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest

from .server import Server, running
from .support import document, generated, python

Call = Callable[[Any], Any]

FILE = {"type": "string", "format": "binary"}
ANSWER = {"200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "integer"}}}}}


def operation(operation_id: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": operation_id, "requestBody": {"required": True, "content": content}, "responses": ANSWER}


def fields(media: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {media: {"schema": {"type": "object", "properties": properties}, **more}}


FORM = {
    "m": {"type": "object", "additionalProperties": {"type": "string"}},
    "l": {"type": "array", "items": {"type": "string"}},
    "s": {"type": "array", "items": {"type": "string"}},
    "p": {"type": "array", "items": {"type": "integer"}},
    "e": {"type": "array", "items": {"type": "string"}},
    "j": {"type": "array", "items": {"type": "string"}},
    "o": {"type": "object", "additionalProperties": {"type": "integer"}},
}
ENCODING = {
    "m": {"style": "deepObject", "explode": True},
    "l": {"explode": False},
    "s": {"style": "spaceDelimited", "explode": False},
    "p": {"style": "pipeDelimited", "explode": False},
    "e": {"style": "form"},
    "j": {"contentType": "application/json"},
    "o": {"explode": True},
}

PATHS = {
    "/bytes": {"put": operation("put_bytes", {"application/octet-stream": {"schema": FILE}})},
    "/image": {"put": operation("put_image", {"image/*": {"schema": FILE}})},
    "/parts": {"put": operation("put_parts", fields("multipart/form-data", {"file": FILE}))},
    "/form": {"put": operation("put_form", fields("application/x-www-form-urlencoded", FORM, encoding=ENCODING))},
    "/either": {
        "put": operation(
            "put_either",
            fields("application/json", {"id": {"type": "integer"}}) | fields("multipart/form-data", {"file": FILE}),
        )
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("bodies")
    generated(found, document(paths=PATHS), "bodies_client")
    return found / "out"


@pytest.fixture
def package(folder: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(folder))
    yield import_module("bodies_client")
    sys.path.remove(str(folder))


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        found.says(b"1")
        yield found


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, package: ModuleType, server: Server) -> Callable[[Call], Any]:
    """Make a call, with one retry, with the sync or the async client."""

    def run(make: Call) -> Any:
        if request.param == "sync":
            with package.Client(server.url, max_retries=1) as client:
                return make(client)

        async def wait() -> Any:
            async with package.AsyncClient(server.url, max_retries=1) as client:
                return await make(client)

        return asyncio.run(wait())

    return run


@pytest.mark.parametrize(
    "body", [lambda: b"body", lambda: io.BytesIO(b"body"), lambda: [b"bo", b"dy"]], ids=["bytes", "file", "list"]
)
def test_a_body_is_sent_whole_again(call: Callable[[Call], Any], server: Server, body: Callable[[], Any]) -> None:
    server.says(b"", status=503)
    with pytest.raises(Exception, match="503"):
        call(lambda client: client.default.put_bytes(body=body()))
    assert [request.body for request in server.requests] == [b"body", b"body"]


def test_a_file_is_sent_from_where_it_stands(call: Callable[[Call], Any], server: Server, tmp_path: Path) -> None:
    server.says(b"", status=503)
    path = tmp_path / "file"
    path.write_bytes(b"skipped body")
    with path.open("rb") as file:
        file.seek(len(b"skipped "))
        with pytest.raises(Exception, match="503"):
            call(lambda client: client.default.put_bytes(body=file))
    assert [request.body for request in server.requests] == [b"body", b"body"]


def test_a_multipart_file_is_sent_whole_again(call: Callable[[Call], Any], server: Server) -> None:
    server.says(b"", status=503)
    with pytest.raises(Exception, match="503"):
        call(lambda client: client.default.put_parts(file=io.BytesIO(b"the content")))
    assert [b"the content" in request.body for request in server.requests] == [True, True]


def pipe() -> io.BufferedReader:
    """Open a file that can't be rewound."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(b"body")
    return os.fdopen(reading, "rb")


@pytest.mark.parametrize(("method", "argument"), [("put_bytes", "body"), ("put_parts", "file")])
def test_a_stream_is_sent_once(call: Callable[[Call], Any], server: Server, method: str, argument: str) -> None:
    server.says(b"", status=503)
    with pipe() as stream, pytest.raises(Exception, match="503"):
        call(lambda client: getattr(client.default, method)(**{argument: stream}))
    assert len(server.requests) == 1
    assert b"body" in server.last.body


def put_image(file: Any, client: Any) -> Any:
    return client.default.put_image(body=file)


def test_the_name_of_a_file_tells_its_type(call: Callable[[Call], Any], server: Server, tmp_path: Path) -> None:
    for name in ("a.png", "b.txt"):
        (tmp_path / name).write_bytes(b"x")
        with (tmp_path / name).open("rb") as file:
            assert call(partial(put_image, file)) == 1
    assert [request.headers["content-type"] for request in server.requests] == ["image/png", "application/octet-stream"]
    with (tmp_path / "a.png").open("rb") as file:
        call(lambda client: client.default.put_parts(file=file))
    assert b'filename="a.png"\r\nContent-Type: image/png' in server.last.body


def test_styles_of_a_form(call: Callable[[Call], Any], server: Server) -> None:
    call(
        lambda client: client.default.put_form(
            m={"k": "v", "x": "a b"}, l=["a", "b"], s=["c", "d"], p=[1, 2], e=["g", "h"], j=["i"], o={"q": 5}
        )
    )
    assert server.last.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(server.last.body.decode()) == [
        ("m[k]", "v"),
        ("m[x]", "a b"),
        ("l", "a,b"),
        ("s", "c d"),
        ("p", "1|2"),
        ("e", "g"),
        ("e", "h"),
        ("j", '["i"]'),
        ("q", "5"),
    ]


def test_raw_response_of_an_overload(call: Callable[[Call], Any], server: Server) -> None:
    response = call(lambda client: client.default.with_raw_response.put_either(file=b"x"))
    assert (response.status, response.parse()) == (200, 1)
    assert server.last.headers["content-type"].startswith("multipart/form-data")
    call(lambda client: client.default.with_raw_response.put_either(id=5))
    assert server.last.body == b'{"id":5}'


TYPED = """
from bodies_client import AsyncClient, Client, RawResponse

def send(client: Client) -> int:
    raw: RawResponse[int] = client.default.with_raw_response.put_either(id=1)
    return raw.parse() + client.default.put_either(file=("a", b"b", "c/d"), content_type="multipart/form-data")

async def asend(client: AsyncClient) -> int:
    raw: RawResponse[int] = await client.default.with_raw_response.put_either(file=b"")
    return raw.parse() + await client.default.put_either(id=1)
"""

MIXED = """
from bodies_client import Client

def mixed(client: Client) -> None:
    client.default.put_either(id=1, file=b"")
    client.default.put_either(id=1, content_type="multipart/form-data")
    client.default.with_raw_response.put_either(id="x")
"""


def test_types_of_overloads(folder: Path) -> None:
    (folder / "typed.py").write_text(TYPED)
    (folder / "mixed.py").write_text(MIXED)
    outcome = python("from mypy.main import main; main(args=['--strict', 'typed.py', 'mixed.py'])", folder)
    found = [line for line in outcome.out.splitlines() if "error:" in line]
    assert [line.partition(": error: ")[0] for line in found] == ["mixed.py:5", "mixed.py:6", "mixed.py:7"], outcome.out
    assert all("No overload variant" in line for line in found)


def test_hook_sees_each_retry(package: ModuleType, server: Server) -> None:
    server.says(b"", status=503)
    seen: list[tuple[Any, float]] = []
    client = package.Client(server.url, max_retries=1, on_retry=lambda *given: seen.append(given))
    with client, pytest.raises(package.Unavailable):
        client.default.put_bytes(body=b"body")
    ((error, seconds),) = seen
    assert (type(error), error.operation) == (package.Unavailable, "default.put_bytes")
    assert 0 <= seconds <= 0.5
