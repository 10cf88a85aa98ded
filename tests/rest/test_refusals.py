"""What refusals and unreadable answers become."""

from __future__ import annotations

import copy
import gzip
import pickle
from typing import Any

import pytest

from connectycube.rest import errors
from tests.rest.both import Both
from tests.rest.server import Answer, Server

DIALOG = "66f1a7c2e4b0d93a51c8e110"

CLASSES = {
    300: errors.ApiError,
    302: errors.ApiError,
    304: errors.ApiError,
    400: errors.BadRequest,
    401: errors.Unauthorized,
    402: errors.ApiError,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.ApiError,
    408: errors.ApiError,
    409: errors.ApiError,
    418: errors.ApiError,
    422: errors.Unprocessable,
    429: errors.RateLimited,
    500: errors.ServerFailure,
    501: errors.ServerFailure,
    502: errors.ServerFailure,
    503: errors.Unavailable,
    504: errors.ServerFailure,
    599: errors.ServerFailure,
}


@pytest.mark.parametrize("status", CLASSES)
def test_each_status_has_its_class(both: Both, server: Server, status: int) -> None:
    body = {} if status == 304 else {"errors": {"base": ["no climbing today"]}}
    server.on("PUT", f"/chat/Dialog/{DIALOG}", Answer(status, b"" if status == 304 else body))
    with pytest.raises(errors.ApiError) as caught:
        both.cube(server.url, max_retries=0).dialogs.update(DIALOG, name="Ropes")
    error = caught.value
    assert type(error) is CLASSES[status]
    assert error.status == status
    assert error.operation == "dialogs.update"
    assert error.request is not None
    assert (error.request.method, error.request.url) == ("PUT", f"{server.url}/chat/Dialog/{DIALOG}")
    if status != 304:
        assert error.body == body
        assert error.errors == {"base": ["no climbing today"]}
        assert str(error) == f"dialogs.update was refused with {status}: no climbing today"


def test_expired_session_has_its_own_class(both: Both, server: Server) -> None:
    body = {"errors": {"base": ["Required session does not exist"]}}
    server.on("GET", "/chat/Dialog", Answer(401, body))
    with pytest.raises(errors.SessionExpired) as caught:
        both.cube(server.url).dialogs.list()
    assert isinstance(caught.value, errors.Unauthorized)


BODIES: dict[str, tuple[Any, dict[str, list[str]], Any]] = {
    "base": ({"errors": {"base": ["first", "second"]}}, {"base": ["first", "second"]}, None),
    "by field": (
        {"errors": {"login": ["is taken", "is short"], "email": "is wrong"}},
        {"login": ["is taken", "is short"], "email": ["is wrong"]},
        None,
    ),
    "a list": ({"errors": ["first", "second"]}, {"base": ["first", "second"]}, None),
    "a list of other things": ({"errors": [7, {"code": 3}]}, {"base": ["7", "{'code': 3}"]}, None),
    "text": ({"errors": "no"}, {"base": ["no"]}, None),
    "error": ({"error": "no"}, {"base": ["no"]}, None),
    "message": ({"message": "no"}, {"base": ["no"]}, None),
    "message beside null": ({"errors": None, "message": "no"}, {"base": ["no"]}, None),
    "a bare list": (["first", "second"], {"base": ["first", "second"]}, None),
    "bare text": (b'"no"', {"base": ["no"]}, "no"),
    "nothing known": ({"code": 17}, {}, None),
    "null": (b"null", {}, None),
    "empty": (b"", {}, ""),
    "empty errors": ({"errors": {}}, {}, None),
    "HTML": (b"<html><body>502 Bad Gateway</body></html>", {}, "<html><body>502 Bad Gateway</body></html>"),
    "cut JSON": (b'{"errors": {"base": ["n', {}, '{"errors": {"base": ["n'),
    "no UTF-8": (b"\xff\xfe\xfa", {}, None),
}


@pytest.mark.parametrize("shape", BODIES)
def test_error_messages_are_found_in_any_shape(both: Both, server: Server, shape: str) -> None:
    sent, texts, body = BODIES[shape]
    server.on("GET", "/chat/Dialog", Answer(422, sent))
    with pytest.raises(errors.Unprocessable) as caught:
        both.cube(server.url).dialogs.list()
    assert caught.value.errors == texts
    if body is not None:
        assert caught.value.body == body
    elif not isinstance(sent, bytes):
        assert caught.value.body == sent
    expected = "; ".join(
        text if field == "base" else f"{field} {text}" for field, group in texts.items() for text in group
    )
    assert str(caught.value) == f"dialogs.list was refused with 422: {expected or 'no reason given'}"


def test_url_in_an_error_has_no_query(both: Both, server: Server) -> None:
    server.on("GET", "/users/by_email", Answer(404, {"errors": ["none"]}))
    with pytest.raises(errors.NotFound) as caught:
        both.cube(server.url).users.get_by_email(email="mary@mail.example")
    assert caught.value.request is not None
    assert caught.value.request.url == f"{server.url}/users/by_email"


def test_error_response_headers(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(403, b"", {"X-Request-Id": "r-17"}))
    with pytest.raises(errors.Forbidden) as caught:
        both.cube(server.url).dialogs.list()
    assert caught.value.headers["x-request-id"] == "r-17"


# -- successes that can't be read

