"""Opening, adopting and ending sessions, and the requests this sends."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from connectycube.rest import errors, models
from tests.rest.both import APP_ID, AUTH_KEY, TOKEN, Both
from tests.rest.server import Answer, Server

NEW = "token-that-is-new-7c1e"
PASSWORD = "correct-horse-9"
OPENED = Answer(201, {"session": {"id": 550101, "user_id": 81001, "token": NEW, "user": {"id": 81001}}})
LOGGED_IN = Answer(200, {"user": {"id": 81001, "login": "mary"}})
EMPTY = Answer(200, {"items": []})


def opened(server: Server) -> Any:
    """The body of the only request for a session."""
    (request,) = server.to("/session", "POST")
    assert request.header("Content-Type") == "application/json"
    assert request.header("CB-Token") is None
    body = request.json()
    assert (body.pop("application_id"), body.pop("auth_key")) == (APP_ID, AUTH_KEY)
    return body


LOGINS: dict[str, tuple[Any, Any]] = {
    "login": (
        lambda cube: cube.login(login="mary", password=PASSWORD, create=True),
        {"user": {"login": "mary", "password": PASSWORD}},
    ),
    "email": (
        lambda cube: cube.login(email="mary@mail.example", password=PASSWORD, create=True),
        {"user": {"email": "mary@mail.example", "password": PASSWORD}},
    ),
    "guest": (
        lambda cube: cube.login_guest(full_name="Zoë"),
        {"user": {"guest": "1", "full_name": "Zoë"}},
    ),
    "facebook": (
        lambda cube: cube.login_provider("facebook", token="fb-1"),
        {"provider": "facebook", "keys": {"token": "fb-1"}},
    ),
    "twitter": (
        lambda cube: cube.login_provider("twitter", token="tw-1", secret="tw-2"),
        {"provider": "twitter", "keys": {"token": "tw-1", "secret": "tw-2"}},
    ),
    "firebase_phone": (
        lambda cube: cube.login_provider("firebase_phone", token="fp-1", project_id="climbers"),
        {"firebase_phone": {"project_id": "climbers", "access_token": "fp-1"}, "provider": "firebase_phone"},
    ),
    "firebase_email": (
        lambda cube: cube.login_provider("firebase_email", token="fe-1", project_id="climbers"),
        {"firebase_email": {"project_id": "climbers", "access_token": "fe-1"}, "provider": "firebase_email"},
    ),
}


@pytest.mark.parametrize("kind", LOGINS)
def test_login_is_one_request_and_its_token_is_used(both: Both, server: Server, kind: str) -> None:
    login, body = LOGINS[kind]
    server.on("POST", "/session", OPENED)
    server.on("GET", "/chat/Dialog", EMPTY)
    cube = both.cube(server.url, token=None)
    session = login(cube)
    assert isinstance(session, models.Session)
    assert (session.token, session.user_id) == (NEW, 81001)
    assert cube.session is session
    assert opened(server) == body
    cube.dialogs.list()
    assert server.requests[-1].header("CB-Token") == NEW


USERS: dict[str, tuple[Any, Any]] = {
    "login": (lambda cube: cube.login(login="mary", password=PASSWORD), {"login": "mary", "password": PASSWORD}),
    "email": (
        lambda cube: cube.login(email="mary@mail.example", password=PASSWORD),
        {"email": "mary@mail.example", "password": PASSWORD},
    ),
}


@pytest.mark.parametrize("kind", USERS)
def test_login_gives_an_application_session_its_user(both: Both, server: Server, kind: str) -> None:
    """The platform would sign up an unknown user whom the first request names."""
    login, body = USERS[kind]
    ends = {"CB-Token-ExpirationDate": "2026-02-03 10:15:30 UTC"}
    server.on("POST", "/session", Answer(201, {"session": {"id": 550101, "token": NEW, "user_id": None}}))
    server.on("POST", "/login", Answer(200, LOGGED_IN.body, ends))
    server.on("GET", "/chat/Dialog", EMPTY)
    cube = both.cube(server.url)
    session = login(cube)
    assert cube.session is session
    assert session is not None
    assert (session.id, session.token, session.user_id) == (550101, NEW, 81001)
    assert session.user is not None
    assert session.user.login == "mary"
    assert cube.session_expires_at == DAY
    assert opened(server) == {}
    assert (server.requests[1].header("CB-Token"), server.requests[1].json()) == (NEW, body)
    cube.dialogs.list()
    assert server.requests[2].header("CB-Token") == NEW


@pytest.mark.parametrize("step", ["/session", "/login"])
def test_refused_login_keeps_the_open_session(both: Both, server: Server, step: str) -> None:
    server.on("POST", "/session", OPENED)
    server.on("POST", "/login", LOGGED_IN)
    server.on("POST", step, Answer(401, {"errors": ["Unauthorized"]}))
    cube = both.cube(server.url)
    with pytest.raises(errors.Unauthorized):
        cube.login(login="mary", password=PASSWORD)
    assert cube.session is not None
    assert (cube.session.token, cube.session_expires_at) == (TOKEN, None)


WRONG: dict[str, Any] = {
    "create": lambda cube: cube.login(login="mary", password=PASSWORD, create="no"),
    "both": lambda cube: cube.login(login="mary", email="mary@mail.example", password=PASSWORD),
    "neither": lambda cube: cube.login(password=PASSWORD),
    "empty login": lambda cube: cube.login(login="", password=PASSWORD),
    "empty password": lambda cube: cube.login(login="mary", password=""),
    "no text": lambda cube: cube.login(login=81001, password=PASSWORD),
    "empty name": lambda cube: cube.login_guest(full_name=""),
    "provider": lambda cube: cube.login_provider("myspace", token="t"),
    "empty proof": lambda cube: cube.login_provider("facebook", token=""),
    "project missing": lambda cube: cube.login_provider("firebase_phone", token="t"),
    "project not known": lambda cube: cube.login_provider("facebook", token="t", project_id="p"),
    "secret not known": lambda cube: cube.login_provider("firebase_email", token="t", project_id="p", secret="s"),
    "empty token": lambda cube: cube.use_session(""),
}


@pytest.mark.parametrize("kind", WRONG)
def test_invalid_login_sends_nothing(both: Both, server: Server, kind: str) -> None:
    cube = both.cube(server.url)
    with pytest.raises(errors.InvalidArgument):
        WRONG[kind](cube)
    assert server.requests == []
    assert cube.session is not None
    assert cube.session.token == TOKEN


@pytest.mark.parametrize("missing", ["app_id", "auth_key"])
def test_missing_credentials_explain_the_fix(both: Both, server: Server, missing: str) -> None:
    cube = both.cube(server.url, token=None, **{missing: None})
    with pytest.raises(errors.ConfigurationError, match=f"pass it, or set CONNECTYCUBE_{missing.upper()}") as caught:
        cube.login(login="mary", password=PASSWORD, create=True)
    assert caught.value.operation == "sessions.create"
    assert server.requests == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda cube: cube.dialogs.list(), r"call login\(\) or use_session\(\) first"),
        (lambda cube: cube.users.create(login="mary", password=PASSWORD), "CONNECTYCUBE_AUTH_KEY|login"),
        (lambda cube: cube.admin.list_dialogs(), "pass admin_key, or set CONNECTYCUBE_ADMIN_KEY"),
    ],
)
def test_call_without_credentials_explains_the_fix(both: Both, server: Server, call: Any, words: str) -> None:
    cube = both.cube(server.url, token=None, auth_key=None)
    with pytest.raises(errors.ConfigurationError, match=words) as caught:
        call(cube)
    assert caught.value.operation
    assert server.requests == []


def test_credentials_come_from_the_environment(both: Both, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("APP_ID", str(APP_ID)),
        ("AUTH_KEY", AUTH_KEY),
        ("ADMIN_KEY", "adm-1"),
        ("BASE_URL", server.url),
    ):
        monkeypatch.setenv(f"CONNECTYCUBE_{name}", value)
    server.on("POST", "/session", OPENED)
    server.on("GET", "/admin/chat/list", EMPTY)
    cube = both.cube("", app_id=None, auth_key=None, token=None)
    cube.login(login="mary", password=PASSWORD, create=True)
    assert opened(server) == {"user": {"login": "mary", "password": PASSWORD}}
    cube.admin.list_dialogs()
    assert server.requests[-1].header("CB-Administration-API-Key") == "adm-1"


def test_arguments_override_the_environment(both: Both, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_ID", "AUTH_KEY", "ADMIN_KEY", "BASE_URL"):
        monkeypatch.setenv(f"CONNECTYCUBE_{name}", "http://127.0.0.1:9")
    server.on("POST", "/session", OPENED)
    server.on("GET", "/admin/chat/list", EMPTY)
    cube = both.cube(server.url, admin_key="adm-2")
    cube.login(login="mary", password=PASSWORD, create=True)
    opened(server)
    cube.admin.list_dialogs()
    assert server.requests[-1].header("CB-Administration-API-Key") == "adm-2"


def test_existing_session(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", EMPTY)
    cube = both.cube(server.url, token=None)
    assert cube.session is None
    session = cube.use_session(NEW, user_id=81001)
    assert cube.session is session
    assert (session.token, session.user_id) == (NEW, 81001)
    cube.dialogs.list()
    assert server.requests[-1].header("CB-Token") == NEW


def test_logout_ends_the_session_and_forgets_it(both: Both, server: Server) -> None:
    server.on("DELETE", "/session", Answer(200))
    cube = both.cube(server.url)
    cube.logout()
    (request,) = server.requests
    assert (request.method, request.path, request.header("CB-Token")) == ("DELETE", "/session", TOKEN)
    assert cube.session is None
    cube.logout()
    assert len(server.requests) == 1
    with pytest.raises(errors.ConfigurationError, match="login"):
        cube.dialogs.list()


def test_logout_from_an_expired_session(both: Both, server: Server) -> None:
    server.on("DELETE", "/session", Answer(401, {"errors": {"base": ["Required session does not exist"]}}))
    cube = both.cube(server.url)
    cube.logout()
    assert cube.session is None


def test_failed_logout_still_forgets_the_session(both: Both, server: Server) -> None:
    server.on("DELETE", "/session", Answer(close=True))
    cube = both.cube(server.url, max_retries=0)
    with pytest.raises(errors.ConnectionFailed):
        cube.logout()
    assert cube.session is None


@pytest.mark.parametrize(
    "body", [{}, {"session": {}}, {"session": {"id": 1, "token": None}}, {"session": {"token": ""}}]
)
def test_response_without_a_token_is_not_a_session(both: Both, server: Server, body: Any) -> None:
    server.on("POST", "/session", Answer(201, body))
    cube = both.cube(server.url)
    with pytest.raises(errors.DecodeError, match="no token") as caught:
        cube.login(login="mary", password=PASSWORD, create=True)
    assert caught.value.operation == "sessions.create"
    assert cube.session is not None
    assert cube.session.token == TOKEN


def test_rejected_login_changes_nothing(both: Both, server: Server) -> None:
    server.on("POST", "/session", Answer(401, {"errors": ["Unauthorized"]}))
    cube = both.cube(server.url)
    with pytest.raises(errors.Unauthorized) as caught:
        cube.login(login="mary", password=PASSWORD, create=True)
    assert caught.value.operation == "sessions.create"
    assert cube.session is not None
    assert cube.session.token == TOKEN


def test_login_replaces_an_open_session(both: Both, server: Server) -> None:
    server.on("POST", "/session", OPENED)
    cube = both.cube(server.url)
    cube.login(login="mary", password=PASSWORD, create=True)
    assert cube.session is not None
    assert cube.session.token == NEW


# -- when it ends

DAY = dt.datetime(2026, 2, 3, 10, 15, 30, tzinfo=dt.UTC)
ENDS: dict[str, dt.datetime | None] = {
    "2026-02-03 10:15:30 UTC": DAY,
    "2026-02-03 10:15:30 GMT": DAY,
    "2026-02-03 12:15:30 +0200": DAY,
    "2026-02-03 12:15:30 GMT+02:00": DAY,
    "2026-02-03 10:15:30 PST": None,
    "2026-02-03 10:15:30": None,
    "tomorrow": None,
    "9999-99-99 10:15:30 UTC": None,
    "0001-01-01 00:00:00 +2300": None,
}


@pytest.mark.parametrize("header", ENDS)
def test_every_response_updates_the_session_expiry(both: Both, server: Server, header: str) -> None:
    server.on("GET", "/chat/Dialog", EMPTY, Answer(200, {"items": []}, {"CB-Token-ExpirationDate": header}))
    cube = both.cube(server.url)
    cube.dialogs.list()
    assert cube.session_expires_at is None
    cube.dialogs.list()
    assert cube.session_expires_at == ENDS[header]


def test_login_response_sets_the_session_expiry(both: Both, server: Server) -> None:
    headers = {"CB-Token-ExpirationDate": "2026-02-03 10:15:30 UTC"}
    server.on("POST", "/session", Answer(201, OPENED.body, headers), OPENED)
    cube = both.cube(server.url, token=None)
    cube.login(login="mary", password=PASSWORD, create=True)
    assert cube.session_expires_at == DAY
    cube.login(login="mary", password=PASSWORD, create=True)
    assert cube.session_expires_at is None


def test_error_response_updates_the_shared_session_expiry(both: Both, server: Server) -> None:
    headers = {"CB-Token-ExpirationDate": "2026-02-03 10:15:30 UTC"}
    server.on("GET", "/chat/Dialog", Answer(403, b"", headers), EMPTY)
    cube = both.cube(server.url)
    with pytest.raises(errors.Forbidden):
        cube.with_options(timeout=5).dialogs.list()
    assert cube.session_expires_at == DAY
    cube.dialogs.list()
    assert cube.session_expires_at == DAY
    cube.use_session(NEW)
    assert cube.session_expires_at is None


# -- copies


def test_copies_share_the_session(both: Both, server: Server) -> None:
    server.on("POST", "/session", OPENED)
    server.on("GET", "/chat/Dialog", EMPTY)
    server.on("DELETE", "/session", Answer(200))
    cube = both.cube(server.url, token=None)
    copy = cube.with_options(timeout=5, headers={"X-Trace": "17"})
    cube.login(login="mary", password=PASSWORD, create=True)
    copy.dialogs.list()
    assert server.requests[-1].header("CB-Token") == NEW
    assert server.requests[-1].header("X-Trace") == "17"
    cube.dialogs.list()
    assert server.requests[-1].header("X-Trace") is None
    copy.logout()
    assert cube.session is None


def test_extra_headers_override_defaults_case_insensitively(both: Both, server: Server) -> None:
    server.on("POST", "/chat/Dialog", Answer(201, {"_id": "66f1a7c2e4b0d93a51c8e110"}))
    cube = both.cube(server.url).with_options(headers={"user-agent": "rope/1", "cb-sdk": "Rope", "content-type": "x/y"})
    cube.dialogs.create(type=3, occupants_ids=[81002])
    (request,) = server.requests
    assert request.header("User-Agent") == "rope/1"
    assert request.header("CB-SDK") == "Rope"
    assert request.header("Content-Type") == "application/json"
    again = cube.with_options(headers={"USER-AGENT": "rope/2"})
    again.dialogs.create(type=3, occupants_ids=[81002])
    assert server.requests[-1].header("User-Agent") == "rope/2"


@pytest.mark.parametrize("create", [False, True])
def test_an_unknown_login_is_unauthorized_even_if_the_answer_is_404(both: Both, server: Server, create: bool) -> None:
    server.on("POST", "/session", Answer(404, {"errors": {"base": ["none"]}}) if create else OPENED)
    server.on("POST", "/login", Answer(404, {"errors": {"base": ["none"]}}))
    with pytest.raises(errors.Unauthorized, match="refused with 404: none") as caught:
        both.cube(server.url, auth_key=AUTH_KEY, token=None).login(login="nobody", password=PASSWORD, create=create)
    assert isinstance(caught.value.__cause__, errors.NotFound)


def test_a_missing_service_is_not_an_unknown_login(both: Both, server: Server) -> None:
    server.on("POST", "/session", Answer(404, {"errors": {"base": ["No such route"]}}))
    with pytest.raises(errors.NotFound):
        both.cube(server.url, auth_key=AUTH_KEY, token=None).login(login="mary", password=PASSWORD)
    with pytest.raises(errors.NotFound):
        both.cube(server.url, auth_key=AUTH_KEY, token=None).login_guest(full_name="Passer-by")
