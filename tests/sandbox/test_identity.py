"""A custom identity provider: the sandbox asks the developer's server who logs in (X-05, N-03)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectycube.chat import Chat
from connectycube.rest import errors
from connectycube.sandbox import IdentityProvider, Sandbox, Settings
from connectycube.sandbox.cli import parser
from tests.rest.both import Both
from tests.rest.server import Answer, Server
from tests.sandbox.serving import example, serving

TOKEN = "token-of-mary"
FOUND = Answer(200, {"user": {"id": 2345, "login": "simon"}})

Start = Callable[..., tuple[Sandbox, Any]]


@pytest.fixture
def start(both: Both) -> Iterator[Start]:
    """Start a sandbox that asks a provider, with a client."""
    with ExitStack() as stack:

        def started(url: str, **options: Any) -> tuple[Sandbox, Any]:
            provider = IdentityProvider(url=url, **options)
            sandbox = stack.enter_context(Sandbox(Settings(app_id=7001, identity_provider=provider)))
            cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None, max_retries=0)
            return sandbox, cube

        yield started


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def asking() -> Iterator[tuple[Sandbox, Server]]:
    """A sandbox and the provider that it asks."""
    with Server() as server:
        provider = IdentityProvider(url=f"{server.url}/verify")
        with Sandbox(Settings(app_id=7001, identity_provider=provider)) as sandbox:
            yield sandbox, server


def test_the_example_vouches_for_users_who_then_use_rest_and_chat(start: Start) -> None:
    with serving(example("identity_provider.py")["app"]) as url:
        sandbox, cube = start(f"{url}/verify")
        refused = httpx.post(f"{url}/login", json={"login": "mary", "password": "wrong"})
        assert refused.status_code == 401
        token = httpx.post(f"{url}/login", json={"login": "mary", "password": "correct-horse-9"}).json()["token"]
        session = cube.login(login=token, password="any")
        assert session.user.external_id == "2345"
        assert cube.login(login=token, password="other").user_id == session.user_id
        host, port = sandbox.chat_host, sandbox.chat_port
        app_id, password = sandbox.app_id, cube.session.token
        with Chat(app_id=app_id, user_id=session.user_id, password=password, host=host, port=port, tls="none") as chat:
            chat.ping()
        with pytest.raises(errors.Unprocessable, match="refused the login with 422"):
            cube.login(login="forged", password="any")


def test_get_sends_the_templates_in_the_query_and_headers(start: Start, server: Server) -> None:
    server.on("GET", "/verify", FOUND)
    _, cube = start(
        f"{server.url}/verify?app=1",
        request={"token": "#{login}", "kind": "chat"},
        headers={"X-Password": "is #{password}"},
    )
    cube.login(login="töken &", password="any")
    (asked,) = server.to("/verify", "GET")
    assert asked.query == [("app", "1"), ("token", "töken &"), ("kind", "chat")]
    assert asked.header("X-Password") == "is any"


def test_post_sends_the_templates_as_json(start: Start, server: Server) -> None:
    server.on("POST", "/verify", Answer(200, {"id": "u-1"}))
    _, cube = start(f"{server.url}/verify", method="POST", response={"uid": "#{id}", "login": "#{name}"})
    assert cube.login(login=TOKEN, password="any").user.external_id == "u-1"
    (asked,) = server.to("/verify", "POST")
    assert asked.json() == {"token": TOKEN}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(422, {"error": "unknown"}), "refused the login with 422"),
        (Answer(201, {"user": {"id": 1}}), "refused the login with 201"),
        (Answer(302, headers={"Location": "/elsewhere"}), "refused the login with 302"),
        (Answer(200, {"user": {}}), "has no #{user.id}"),
        (Answer(200, {"user": {"id": True}}), "has no #{user.id}"),
        (Answer(200, {"user": {"id": ""}}), "has no #{user.id}"),
        (Answer(200, b'{"user": {"id": "\\ud800"}}'), "has no #{user.id}"),
        (Answer(200, [1]), "has no #{user.id}"),
        (Answer(200, b"<html>"), "has no #{user.id}"),
        (Answer(200, b"[" * 60_000), "has no #{user.id}"),
        (Answer(200, b" " * 70_000), "longer than 65536 bytes"),
        (Answer(close=True), "can't be reached"),
    ],
)
def test_any_other_answer_refuses_the_login(
    asking: tuple[Sandbox, Server], both: Both, answer: Answer, words: str
) -> None:
    sandbox, server = asking
    sandbox.reset()
    server.requests.clear()
    server.on("GET", "/verify", answer)
    cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None, max_retries=0)
    with pytest.raises(errors.Unprocessable) as caught:
        cube.login(login=TOKEN, password="any")
    assert words in str(caught.value)
    assert len(server.requests) == 1
    assert sandbox.call(sandbox.core.db.value, "SELECT count(*) FROM users") == 0


def test_a_provider_that_is_too_slow_refuses_the_login(start: Start, server: Server) -> None:
    over = threading.Event()
    server.on("GET", "/verify", Answer(stall=over))
    sandbox, cube = start(f"{server.url}/verify", timeout=0.2)
    with pytest.raises(errors.Unprocessable, match=r"no answer within 0\.2 s"):
        cube.login(login=TOKEN, password="any")
    (call,) = sandbox.journal.sent("identity")
    assert (call.status, call.error) == (None, "no answer within 0.2 s")
    over.set()


def test_the_journal_shows_each_call_without_its_token(start: Start, server: Server) -> None:
    server.on("GET", "/verify", FOUND)
    sandbox, cube = start(f"{server.url}/verify", request={"key": "#{login}"}, headers={"X-Key": "\n#{login}"})
    with pytest.raises(errors.Unprocessable) as caught:
        cube.login(login=TOKEN, password="any")
    (call,) = sandbox.journal.sent("identity")
    assert (call.to, call.content) == (f"{server.url}/verify", {"key": "•••"})
    assert call.error is not None
    texts = [str(caught.value), *(entry.text() for entry in sandbox.journal)]
    assert not [text for text in texts if TOKEN in text]


def test_a_login_that_opens_its_own_session_asks_too(start: Start, server: Server) -> None:
    """X-05, CR-03."""
    server.on("GET", "/verify", FOUND)
    sandbox, cube = start(f"{server.url}/verify")
    session = cube.login(login=TOKEN, password="any", create=True)
    assert session.user.external_id == "2345"
    assert cube.login(login=TOKEN, password="any").user_id == session.user_id
    assert len(server.requests) == 2
    assert not [entry for entry in sandbox.journal if TOKEN in entry.text()]


def test_nobody_is_asked_for_another_application(start: Start, server: Server) -> None:
    sandbox, _ = start(f"{server.url}/verify")
    user = {"login": TOKEN, "password": "any"}
    body = {"application_id": sandbox.app_id, "auth_key": "wrong", "user": user}
    assert httpx.post(f"{sandbox.api_url}/session", json=body).status_code == 401
    assert server.requests == []


def test_other_logins_need_no_provider(start: Start, server: Server) -> None:
    sandbox, cube = start(f"{server.url}/verify")
    cube.login_guest(full_name="Passer-by")
    cube.login_provider("facebook", token="fb-1")
    sandbox.create_user("ada", email="ada@mail.example")
    cube.login(email="ada@mail.example", password="password")
    assert server.requests == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "verify"}, "url must be a web address"),
        ({"url": "ftp://x.example"}, "url must be a web address"),
        ({"method": "PUT"}, "'method' must be in"),
        ({"request": {"token": "#{token}"}}, "request may contain #{login} and #{password}, not #{token}"),
        ({"request": {"token": 7}}, "request must map names to texts"),
        ({"headers": ["x"]}, "headers must map names to texts"),
        ({"response": {"id": "#{id}"}}, 'response must map "uid" to one field'),
        ({"response": {"uid": "user.id"}}, 'response must map "uid" to one field'),
        ({"timeout": 0}, "'timeout' must be > 0"),
    ],
)
def test_invalid_settings_are_rejected(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        IdentityProvider(**{"url": "http://127.0.0.1:9000/verify", **wrong})


def test_the_command_takes_an_address_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def parsed(text: str) -> Any:
        return parser().parse_args(["--identity-provider", text]).identity_provider

    assert parsed("http://127.0.0.1:9000/verify") == IdentityProvider(url="http://127.0.0.1:9000/verify")
    file = tmp_path / "provider.yaml"
    file.write_text('{"url": "https://x.example/verify", "method": "POST", "response": {"uid": "#{id}"}}')
    assert parsed(str(file)) == IdentityProvider(
        url="https://x.example/verify", method="POST", response={"uid": "#{id}"}
    )
    for content, words in (("[1]", "must hold a mapping"), ("{", "can't be read"), ('{"uri": "x"}', "uri")):
        file.write_text(content)
        with pytest.raises(SystemExit):
            parsed(str(file))
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parsed(str(tmp_path / "missing"))
    assert "can't be read" in capsys.readouterr().err
