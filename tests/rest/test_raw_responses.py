"""`with_raw_response`: answers as they came."""

from __future__ import annotations

import json

import pytest

from connectycube.rest import errors, models
from tests.rest.both import TOKEN, Both
from tests.rest.server import Answer, Server

DIALOG = {"_id": "66f1a7c2e4b0d93a51c8e110", "name": "Ropes", "type": 3}
ITEMS = [{"_id": f"66f1a7c2e4b0d93a51c8e1{number:02}"} for number in range(5)]


def test_success(both: Both, server: Server) -> None:
    server.on("POST", "/chat/Dialog", Answer(201, DIALOG, {"X-Request-Id": "r-17"}))
    raw = both.cube(server.url).dialogs.with_raw_response.create(type=3, occupants_ids=[81002])
    assert raw.status == 201
    assert raw.headers["x-request-id"] == "r-17"
    assert json.loads(raw.body) == DIALOG
    dialog = raw.parse()
    assert isinstance(dialog, models.Dialog)
    assert (dialog.id, dialog.name) == (DIALOG["_id"], "Ropes")
    (request,) = server.requests
    assert request.json() == {"type": 3, "occupants_ids": [81002]}
    assert request.header("CB-Token") == TOKEN


def test_success_without_a_body(both: Both, server: Server) -> None:
    server.on("DELETE", "/chat/Dialog/a", Answer(200, b"fine"))
    raw = both.cube(server.url).dialogs.with_raw_response.delete("a")
    assert (raw.status, raw.body) == (200, b"fine")
    raw.parse()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, errors.NotFound), (401, errors.Unauthorized), (302, errors.ApiError)]
)
def test_error_response_raises_only_when_parsed(
    both: Both, server: Server, status: int, kind: type[errors.ApiError]
) -> None:
    server.on("GET", "/users/81001", Answer(status, {"errors": {"base": ["no"]}}))
    raw = both.cube(server.url).users.with_raw_response.get(81001)
    assert raw.status == status
    assert json.loads(raw.body) == {"errors": {"base": ["no"]}}
    for _ in range(2):
        with pytest.raises(kind, match=rf"users\.get was refused with {status}: no"):
            raw.parse()


def test_unreadable_response_raises_only_when_parsed(both: Both, server: Server) -> None:
    server.on("GET", "/users/81001", Answer(200, b"<html>"))
    raw = both.cube(server.url).users.with_raw_response.get(81001)
    assert raw.body == b"<html>"
    with pytest.raises(errors.DecodeError, match=r"users\.get"):
        raw.parse()


def test_parsed_page_can_be_iterated(both: Both, server: Server) -> None:
    first = {"items": ITEMS[:3], "total_entries": 5, "limit": 3, "skip": 0}
    second = {"items": ITEMS[2:], "total_entries": 5, "limit": 3, "skip": 2}
    server.on("GET", "/chat/Dialog", Answer(200, first), Answer(200, second))
    cube = both.cube(server.url)
    raw = cube.dialogs.with_raw_response.list(limit=3)
    assert json.loads(raw.body) == first
    assert [dialog.id for dialog in both.walk(raw.parse())] == [item["_id"] for item in ITEMS]
    assert len(server.requests) == 2


def test_client_retries_apply(both: Both, server: Server, waits: list[float]) -> None:
    server.on("GET", "/users/81001", Answer(503), Answer(503), Answer(503), Answer(200))
    assert both.cube(server.url).users.with_raw_response.get(81001).status == 503
    assert len(server.requests) == 3


def test_invalid_argument_raises_at_once(both: Both, server: Server) -> None:
    with pytest.raises(errors.InvalidArgument):
        both.cube(server.url).dialogs.with_raw_response.list(limit=-1)
    assert server.requests == []


def test_broken_connection_raises_at_once(both: Both, server: Server) -> None:
    server.on("GET", "/users/81001", Answer(close=True))
    with pytest.raises(errors.ConnectionFailed):
        both.cube(server.url, max_retries=0).users.with_raw_response.get(81001)


def test_settings_of_a_copy_apply(both: Both, server: Server) -> None:
    server.on("GET", "/users/81001", Answer(200, {"user": {"id": 81001}}))
    cube = both.cube(server.url).with_options(headers={"X-Trace": "17"})
    assert cube.users.with_raw_response.get(81001).parse().id == 81001
    assert server.requests[0].header("X-Trace") == "17"
