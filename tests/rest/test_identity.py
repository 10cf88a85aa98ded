"""Logins, logouts and renewals at the same time: no call is made as another user, and the program has the last word."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, errors
from tests.rest.both import APP_ID, AUTH_KEY, Both
from tests.rest.server import Answer, Request, Server

DIALOG = "66f1a7c2e4b0d93a51c8e201"
GONE = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
IDS = {"a": 1, "b": 2}
ROUNDS = 200


class Platform:
    """Opens sessions for `a` and `b`, and keeps who sent which message. Each token is valid until it is withdrawn."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.given = 0
        self.valid: set[str] = set()
        self.owners: dict[str, str] = {}
        self.accepted: list[tuple[str, str]] = []
        """Owners of tokens, and what they said."""
        self.asked = threading.Event()
        self.release = threading.Event()
        self.release.set()
        server.on("POST", "/session", self.open)
        server.on("POST", "/login", self.log_in)
        server.on("DELETE", "/session", Answer(200))
        server.on("POST", "/chat/Message", self.accept)

    def open(self, request: Request) -> Answer:
        self.given += 1
        return Answer(201, {"session": {"id": self.given, "token": f"application-{self.given}"}})

    def log_in(self, request: Request) -> Answer:
        user = request.json()["login"]
        if user == "a":
            self.asked.set()
            self.release.wait(60)
        token = request.header("CB-Token") or ""
        self.owners[token] = user
        self.valid.add(token)
        return Answer(200, {"user": {"id": IDS[user]}})

    def accept(self, request: Request) -> Answer:
        token = request.header("CB-Token") or ""
        if token not in self.valid:
            return GONE
        self.accepted.append((self.owners[token], request.json()["message"]))
        return Answer(201, {"_id": DIALOG})

    def hold(self) -> None:
        """End all sessions, and let logins of `a` wait."""
        self.valid.clear()
        self.asked.clear()
        self.release.clear()


@pytest.fixture
def platform(server: Server) -> Any:
    made = Platform(server)
    yield made
    made.release.set()


def signed_in(platform: Platform, **options: Any) -> ConnectyCube:
    cube = ConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url, **options)
    cube.login(login="a", password="secret-of-a")
    return cube


def say(cube: Any, text: str) -> Any:
    return cube.messages.create(chat_dialog_id=DIALOG, message=text)


EXPLICIT: dict[str, Any] = {
    "logout": (lambda cube: cube.logout(), None),
    "login": (lambda cube: cube.login(login="b", password="secret-of-b"), 2),
    "use_session": (lambda cube: cube.use_session("from elsewhere", 3), 3),
}


@pytest.mark.parametrize("kind", EXPLICIT)
def test_explicit_call_overrides_a_renewal(platform: Platform, kind: str) -> None:
    act, user_id = EXPLICIT[kind]
    with signed_in(platform) as cube, ThreadPoolExecutor(2) as threads:
        platform.hold()
        calls = [threads.submit(say, cube, "from a") for _ in range(2)]
        assert platform.asked.wait(60)
        act(cube)
        platform.release.set()
        for call in calls:
            with pytest.raises(errors.SessionExpired):
                call.result()
        session = cube.session
        assert (session.user_id if session else None) == user_id
        assert platform.accepted == []
        if kind == "login":
            say(cube, "from b")
            assert platform.accepted == [("b", "from b")]


def test_call_of_the_same_user_is_repeated_after_a_login(platform: Platform) -> None:
    with signed_in(platform) as cube, ThreadPoolExecutor(1) as threads:
        platform.hold()
        call = threads.submit(say, cube, "from a")
        assert platform.asked.wait(60)
        platform.release.set()
        cube.login(login="a", password="secret-of-a")
        call.result()
        assert platform.accepted == [("a", "from a")]


