"""Tokens, keys, passwords and signed addresses show up nowhere but on the wire."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectycube.rest import ConnectyCube, errors, models
from tests.rest.both import AT_ONCE, AUTH_KEY, TOKEN, Both, raw
from tests.rest.server import Answer, Server
from tests.rest.storage import SIGNATURE, UID, play

NEW = "hidden-token-7c1e0b94"
PASSWORD = "hidden-password-9"
OLD_PASSWORD = "hidden-old-password-3"
ADMIN_KEY = "hidden-admin-key-5ae1"
EMAIL = "hidden@mail.example"
PROOF = "hidden-proof-3b1e"
READ_SIGNATURE = "hidden-read-signature-44"
SECRETS = [TOKEN, AUTH_KEY, NEW, PASSWORD, OLD_PASSWORD, ADMIN_KEY, PROOF, SIGNATURE, READ_SIGNATURE, "hidden"]

OPENED = {"session": {"id": 550101, "user_id": 81001, "token": NEW}}
LOGGED_IN = Answer(200, {"user": {"id": 81001}})
PATH = f"/blobs/{UID}/download"

Logs = pytest.LogCaptureFixture


@pytest.fixture
def logs(caplog: Logs) -> Iterator[Logs]:
    """All records of all loggers."""
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "asyncio", "connectycube"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        yield caplog
        for name in ("httpx", "httpcore", "asyncio", "connectycube"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def assert_quiet(what: str, text: str) -> None:
    for secret in SECRETS:
        assert secret not in text, f"{what} shows {secret}: {text}"


def assert_error_quiet(error: BaseException) -> None:
    """Nothing of an error shows a secret: itself, what it holds, what it came from."""
    assert_quiet("the traceback", "".join(traceback.format_exception(error)))
    reached: list[BaseException] = [error]
    for one in reached:
        reached += [next_ for next_ in (one.__cause__, one.__context__) if next_ is not None and next_ not in reached]
        assert_quiet("the error", f"{one} {one!r} {one.args!r} {vars(one)!r} {getattr(one, '__notes__', '')}")
        assert_quiet("the error's content", repr(getattr(one, "object", "")) + repr(getattr(one, "doc", "")))
        if isinstance(one, httpx.RequestError) and one._request is not None:
            request = one.request
            assert_quiet("httpx's request", f"{request.url} {request.headers.raw!r} {request.content!r}")


def assert_logs_quiet(logs: Logs) -> None:
    names = {record.name.partition(".")[0] for record in logs.records}
    assert "httpcore" in names
    for record in logs.records:
        assert_quiet("the log", f"{record.getMessage()} {record.args!r} {record.exc_text}")


def cube_of(both: Both, server: Server, **options: Any) -> ConnectyCube:
    return both.cube(server.url, **{"token": None, "admin_key": ADMIN_KEY, "max_retries": 1, **options})


Step = Callable[[ConnectyCube], Any]

LOGINS: dict[str, Step] = {
    "password": lambda cube: cube.login(login="mary", password=PASSWORD),
    "sign-up": lambda cube: cube.login(login="mary", password=PASSWORD, create=True),
    "provider": lambda cube: cube.login_provider("twitter", token=PROOF, secret=PROOF),
    "firebase": lambda cube: cube.login_provider("firebase_phone", token=PROOF, project_id="climbers"),
    "raw": lambda cube: cube.sessions.with_raw_response.create(user={"login": "mary", "password": PASSWORD}),
}


@pytest.mark.parametrize("kind", LOGINS)
def test_login(both: Both, server: Server, logs: Logs, kind: str) -> None:
    server.on("POST", "/session", Answer(201, OPENED))
    server.on("POST", "/login", LOGGED_IN)
    cube = cube_of(both, server)
    given = LOGINS[kind](cube)
    assert AUTH_KEY.encode() in server.requests[0].body
    client = raw(cube)
    for shown in (given, cube, client, cube.session, client._session, cube.sessions, cube.with_options(timeout=1)):
        assert_quiet("an object", f"{shown!r} {shown}")
    assert_logs_quiet(logs)
    assert "httpx" in {record.name for record in logs.records}


CUT = f'{{"session": {{"id": 1, "token": "{NEW}'.encode()
BAD_LOGINS: dict[str, Answer] = {
    "refused": Answer(401, {"errors": ["Unauthorized"]}),
    "busy": Answer(503, b"<html>busy</html>", {"Retry-After": "soon"}),
    "cut JSON": Answer(201, CUT),
    "bad UTF-8": Answer(201, CUT + b'\xff"}}'),
    "a list": Answer(201, [OPENED]),
    "HTML": Answer(201, b"<html>" + CUT),
    "cut off": Answer(201, CUT * 10, cut=50),
    "closed": Answer(close=True),
    "packed badly": Answer(201, CUT, {"Content-Encoding": "gzip"}),
    "token of another kind": Answer(201, {"session": {"token": [NEW], "secret": NEW}}),
}


@pytest.mark.parametrize("kind", BAD_LOGINS)
def test_failed_login(both: Both, server: Server, logs: Logs, waits: list[float], kind: str) -> None:
    server.on("POST", "/session", BAD_LOGINS[kind])
    for step in LOGINS.values():
        cube = cube_of(both, server)
        try:
            shown = step(cube)
        except errors.ConnectyCubeError as error:
            assert_error_quiet(error)
        else:
            # A raw answer refuses only when it is parsed.
            assert_quiet("the raw answer", repr(shown))
            try:
                assert_quiet("the session", repr(shown.parse()))
            except errors.ConnectyCubeError as error:
                assert_error_quiet(error)
    assert_logs_quiet(logs)


def test_timeouts_and_broken_connections(both: Both, server: Server, logs: Logs, waits: list[float]) -> None:
    released = threading.Event()
    try:
        for answer in (Answer(200, stall=released), Answer(reset=True)):
            for method, path in (("POST", "/session"), ("GET", "/chat/Dialog"), ("GET", "/users/by_email")):
                server.on(method, path, answer)
            cube = cube_of(both, server, token=TOKEN, timeout=AT_ONCE)
            steps: list[Step] = [
                LOGINS["password"],
                lambda cube: cube.dialogs.list(),
                lambda cube: cube.users.get_by_email(email=EMAIL),
            ]
            for step in steps:
                with pytest.raises((errors.RequestTimeout, errors.ConnectionFailed)) as caught:
                    step(cube)
                assert_error_quiet(caught.value)
    finally:
        released.set()


def test_failed_renewal(both: Both, server: Server, logs: Logs) -> None:
    gone = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
    server.on("POST", "/session", Answer(201, OPENED))
    server.on("POST", "/login", LOGGED_IN, Answer(401, {"errors": ["Unauthorized"]}))
    server.on("GET", "/chat/Dialog", gone)
    cube = cube_of(both, server)
    cube.login(login="mary", password=PASSWORD)
    with pytest.raises(errors.Unauthorized) as caught:
        cube.dialogs.list()
    assert_error_quiet(caught.value)
    assert_logs_quiet(logs)


@pytest.mark.parametrize("given", [{"token": NEW}, [NEW], NEW.encode()])
def test_invalid_hook_result(both: Both, server: Server, given: Any) -> None:
    server.on("GET", "/chat/Dialog", Answer(401, {"errors": {"base": ["Required session does not exist"]}}))
    cube = cube_of(both, server, token=TOKEN, on_session_expired=both.hook(lambda _: given))
    with pytest.raises(errors.ConfigurationError) as caught:
        cube.dialogs.list()
    assert_error_quiet(caught.value)


CALLS: dict[str, tuple[str, str, Step]] = {
    "sign up": ("POST", "/users", lambda cube: cube.users.create(login="mary", password=PASSWORD)),
    "new password": (
        "PUT",
        "/users/81001",
        lambda cube: cube.users.update(81001, password=PASSWORD, old_password=OLD_PASSWORD),
    ),
    "admin": ("GET", "/admin/chat/list", lambda cube: cube.admin.list_dialogs()),
    "login on a session": ("POST", "/login", lambda cube: cube.sessions.login(login="mary", password=PASSWORD)),
}


@pytest.mark.parametrize("body", [Answer(200, {"user": {"id": 81001}}), Answer(422, {"errors": ["no"]}), Answer(200)])
@pytest.mark.parametrize("kind", CALLS)
def test_calls_with_secrets(both: Both, server: Server, logs: Logs, kind: str, body: Answer) -> None:
    method, path, step = CALLS[kind]
    server.on(method, path, body)
    cube = cube_of(both, server, token=TOKEN)
    try:
        assert_quiet("the answer", repr(step(cube)))
    except errors.ConnectyCubeError as error:
        assert_error_quiet(error)
    (request,) = server.requests
    assert any(secret in f"{request.headers} {request.body!r}" for secret in SECRETS)
    assert_logs_quiet(logs)


def wrong(value: object) -> Any:
    """A value of another type than the argument's."""
    return value


