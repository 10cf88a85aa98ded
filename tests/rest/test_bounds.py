"""What a hostile server sends is read only up to a bound."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Callable
from enum import Enum
from typing import Any

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, errors
from connectycube.rest._call import parse_response
from tests.rest.both import Both
from tests.rest.server import Answer, Server

MEGABYTE = 1024 * 1024
LIST = "/chat/Dialog"


def test_endless_body(both: Both, server: Server) -> None:
    server.on("GET", LIST, Answer(200, bytes(MEGABYTE), repeat=10_000))
    with pytest.raises(errors.ResponseTooLarge, match=r"dialogs\.list has more than 8388608 bytes") as caught:
        both.cube(server.url).dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert len(server.requests) == 1


def test_decompression_bomb(both: Both, server: Server) -> None:
    bomb = gzip.compress(bytes(64 * MEGABYTE), 1)
    server.on("GET", LIST, Answer(200, bomb, {"Content-Encoding": "gzip"}))
    with pytest.raises(errors.ResponseTooLarge):
        both.cube(server.url).dialogs.list()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"items":[' + b"{}," * 200_000 + b"{}]}", id="objects"),
        pytest.param(b'{"items":[' + b"[" * 200_000 + b"]" * 200_000 + b"]}", id="depth"),
        pytest.param(b'{"items":[{"x":[' + b"1," * 1_000_000 + b"1]}]}", id="numbers"),
    ],
)
def test_too_many_values(both: Both, server: Server, body: bytes) -> None:
    server.on("GET", LIST, Answer(200, body))
    with pytest.raises(errors.ResponseTooLarge, match="too many values"):
        both.cube(server.url).dialogs.list()


ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body),
    "x-gzip": lambda body: gzip.compress(body),
    "two members": lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]),
    "deflate": lambda body: zlib.compress(body),
    "deflate without a header": lambda body: zlib.compress(body)[2:-4],
    "identity": bytes,
}


@pytest.mark.parametrize("kind", ENCODED)
def test_encoded_body(both: Both, server: Server, kind: str) -> None:
    encoding = {"two members": "gzip", "deflate without a header": "deflate"}.get(kind, kind)
    body = json.dumps({"items": [{"_id": "66f1a7c2e4b0d93a51c8e201", "name": "x" * 200_000}]}).encode()
    server.on("GET", LIST, Answer(200, ENCODED[kind](body), {"Content-Encoding": encoding}))
    (dialog,) = both.cube(server.url).dialogs.list().items
    assert dialog.name == "x" * 200_000


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(b'{"items":[]}')[:-8], "gzip"), (b"\x1b\x03", "br"), (b"{}", "gzip")],
    ids=["truncated gzip", "truncated br", "not gzip"],
)
def test_damaged_encoding(both: Both, server: Server, body: bytes, encoding: str) -> None:
    server.on("GET", LIST, Answer(200, body, {"Content-Encoding": encoding}))
    with pytest.raises(errors.DecodeError, match="content encoding"):
        both.cube(server.url).dialogs.list()


CHARSETS = ["undefined", "utf-16", "idna", "punycode", "hex", "rot13", "nonsense", "utf-8", "utf-7"]


@pytest.mark.parametrize("charset", CHARSETS)
def test_refusal_in_an_odd_charset(both: Both, server: Server, charset: str) -> None:
    page = Answer(502, b"<html>bad gateway \xff</html>", {"Content-Type": f"text/html; charset={charset}"})
    server.on("GET", LIST, page)
    with pytest.raises(errors.ServerFailure) as caught:
        both.cube(server.url, max_retries=0).dialogs.list()
    assert caught.value.status == 502
    assert isinstance(caught.value.body, str)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(502, b"<html>", {"Content-Encoding": "gzip"}), id="damaged"),
        pytest.param(Answer(502, b"<html>", {"Content-Encoding": "br"}), id="unknown encoding"),
        pytest.param(Answer(502, b"<b>" * MEGABYTE), id="large"),
    ],
)
def test_unreadable_refusal_keeps_its_status(both: Both, server: Server, answer: Any) -> None:
    server.on("GET", LIST, answer)
    with pytest.raises(errors.ServerFailure) as caught:
        both.cube(server.url, max_retries=0).dialogs.list()
    assert caught.value.status == 502
    assert len(caught.value.body) <= 64 * 1024


def transport(both: Both, found: list[httpx.URL]) -> Any:
    """An HTTP client whose server deletes all but the first message of each request, or finds every record."""

    def answer(request: httpx.Request) -> httpx.Response:
        found.append(request.url)
        ids = request.url.path.rpartition("/")[2].split(",")
        if request.method == "GET":
            return httpx.Response(200, json={"items": [{"_id": one} for one in ids]})
        return httpx.Response(200, json={"SuccessfullyDeleted": {"ids": ids[1:]}, "NotFound": {"ids": ids[:1]}})

    return both.http(transport=httpx.MockTransport(answer))


def test_async_client_parses_large_bodies_off_the_loop(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[threading.Thread] = []

    def noted(operation: Any, response: httpx.Response) -> Any:
        seen.append(threading.current_thread())
        return parse_response(operation, response)

    monkeypatch.setattr("connectycube.rest._async.parse_response", noted)
    pages = [{"items": [{"_id": str(number)} for number in range(count)]} for count in (10, 20_000)]
    server.on("GET", LIST, *(Answer(200, page) for page in pages))

    async def run() -> list[int]:
        async with AsyncConnectyCube(1, "key", base_url=server.url, token="token") as cube:
            return [len(await cube.dialogs.list()) for _ in pages]

    assert asyncio.run(run()) == [10, 20_000]
    assert [thread is threading.main_thread() for thread in seen] == [True, False]


IDS = [f"66f1a7c2e4b0d93a51c{number:05x}" for number in range(3000)]


def test_ids_that_are_too_many_for_one_address_are_sent_in_parts(both: Both) -> None:
    sent: list[httpx.URL] = []
    cube = both.cube("http://127.0.0.1", http_client=transport(both, sent))
    result = cube.messages.delete(IDS, force=True)
    assert len(sent) == 11
    assert all(len(str(url)) <= 8000 and url.query == b"force=1" for url in sent)
    deleted, missing = result.successfully_deleted, result.not_found
    assert deleted is not None
    assert missing is not None
    assert len(missing.ids) == len(sent)
    assert sorted(deleted.ids + missing.ids) == IDS
    assert result.wrong_permissions is None
    assert [one.id for one in cube.custom_objects.get_many("Car", IDS)] == IDS
    assert len(sent) == 22


TOO_LONG: dict[str, Any] = {
    "filters['id']['in']": lambda cube: cube.users.list(filters={"id": {"in": range(80_000_000, 80_001_000)}}),
    "filters['name']['ctn']": lambda cube: cube.dialogs.list(filters={"name": {"ctn": "x" * 70_000}}),
    "chat_dialog_ids": lambda cube: cube.messages.unread_count(chat_dialog_ids=IDS),
    "the path": lambda cube: cube.custom_objects.get_many("x" * 9000, ["1"]),
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_argument_that_is_too_long_for_an_address_is_named(both: Both, server: Server, name: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="too long: the address would exceed 8000 bytes") as caught:
        TOO_LONG[name](both.cube(server.url))
    assert caught.value.argument == name
    assert server.requests == []


def test_members_of_text_enums_are_sent_as_their_values(both: Both, server: Server) -> None:
    class Mood(str, Enum):  # noqa: UP042 - its `str` is its name
        HAPPY = "happy"

    server.on("GET", LIST, Answer(200, {"items": []}))
    server.on("POST", "/data/Car", Answer(200, {"_id": "1"}))
    cube = both.cube(server.url)
    cube.dialogs.list(filters={"name": {"ctn": Mood.HAPPY}})
    cube.custom_objects.create("Car", fields={"mood": Mood.HAPPY, Mood.HAPPY: 1})
    assert server.requests[0].query == [("name[ctn]", "happy")]
    assert server.requests[1].json() == {"mood": "happy", "happy": 1}