UNREADABLE: dict[str, tuple[bytes, dict[str, str], str]] = {
    "HTML": (b"<html>Welcome to the hotel</html>", {"Content-Type": "text/html"}, "is not JSON"),
    "nothing": (b"", {}, "is empty"),
    "blanks": (b"  \n", {}, "is not JSON"),
    "cut JSON": (b'{"items": [{"_id": "66f1', {}, "is truncated"),
    "JSON and more": (b'{"items": []} trailing', {}, "is not JSON"),
    "no UTF-8": (b'{"items": ["\xff"]}', {}, "is not JSON"),
    "a deep nest": (b"[" * 100_000, {}, "is not JSON"),
    "text": (b'"items"', {}, "is text where the spec has"),
    "a number": (b"7", {}, "is a number where the spec has"),
    "a list of numbers": (b'{"items": [1, 2]}', {}, "is a number where the spec has an object"),
    "bad gzip": (b"\x1f\x8b nonsense", {"Content-Encoding": "gzip"}, "content encoding"),
    "cut gzip": (gzip.compress(b'{"items": []}' * 50)[:20], {"Content-Encoding": "gzip"}, ""),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_success(both: Both, server: Server, waits: list[float], kind: str) -> None:
    body, headers, words = UNREADABLE[kind]
    server.on("GET", "/chat/Dialog", Answer(200, body, headers))
    with pytest.raises(errors.DecodeError) as caught:
        both.cube(server.url).dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert "dialogs.list" in str(caught.value)
    assert words in str(caught.value)
    assert len(server.requests) == 1
    assert waits == []


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"text"', b"true"])
def test_success_that_is_not_an_object(both: Both, server: Server, body: bytes) -> None:
    server.on("POST", "/chat/Dialog", Answer(201, body, {"Content-Type": "application/json"}))
    with pytest.raises(errors.DecodeError, match=r"dialogs\.create") as caught:
        both.cube(server.url).dialogs.create(type=3, occupants_ids=[81002])
    assert (caught.value.status, caught.value.content_type) == (201, "application/json")


@pytest.mark.parametrize("body", [b"", b"OK", b"<html>", b"{}"])
def test_any_body_is_accepted_where_none_is_expected(both: Both, server: Server, body: bytes) -> None:
    server.on("DELETE", f"/chat/Dialog/{DIALOG}", Answer(200, body))
    cube = both.cube(server.url)
    cube.dialogs.delete(DIALOG)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_every_2xx_status_is_a_success(both: Both, server: Server, status: int) -> None:
    server.on("POST", "/chat/Dialog", Answer(status, {"_id": DIALOG}))
    assert both.cube(server.url).dialogs.create(type=3, occupants_ids=[81002]).id == DIALOG


def test_gzip_is_decoded(both: Both, server: Server) -> None:
    body = gzip.compress(b'{"items": [{"_id": "%s"}], "limit": 100}' % DIALOG.encode())
    server.on("GET", "/chat/Dialog", Answer(200, body, {"Content-Encoding": "gzip"}))
    assert both.cube(server.url).dialogs.list().items[0].id == DIALOG


def test_api_redirect_is_not_followed(both: Both, server: Server, storage: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(302, b"", {"Location": storage.url + "/chat/Dialog"}))
    with pytest.raises(errors.ApiError):
        both.cube(server.url).dialogs.list()
    assert storage.requests == []


# -- errors as values


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_can_be_copied_and_pickled(both: Both, server: Server, again: Any) -> None:
    server.on("GET", "/chat/Dialog", Answer(422, {"errors": {"name": ["is bad"]}}), Answer(200, b"<html>"))
    cube = both.cube(server.url)
    found: list[errors.ConnectyCubeError] = []
    for call in (
        lambda: cube.dialogs.list(),
        lambda: cube.dialogs.list(),
        lambda: cube.dialogs.list(limit=-1),
        lambda: cube.admin.list_dialogs(),
        lambda: cube.with_options(max_retries=0).users.count_online(),
    ):
        with pytest.raises(errors.ConnectyCubeError) as caught:
            call()
        found.append(caught.value)
        server.on("GET", "/users/online", Answer(close=True))
    kinds = [errors.Unprocessable, errors.DecodeError, errors.InvalidArgument]
    assert [type(error) for error in found] == [*kinds, errors.ConfigurationError, errors.ConnectionFailed]
    for error in found:
        twin = again(error)
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert twin.args == error.args
        plain = {key: value for key, value in vars(error).items() if key != "request"}
        assert {key: value for key, value in vars(twin).items() if key != "request"} == plain
        assert repr(vars(twin).get("request")) == repr(vars(error).get("request"))


def test_message_is_safe_to_print(both: Both, server: Server) -> None:
    """A server's text can neither control a terminal nor forge a line of a log."""
    body = b'{"errors":{"base":["\\ud800 \\u001b[2J\\r\\nINFO: forged \\u202e \\u009b", "' + b"x" * 5000 + b'"]}}'
    server.on("GET", "/chat/Dialog", Answer(422, body))
    with pytest.raises(errors.Unprocessable) as caught:
        both.cube(server.url).dialogs.list()
    for text in (str(caught.value), repr(caught.value)):
        assert text.isprintable()
        text.encode()
    assert len(str(caught.value)) < 2100
    assert caught.value.errors["base"][0].startswith("\ud800")