WRONG: dict[str, Step] = {
    "lone surrogate in a password": lambda cube: cube.login(login="mary", password=PASSWORD + "\udc80"),
    "lone surrogate in a new password": lambda cube: cube.users.update(1, password=PASSWORD + "\udc80"),
    "lone surrogate deep in a body": lambda cube: cube.custom_objects.create(
        "Route", fields={"note": "\udc80", "secret": PASSWORD}
    ),
    "password of another kind": lambda cube: cube.login(login="mary", password=wrong([PASSWORD])),
    "user of another kind": lambda cube: cube.sessions.create(user=wrong([PASSWORD])),
    "token with a line break": lambda cube: (cube.use_session(NEW + "\n"), cube.dialogs.list()),
}


@pytest.mark.parametrize("kind", WRONG)
def test_invalid_arguments(both: Both, server: Server, kind: str) -> None:
    with pytest.raises(errors.ConnectyCubeError) as caught:
        WRONG[kind](cube_of(both, server, token=TOKEN))
    assert_error_quiet(caught.value)
    assert server.requests == []


def test_invalid_auth_key(both: Both, server: Server) -> None:
    cube = cube_of(both, server, auth_key=AUTH_KEY + "\udc80")
    with pytest.raises(errors.ConnectyCubeError) as caught:
        cube.login(login="mary", password=PASSWORD)
    assert_error_quiet(caught.value)