def test_renewals_against_logins(platform: Platform) -> None:
    """A task's call begins as the user who is signed in when it is made: nothing runs between."""

    async def run(rounds: int) -> None:
        async with AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url, max_retries=0) as cube:
            for number in range(rounds):
                user, other = "ab"[number % 2], "ba"[number % 2]
                session = await cube.login(login=user, password="secret")
                platform.valid.discard(session.token or "")
                calls = [asyncio.ensure_future(say(cube, f"from {user}")) for _ in range(2)]
                await asyncio.sleep(0)
                await cube.login(login=other, password="secret")
                for error in await asyncio.gather(*calls, return_exceptions=True):
                    assert not isinstance(error, BaseException) or isinstance(error, errors.SessionExpired)
                assert cube.session is not None
                assert cube.session.user_id == IDS[other]
                await say(cube, f"from {other}")

    async def run_all() -> None:
        await asyncio.gather(*(run(ROUNDS // 20) for _ in range(20)))

    asyncio.run(run_all())
    assert [(who, text) for who, text in platform.accepted if text != f"from {who}"] == []
    assert len(platform.accepted) >= ROUNDS


def test_retry_keeps_the_user(platform: Platform, waits: list[float]) -> None:
    """The program logs in as somebody else while a call waits for its next attempt."""
    with signed_in(platform) as cube:

        def busy(_: Request) -> Answer:
            cube.login(login="b", password="secret")
            return Answer(503)

        platform.server.on("GET", "/chat/Dialog", busy, Answer(200, {"items": []}))
        cube.dialogs.list()
    tokens = [request.header("CB-Token") or "" for request in platform.server.to("/chat/Dialog")]
    assert [platform.owners[token] for token in tokens] == ["a", "a"]


def test_logout_leaves_a_session_that_was_opened_meanwhile(platform: Platform) -> None:
    with signed_in(platform) as cube:

        def end(_: Request) -> Answer:
            cube.login(login="b", password="secret")
            return Answer(200)

        platform.server.on("DELETE", "/session", end)
        cube.logout()
        assert cube.session is not None
        assert cube.session.user_id == 2


# -- failures


def test_each_caller_gets_its_own_exception(platform: Platform) -> None:
    with signed_in(platform) as cube, ThreadPoolExecutor(20) as threads:
        platform.hold()

        def refuse(_: Request) -> Answer:
            platform.asked.set()
            return Answer(401, {"errors": ["no"]}, stall=platform.release)

        platform.server.on("POST", "/login", refuse)
        calls = [threads.submit(say, cube, "from a") for _ in range(20)]
        assert platform.asked.wait(60)
        platform.release.set()
        found = [call.exception() for call in calls]
    assert len({id(error) for error in found}) == 20
    assert {type(error) for error in found} <= {errors.Unauthorized, errors.SessionExpired}


INTERRUPTED = """
import os, signal, sys, threading
from connectycube.rest import ConnectyCube

asked, waiting, interrupted = threading.Event(), threading.Event(), threading.Event()
hooks = []

def hook(cube):
    hooks.append(threading.current_thread())
    if hooks[-1] is not threading.main_thread():
        return "new"
    asked.set()
    waiting.wait(60)
    os.kill(os.getpid(), signal.SIGINT)
    interrupted.wait(60)

cube = ConnectyCube(1, "key", base_url=sys.argv[1], token="old", on_session_expired=hook)

def work():
    asked.wait(60)
    threading.Timer(0.1, waiting.set).start()
    print(cube.dialogs.list().items, flush=True)

thread = threading.Thread(target=work)
thread.start()
try:
    cube.dialogs.list()
except KeyboardInterrupt:
    print("interrupted", flush=True)
thread.join()
"""


def test_interrupt_in_one_thread_leaves_the_others_alone(server: Server) -> None:
    def answer(request: Request) -> Answer:
        return Answer(200, {"items": []}) if request.header("CB-Token") == "new" else GONE

    server.on("GET", "/chat/Dialog", answer)
    command = [sys.executable, "-c", INTERRUPTED, server.url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert sorted(run.stdout.split()) == ["[]", "interrupted"], run.stderr


def test_failed_renewal_without_its_caller_is_quiet(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url, max_retries=0) as cube:
            await cube.login(login="a", password="secret")
            platform.hold()
            platform.server.on("POST", "/login", Answer(401, {"errors": ["no"]}, stall=platform.release))
            task = asyncio.ensure_future(say(cube, "from a"))
            while not platform.server.to("/login")[1:]:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            platform.release.set()
            with pytest.raises(errors.ConnectyCubeError):
                await say(cube, "from a")

    asyncio.run(run())
    assert [record for record in caplog.records if record.name == "asyncio"] == []


# -- hooks


def test_hook_that_waits_for_a_call_in_another_thread_does_not_deadlock(platform: Platform) -> None:
    platform.server.on("GET", "/chat/Dialog", GONE)
    found: list[BaseException | None] = []

    def hook(cube: ConnectyCube) -> None:
        with ThreadPoolExecutor(1) as threads:
            found.append(threads.submit(cube.dialogs.list).exception())

    url = platform.server.url
    with (
        ConnectyCube(APP_ID, AUTH_KEY, base_url=url, token="old", timeout=0.5, on_session_expired=hook) as cube,
        pytest.raises(errors.SessionExpired),
    ):
        cube.dialogs.list()
    assert [type(error) for error in found] == [errors.RequestTimeout]


def test_renewal_in_a_hook_of_another_client(both: Both, platform: Platform) -> None:
    """A hook may use a client that has lost its own session: it renews that one, too."""
    with signed_in(platform) as other:

        def hook(_: Any) -> str:
            say(other, "from a")
            platform.valid.add("new")
            platform.owners["new"] = "a"
            return "new"

        platform.valid.clear()
        cube = both.cube(platform.server.url, token="old", on_session_expired=both.hook(hook))
        say(cube, "from new")
    assert [text for _, text in platform.accepted] == ["from a", "from new"]
