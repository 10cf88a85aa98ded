"""`cube.request`: calls that the spec lacks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from connectycube.rest import InvalidArgument, errors
from connectycube.rest.models import Dialog
from tests.rest.both import AUTH_KEY, TOKEN, Both, raw
from tests.rest.server import Answer, Server

GONE = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
MOMENT = dt.datetime(2026, 2, 3, 10, 15, tzinfo=dt.UTC)


def test_sends_what_it_is_given_with_the_session(both: Both, server: Server) -> None:
    server.on("PUT", "/chat/Polls/a%20b", Answer(200, {"poll": {"id": 7}}))
    cube = both.cube(server.url)
    answer = cube.request(
        "put",
        "/chat/Polls/a b",
        query={"limit": 5, "open": True, "none": None, "type": {"in": [1, 2]}},
        json={"dialog": Dialog(id="d"), "ends_at": MOMENT},
    )
    assert answer == {"poll": {"id": 7}}
    (request,) = server.requests
    assert request.query == [("limit", "5"), ("open", "true"), ("type[in]", "1"), ("type[in]", "2")]
    assert request.json() == {"dialog": {"_id": "d"}, "ends_at": "2026-02-03T10:15:00Z"}
    assert request.header("CB-Token") == TOKEN


def test_empty_response_is_none(both: Both, server: Server) -> None:
    server.on("DELETE", "/chat/Polls/7", Answer(200, b" "))
    assert both.cube(server.url).request("DELETE", f"{server.url}/chat/Polls/7") is None


def test_response_that_is_not_json(both: Both, server: Server) -> None:
    server.on("GET", "/status", Answer(200, b"<p>fine</p>"))
    cube = both.cube(server.url)
    with pytest.raises(errors.DecodeError, match="the response to request is not JSON"):
        cube.request("GET", "/status")
    answer = both.run(raw(cube).with_raw_response.request("GET", "/status"))
    assert (answer.status, answer.body) == (200, b"<p>fine</p>")


def test_refusal(both: Both, server: Server) -> None:
    server.on("POST", "/chat/Polls", Answer(422, {"errors": {"title": ["is too long"]}}))
    cube = both.cube(server.url)
    with pytest.raises(errors.Unprocessable) as caught:
        cube.request("POST", "/chat/Polls", json={"title": "secret-plan"})
    assert caught.value.errors == {"title": ["is too long"]}
    assert "secret-plan" not in str(caught.value)
    answer = both.run(raw(cube).with_raw_response.request("POST", "/chat/Polls", json={}))
    assert answer.status == 422
    with pytest.raises(errors.Unprocessable):
        answer.parse()


def test_idempotent_request_is_repeated(both: Both, server: Server, waits: list[float]) -> None:
    server.on("GET", "/chat/Polls", Answer(503), Answer(200, []))
    server.on("POST", "/chat/Polls", Answer(503), Answer(200, {}))
    cube = both.cube(server.url)
    assert cube.request("GET", "/chat/Polls") == []
    with pytest.raises(errors.Unavailable):
        cube.request("POST", "/chat/Polls")
    assert len(waits) == 1


def test_lost_session_is_renewed(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Polls", GONE, Answer(200, [1]))
    cube = both.cube(server.url, on_session_expired=both.hook(lambda _: "newer"))
    assert cube.request("GET", "/chat/Polls") == [1]
    assert [one.header("CB-Token") for one in server.requests] == [TOKEN, "newer"]


def test_without_a_session_a_key_is_sent(both: Both, server: Server) -> None:
    server.on("GET", "/admin/new", Answer(200, {}))
    both.cube(server.url, token=None, admin_key="the-admin-key").request("GET", "/admin/new")
    both.cube(server.url, token=None).request("GET", "/admin/new")
    admin, application = server.requests
    assert admin.header("CB-Administration-API-Key") == "the-admin-key"
    assert application.header("CB-AuthKey") == AUTH_KEY
    with pytest.raises(errors.ConfigurationError, match="request needs a session"):
        both.cube(server.url, token=None, auth_key=None).request("GET", "/admin/new")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"method": "FETCH"}, "method"),
    ({"method": "GET /x HTTP/1.1\r\n"}, "method"),
    ({"path": "https://evil.example/users"}, "path"),
    ({"path": "http://127.0.0.1:1/users"}, "path"),
    ({"path": "//evil.example/users"}, "path"),
    ({"path": "users"}, "path"),
    ({"path": ".evil.example/users"}, "path"),
    ({"path": "@evil.example/users"}, "path"),
    ({"path": "/\\evil.example"}, "path"),
    ({"path": "/users?token=a"}, "path"),
    ({"path": "/users#a"}, "path"),
    ({"path": "/users/../admin"}, "path"),
    ({"path": "/users/%2E%2e/admin"}, "path"),
    ({"path": "/users\r\nHost: evil.example"}, "path"),
    ({"path": "/" + "a" * 8000}, "path"),
    ({"path": ""}, "path"),
    ({"query": [("limit", 5)]}, "query"),
    ({"query": {"limit": object()}}, "query['limit']"),
    ({"json": {"limit": object()}}, "json['limit']"),
]


@pytest.mark.parametrize(("arguments", "argument"), WRONG, ids=[ascii(wrong)[:40] for wrong, _ in WRONG])
def test_invalid_arguments_send_nothing(both: Both, server: Server, arguments: dict[str, Any], argument: str) -> None:
    cube = both.cube(server.url)
    with pytest.raises(InvalidArgument) as caught:
        cube.request(**{"method": "GET", "path": "/users", **arguments})
    assert caught.value.argument == argument
    assert server.requests == []