UPLOADS: dict[str, Answer] = {
    "well": Answer(201),
    "refused": Answer(403, b"<Error><Message>Policy expired</Message></Error>"),
    "closed": Answer(close=True),
}


@pytest.mark.parametrize("kind", UPLOADS)
def test_uploads(both: Both, server: Server, storage: Server, logs: Logs, kind: str) -> None:
    play(server, storage)
    storage.on("POST", "/bucket", UPLOADS[kind])
    cube = cube_of(both, server, token=TOKEN)
    try:
        file = cube.files.upload(b"x")
        assert file.blob_object_access is not None
        assert SIGNATURE in (file.blob_object_access.params or "")
        assert_quiet("the file", f"{file!r} {file.blob_object_access!r}")
    except errors.ConnectyCubeError as error:
        assert_error_quiet(error)
    assert_logs_quiet(logs)


DOWNLOADS: dict[str, Answer] = {
    "well": Answer(200, b"x"),
    "refused": Answer(403, b"<Error><Message>Request has expired</Message></Error>"),
    "missing": Answer(404),
    "closed": Answer(close=True),
    "cut off": Answer(200, b"x" * 1000, cut=500),
    "packed badly": Answer(200, b"nonsense", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("kind", DOWNLOADS)
def test_downloads(
    both: Both, server: Server, storage: Server, logs: Logs, waits: list[float], tmp_path: Path, kind: str
) -> None:
    address = f"{storage.url}/bucket?X-Amz-Signature={READ_SIGNATURE}"
    server.on("GET", PATH, Answer(301, b"", {"Location": address}))
    storage.on("GET", "/bucket", DOWNLOADS[kind])
    cube = cube_of(both, server, token=TOKEN)
    try:
        cube.files.download(UID, tmp_path / "x")
    except errors.ConnectyCubeError as error:
        assert_error_quiet(error)
    assert READ_SIGNATURE in storage.requests[0].target
    assert_logs_quiet(logs)


def test_silent_or_unreachable_storage(both: Both, server: Server, storage: Server, logs: Logs) -> None:
    released = threading.Event()
    server.on("GET", PATH, Answer(301, b"", {"Location": f"{storage.url}/bucket?X-Amz-Signature={READ_SIGNATURE}"}))
    storage.on("GET", "/bucket", Answer(200, stall=released))
    cube = cube_of(both, server, token=TOKEN, timeout=AT_ONCE, max_retries=0)
    try:
        with pytest.raises(errors.RequestTimeout) as silent:
            cube.files.download(UID)
        assert_error_quiet(silent.value)
    finally:
        released.set()
    storage.stop()
    with pytest.raises(errors.ConnectionFailed) as gone:
        cube.files.download(UID)
    assert_error_quiet(gone.value)
    assert_logs_quiet(logs)


def test_other_httpcore_logs_are_unchanged(both: Both, server: Server, logs: Logs) -> None:
    """Only a download's headers are kept out."""
    server.on("GET", "/chat/Dialog", Answer(200, {"items": []}))
    server.on("GET", PATH, Answer(200, b"x"))
    cube = cube_of(both, server, token=TOKEN)

    def headers_shown() -> int:
        return sum("receive_response_headers.complete" in record.getMessage() for record in logs.records)

    cube.files.download(UID)
    assert headers_shown() == 0
    cube.dialogs.list()
    assert headers_shown() == 1


def test_tracebacks_with_local_variables_show_no_secrets(both: Both, server: Server, waits: list[float]) -> None:
    """In the package and in the libraries below it; a caller's own variables are the caller's."""
    server.on("POST", "/session", Answer(201, OPENED))
    server.on("POST", "/login", LOGGED_IN, Answer(close=True), Answer(401, {"errors": ["no"]}))
    server.on("GET", "/chat/Dialog", Answer(close=True), Answer(403))
    cube = both.cube(server.url, token=None, max_retries=0)
    cube.login(login="mary", password=PASSWORD)
    for call in (
        lambda: cube.dialogs.list(),
        lambda: cube.dialogs.list(),
        lambda: cube.login(login="mary", password=PASSWORD),
        lambda: cube.login(login="mary", password=PASSWORD),
        lambda: cube.login(login="mary", email="mary@mail.example", password=PASSWORD),
        lambda: cube.sessions.login(login="mary", password=PASSWORD),
        lambda: cube.sessions.login(login="mary", password=PASSWORD),
        lambda: cube.sessions.create(user={"login": "mary", "password": PASSWORD}, keys={"token": "", "secret": PROOF}),
        lambda: cube.sessions.with_raw_response.login(
            provider="twitter", keys={"token": PROOF, "secret": PROOF}
        ).parse(),
        lambda: cube.users.create(login="mary", password=PASSWORD),
        lambda: cube.users.create(login="mary", password=PASSWORD, full_name="\ud800"),
        lambda: cube.users.update(7, password=PASSWORD, old_password=PASSWORD),
        lambda: cube.login_provider("facebook", token=PROOF, secret=PROOF, project_id="x"),
        lambda: cube.use_session(NEW + "\n").token and cube.dialogs.list(),
        lambda: both.cube("api.example", token=TOKEN, admin_key=ADMIN_KEY),
    ):
        with pytest.raises(errors.ConnectyCubeError) as caught:
            call()
        lines = "\n".join(_locals(traceback.TracebackException.from_exception(caught.value, capture_locals=True)))
        assert "/connectycube/rest/" in lines
        assert_quiet("a local variable", lines)


def _locals(error: traceback.TracebackException) -> Iterator[str]:
    """The local variables of frames that are not a test's."""
    for frame in error.stack:
        if "/tests/" not in frame.filename and "/asyncio/" not in frame.filename:
            yield f"{frame.filename} {frame.name} {frame.locals}"
    for further in (error.__cause__, error.__context__):
        if further is not None:
            yield from _locals(further)


def test_models_hide_secrets() -> None:
    shown: list[Any] = [
        models.Session.from_dict({"token": NEW, "odd": NEW}),
        models.FileAccess.from_dict({"params": f"https://s3?{SIGNATURE}", "url": SIGNATURE}),
        models.FileAccess.from_dict({"download_url": SIGNATURE, "dowload_url": SIGNATURE}),
        models.File.from_dict({"id": 1, "uid": "f", "blob_object_access": {"params": SIGNATURE}}),
        models.MeetingRecording.from_dict({"_id": "r", "download_url": SIGNATURE}),
    ]
    for model in shown:
        assert_quiet("a model", f"{model!r} {model}")
        assert any(secret in str(model.to_dict()) for secret in SECRETS)
