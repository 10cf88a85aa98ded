"""`cube.with_session`: many users over the connections of one client."""

from __future__ import annotations

import pytest

from connectycube.rest import InvalidArgument, errors
from connectycube.rest.models import User
from tests.rest.both import TOKEN, Both
from tests.rest.server import Answer, Request, Server

GONE = Answer(401, {"errors": {"base": ["Required session does not exist"]}})


def serve(server: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(200, {"items": []}))


def tokens(server: Server) -> list[str | None]:
    return [request.header("CB-Token") for request in server.requests]


def test_each_client_has_its_own_session(both: Both, server: Server) -> None:
    serve(server)
    cube = both.cube(server.url)
    ada, eve = cube.with_session("token-of-ada", 81001), cube.with_session("token-of-eve", User(id=81002))
    for one in (ada, eve, cube, ada):
        one.dialogs.list()
    assert tokens(server) == ["token-of-ada", "token-of-eve", TOKEN, "token-of-ada"]
    assert server.connections == 1
    assert ada.session is not None
    assert eve.session is not None
    assert (ada.session.user_id, eve.session.user_id) == (81001, 81002)
    cube.use_session("another")
    assert ada.session.token == "token-of-ada"


def test_client_without_a_token_logs_in_itself(both: Both, server: Server) -> None:
    serve(server)
    server.on("POST", "/session", Answer(201, {"session": {"id": 1, "token": "fresh"}}))
    server.on("POST", "/login", Answer(200, {"user": {"id": 81003}}))
    cube = both.cube(server.url)
    mary = cube.with_session()
    assert mary.session is None
    with pytest.raises(errors.ConfigurationError, match=r"dialogs\.list needs a session"):
        mary.dialogs.list()
    mary.login(login="mary", password="correct-horse-9")
    mary.dialogs.list()
    cube.dialogs.list()
    assert tokens(server)[-2:] == ["fresh", TOKEN]


def test_renewal_of_one_leaves_the_others_alone(both: Both, server: Server) -> None:
    def page(request: Request) -> Answer:
        return GONE if request.header("CB-Token") == "old" else Answer(200, {"items": []})

    server.on("GET", "/chat/Dialog", page)
    cube = both.cube(server.url, on_session_expired=both.hook(lambda _: "new"))
    ada = cube.with_session("old")
    ada.dialogs.list()
    cube.dialogs.list()
    assert tokens(server) == ["old", "new", TOKEN]


def test_closing_one_does_not_close_the_others(both: Both, server: Server) -> None:
    serve(server)
    cube = both.cube(server.url)
    ada, eve = cube.with_session("a"), cube.with_session("e")
    both.close(ada)
    for closed in (ada, ada.with_options(timeout=5)):
        with pytest.raises(errors.ConfigurationError, match="the client is closed"):
            closed.dialogs.list()
    cube.dialogs.list()
    both.close(cube)
    with pytest.raises(errors.ConfigurationError, match="the client is closed"):
        cube.dialogs.list()
    eve.dialogs.list()
    both.close(eve)
    both.close(eve)
    server.wait_until_idle()
    assert server.open_connections() == 0
    assert tokens(server) == [TOKEN, "e"]


def test_client_that_is_not_closed_leaves_no_connection_open(both: Both, server: Server) -> None:
    serve(server)
    cube = both.cube(server.url)
    ada = cube.with_session("a")
    ada.dialogs.list()
    assert server.open_connections() == 1
    both.close(cube)
    server.wait_until_idle()
    assert server.open_connections() == 0
    assert ada.session is not None


def test_settings_are_shared(both: Both, server: Server) -> None:
    cube = both.cube(server.url, timeout=5, admin_key="the-admin-key").with_options(headers={"X-Job": "nightly"})
    serve(server)
    cube.with_session("a").dialogs.list()
    assert server.requests[0].header("X-Job") == "nightly"
    assert cube.with_session("a").timeout == 5


@pytest.mark.parametrize(("token", "user_id", "argument"), [("", 1, "token"), ("t", "1", "user_id"), (5, 1, "token")])
def test_invalid_sessions(both: Both, server: Server, token: str, user_id: int, argument: str) -> None:
    cube = both.cube(server.url)
    with pytest.raises(InvalidArgument) as caught:
        cube.with_session(token, user_id)
    assert caught.value.argument == argument
    assert "the-secret" not in repr(cube.with_session("the-secret"))
