"""A session that is gone: renewed once for all calls that lost it, or asked for, or reported."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, errors, models
from tests.rest.both import APP_ID, AUTH_KEY, TOKEN, Both, raw
from tests.rest.server import Answer, Request, Server

PASSWORD = "correct-horse-9"
GONE = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
ITEM = {"_id": "66f1a7c2e4b0d93a51c8e110"}
MANY = 100


class Platform:
    """Gives out tokens and takes only the newest."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.valid = ""
        self.given = 0
        self.lost = 0
        self.all_lost = threading.Event()
        self.wanted = 0
        self._lock = threading.Lock()
        server.on("POST", "/session", self.open)
        server.on("POST", "/login", Answer(200, {"user": {"id": 81001}}))
        server.on("GET", "/chat/Dialog", self.list)

    def open(self, _: Request) -> Answer:
        if self.wanted:
            self.all_lost.wait(30)
        self.given += 1
        self.valid = f"token-{self.given}"
        return Answer(201, {"session": {"id": self.given, "user_id": 81001, "token": self.valid}})

    def list(self, request: Request) -> Answer:
        if request.header("CB-Token") == self.valid:
            return Answer(200, {"items": [ITEM]})
        with self._lock:
            self.lost += 1
            if self.lost == self.wanted:
                self.all_lost.set()
        return GONE

    def expire(self, wanted: int = 0) -> None:
        """End the session. The next one is given once so many calls have been refused."""
        self.valid, self.lost, self.wanted = "", 0, wanted
        self.all_lost.clear()


@pytest.fixture
def platform(server: Server) -> Platform:
    return Platform(server)


def signed_in(both: Both, platform: Platform, **options: Any) -> ConnectyCube:
    cube = both.cube(platform.server.url, token=None, **options)
    cube.login(login="mary", password=PASSWORD)
    return cube


def dialogs(cube: ConnectyCube) -> Any:
    return cube.dialogs.list()


def test_lost_session_is_renewed_with_the_same_password(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    platform.expire()
    assert len(cube.dialogs.list().items) == 1
    for path in ("/session", "/login"):
        first, second = platform.server.to(path)
        assert first.json() == second.json()
    assert cube.session is not None
    assert cube.session.token == "token-2"
    platform.expire()
    assert len(cube.dialogs.list().items) == 1
    assert platform.given == 3


def test_concurrent_calls_renew_once(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    platform.expire(wanted=MANY)
    answers = both.gather(cube, dialogs, MANY)
    assert [type(answer).__name__ for answer in answers] == ["AsyncPage" if both.is_async else "Page"] * MANY
    assert platform.lost == MANY
    assert platform.given == 2
    assert len(platform.server.to("/chat/Dialog")) == 2 * MANY


def test_failed_renewal_reaches_every_call(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    platform.expire(wanted=MANY)

    def refuse(_: Request) -> Answer:
        platform.all_lost.wait(30)
        return Answer(401, {"errors": ["Unauthorized"]})

    platform.server.on("POST", "/session", refuse)
    answers = both.gather(cube, dialogs, MANY)
    assert len(answers) == MANY
    # A call whose refusal arrives when the renewal is over does not begin another.
    assert {type(answer) for answer in answers} <= {errors.Unauthorized, errors.SessionExpired}
    assert errors.Unauthorized in {type(answer) for answer in answers}
    assert len(platform.server.to("/session")) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(close=True), errors.ConnectionFailed),
        (Answer(503), errors.Unavailable),
        (Answer(201, b"<html>"), errors.DecodeError),
        (Answer(201, {"session": {}}), errors.DecodeError),
        (GONE, errors.SessionExpired),
    ],
)
def test_next_call_retries_a_failed_renewal(
    both: Both, platform: Platform, answer: Answer, kind: type[errors.ConnectyCubeError]
) -> None:
    cube = signed_in(both, platform)
    platform.expire()
    platform.server.on("POST", "/session", answer)
    for _ in range(2):
        with pytest.raises(kind) as caught:
            cube.dialogs.list()
        assert caught.value.operation == "sessions.create"
    platform.server.on("POST", "/session", platform.open)
    assert len(cube.dialogs.list().items) == 1


def test_call_renews_at_most_once(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    platform.server.on("GET", "/chat/Dialog", GONE)
    with pytest.raises(errors.SessionExpired) as caught:
        cube.dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert platform.given == 2
    assert len(platform.server.to("/chat/Dialog")) == 2


def test_post_is_repeated_with_the_new_session(both: Both, platform: Platform) -> None:
    """The server refused it, so nothing was done."""
    cube = signed_in(both, platform)
    platform.server.on("POST", "/chat/Dialog", GONE, Answer(201, ITEM))
    cube.dialogs.create(type=3, occupants_ids=[81002])
    first, second = platform.server.to("/chat/Dialog")
    assert first.body == second.body
    assert second.header("CB-Token") == "token-2"


def test_ordinary_401_does_not_renew(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    platform.server.on("GET", "/chat/Dialog", Answer(401, {"errors": {"base": ["Unauthorized"]}}))
    with pytest.raises(errors.Unauthorized):
        cube.dialogs.list()
    assert platform.given == 1


SESSION_CALLS: dict[str, tuple[str, str, Callable[[ConnectyCube], Any]]] = {
    "get": ("GET", "/session", lambda cube: cube.sessions.get()),
    "delete": ("DELETE", "/session", lambda cube: cube.sessions.delete()),
    "delete by id": ("DELETE", "/session/7", lambda cube: cube.sessions.delete_by_id(7)),
    "delete others": ("DELETE", "/session/list", lambda cube: cube.sessions.delete_others()),
    "login": ("POST", "/login", lambda cube: cube.sessions.login(login="mary", password=PASSWORD)),
    "logout": ("DELETE", "/login", lambda cube: cube.sessions.logout()),
}


@pytest.mark.parametrize("kind", SESSION_CALLS)
def test_session_calls_do_not_renew(both: Both, platform: Platform, kind: str) -> None:
    method, path, call = SESSION_CALLS[kind]
    cube = signed_in(both, platform)
    before = len(platform.server.requests)
    platform.server.on(method, path, GONE)
    with pytest.raises(errors.SessionExpired):
        call(cube)
    assert platform.given == 1
    assert len(platform.server.requests) == before + 1


def test_loss_is_reported_without_password_or_hook(both: Both, platform: Platform) -> None:
    cube = both.cube(platform.server.url, token="token-from-elsewhere")
    with pytest.raises(errors.SessionExpired) as caught:
        cube.dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert platform.given == 0


def test_renewal_by_a_copy_is_shared(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    copy = cube.with_options(timeout=5)
    platform.expire()
    copy.dialogs.list()
    cube.dialogs.list()
    assert platform.given == 2


def test_raw_call_renews_the_session(both: Both, platform: Platform) -> None:
    cube = signed_in(both, platform)
    platform.expire()
    assert cube.dialogs.with_raw_response.list().status == 200


# -- the hook


def asked(both: Both, platform: Platform, answer: Callable[[Any], Any]) -> tuple[ConnectyCube, list[Any]]:
    """A client with a session that is gone and a hook; and whom the hook was given."""
    clients: list[Any] = []

    def hook(cube: Any) -> Any:
        clients.append(cube)
        return answer(cube)

    platform.valid = "token-from-hook"
    cube = both.cube(platform.server.url, on_session_expired=both.hook(hook))
    return cube, clients


def test_hook_returns_a_token(both: Both, platform: Platform) -> None:
    cube, clients = asked(both, platform, lambda _: "token-from-hook")
    assert len(cube.dialogs.list().items) == 1
    assert clients == [raw(cube)]
    assert cube.session is not None
    assert cube.session.token == "token-from-hook"


def test_hook_returns_a_session(both: Both, platform: Platform) -> None:
    given = models.Session(token="token-from-hook", user_id=81001)
    cube, clients = asked(both, platform, lambda _: given)
    assert len(cube.dialogs.list().items) == 1
    assert len(clients) == 1
    assert cube.session is given


def test_async_client_accepts_a_plain_function_hook(platform: Platform) -> None:
    platform.valid = "token-from-hook"

    async def run() -> None:
        async with AsyncConnectyCube(
            base_url=platform.server.url, token=TOKEN, on_session_expired=lambda _: "token-from-hook"
        ) as cube:
            assert len((await cube.dialogs.list()).items) == 1

    asyncio.run(run())


@pytest.mark.parametrize("given", [None, TOKEN, models.Session(token=TOKEN)])
def test_hook_without_a_new_session_reports_the_loss(both: Both, platform: Platform, given: Any) -> None:
    cube, clients = asked(both, platform, lambda _: given)
    for calls in (1, 2):
        with pytest.raises(errors.SessionExpired) as caught:
            cube.dialogs.list()
        assert caught.value.operation == "dialogs.list"
        assert len(clients) == calls
    assert len(platform.server.to("/chat/Dialog")) == 2


@pytest.mark.parametrize("given", [7, "", object(), {"token": "token-from-hook"}, models.Session(token="")])
def test_invalid_hook_result_is_rejected(both: Both, platform: Platform, given: Any) -> None:
    cube, _ = asked(both, platform, lambda _: given)
    with pytest.raises(errors.ConfigurationError, match="on_session_expired must return"):
        cube.dialogs.list()


class HookFailed(Exception):
    pass


def test_hook_exception_reaches_the_call_and_the_next_call_retries(both: Both, platform: Platform) -> None:
    def fail(_: Any) -> Any:
        raise HookFailed

    cube, clients = asked(both, platform, fail)
    for calls in (1, 2):
        with pytest.raises(HookFailed):
            cube.dialogs.list()
        assert len(clients) == calls


def test_concurrent_calls_run_the_hook_once(both: Both, platform: Platform) -> None:
    cube, clients = asked(both, platform, lambda _: "token-from-hook")
    answers = both.gather(cube, dialogs, MANY)
    assert {type(answer).__name__ for answer in answers} == {"AsyncPage" if both.is_async else "Page"}
    assert len(clients) == 1


def test_hook_logs_in_with_the_same_client(platform: Platform) -> None:
    def hook(cube: ConnectyCube) -> models.Session:
        return cube.login(login="mary", password=PASSWORD)

    with ConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url, token=TOKEN, on_session_expired=hook) as cube:
        assert len(cube.dialogs.list().items) == 1
        platform.expire()
        # The login's password is kept, so that the hook is not needed again.
        cube._on_session_expired = None
        assert len(cube.dialogs.list().items) == 1
    assert platform.given == 2


def test_async_hook_logs_in_with_the_same_client(platform: Platform) -> None:
    async def hook(cube: AsyncConnectyCube) -> None:
        await cube.login(login="mary", password=PASSWORD)

    async def run() -> None:
        async with AsyncConnectyCube(
            APP_ID, AUTH_KEY, base_url=platform.server.url, token=TOKEN, on_session_expired=hook
        ) as cube:
            pages = await asyncio.gather(*(cube.dialogs.list() for _ in range(MANY)))
            assert [len(page.items) for page in pages] == [1] * MANY

    asyncio.run(run())
    assert platform.given == 1


def test_session_calls_inside_the_hook_do_not_deadlock(platform: Platform) -> None:
    found: list[BaseException] = []

    def hook(cube: ConnectyCube) -> None:
        try:
            cube.dialogs.list()
        except errors.SessionExpired as error:
            found.append(error)

    with (
        ConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url, token=TOKEN, on_session_expired=hook) as cube,
        pytest.raises(errors.SessionExpired),
    ):
        cube.dialogs.list()
    assert len(found) == 1


# -- tasks that are cancelled


@pytest.mark.parametrize("cancelled", ["the first", "another", "all"])
def test_cancelled_task_does_not_affect_others(platform: Platform, cancelled: str) -> None:
    release = threading.Event()

    def slow(request: Request) -> Answer:
        release.wait(30)
        return platform.open(request)

    async def run() -> None:
        async with AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url) as cube:
            await cube.login(login="mary", password=PASSWORD)
            platform.expire()
            platform.server.on("POST", "/session", slow)
            tasks = [asyncio.ensure_future(cube.dialogs.list()) for _ in range(10)]
            while len(platform.server.to("/session")) < 2 or platform.lost < 10:
                await asyncio.sleep(0)
            chosen = {"the first": tasks[:1], "another": tasks[5:6], "all": tasks}[cancelled]
            for task in chosen:
                task.cancel()
            done = await asyncio.gather(*chosen, return_exceptions=True)
            assert {type(result) for result in done} == {asyncio.CancelledError}
            release.set()
            rest = [task for task in tasks if task not in chosen]
            assert [len(page.items) for page in await asyncio.gather(*rest)] == [1] * len(rest)
            assert len((await cube.dialogs.list()).items) == 1
            assert platform.given == 2

    asyncio.run(run())


def test_client_survives_an_event_loop_ending_during_renewal(platform: Platform) -> None:
    """`asyncio.run` cancels the renewal; the next loop makes a new one."""
    release = threading.Event()
    cube = AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=platform.server.url)

    async def first() -> None:
        await cube.login(login="mary", password=PASSWORD)
        platform.expire()
        platform.server.on("POST", "/session", Answer(503, stall=release))
        task = asyncio.ensure_future(cube.dialogs.list())
        while len(platform.server.to("/session")) < 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def second() -> None:
        async with cube:
            assert len((await cube.dialogs.list()).items) == 1

    with warnings.catch_warnings():
        # The connections of a loop that has ended can't be closed any more.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            asyncio.run(first())
            platform.server.on("POST", "/session", platform.open)
            asyncio.run(second())
        finally:
            release.set()
        gc.collect()
