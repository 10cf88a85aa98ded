"""Which calls are made again, how often, and after how long a wait."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any

import pytest

from connectycube.rest import ConnectyCube, errors
from tests.rest.both import Both, raw
from tests.rest.server import Answer, Request, Server, free_port

DIALOG = "66f1a7c2e4b0d93a51c8e110"
RECORD = {"_id": DIALOG}

Call = Callable[[ConnectyCube], Any]

IDEMPOTENT: dict[str, tuple[str, str, Any, Call]] = {
    "get": ("GET", "/chat/Dialog", {"items": []}, lambda cube: cube.dialogs.list()),
    "put": ("PUT", f"/chat/Dialog/{DIALOG}", RECORD, lambda cube: cube.dialogs.update(DIALOG, name="Ropes")),
    "delete": ("DELETE", f"/chat/Dialog/{DIALOG}", b"", lambda cube: cube.dialogs.delete(DIALOG)),
}
REPEATED_ONCE: dict[str, tuple[str, str, Any, Call]] = {
    "post": ("POST", "/chat/Dialog", RECORD, lambda cube: cube.dialogs.create(type=3, occupants_ids=[81002])),
    "put that adds": (
        "PUT",
        f"/data/Route/{DIALOG}",
        RECORD,
        lambda cube: cube.custom_objects.update("Route", DIALOG, inc={"climbed": 1}),
    ),
    "get that mails": (
        "GET",
        "/users/password/reset",
        b"",
        lambda cube: cube.users.reset_password(email="mary@mail.example"),
    ),
}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("kind", IDEMPOTENT)
def test_idempotent_call_is_retried_after_a_transient_status(
    both: Both, server: Server, waits: list[float], kind: str, status: int
) -> None:
    method, path, body, call = IDEMPOTENT[kind]
    server.on(method, path, Answer(status), Answer(status), Answer(200, body))
    call(both.cube(server.url))
    assert len(server.to(path)) == 3
    assert len(waits) == 2


@pytest.mark.parametrize("kind", IDEMPOTENT)
def test_each_attempt_sends_the_same_request(both: Both, server: Server, waits: list[float], kind: str) -> None:
    method, path, body, call = IDEMPOTENT[kind]
    server.on(method, path, Answer(503), Answer(200, body))
    call(both.cube(server.url))
    first, second = server.to(path)
    assert first == second


def test_ids_of_a_generator_are_sent_again(both: Both, server: Server, waits: list[float]) -> None:
    server.on("PUT", "/chat/Dialog/d1", Answer(503), Answer(200, {"_id": "d1"}))
    both.cube(server.url).dialogs.update("d1", push_all={"occupants_ids": (81001 + number for number in (1, 2))})
    bodies = [json.loads(request.body) for request in server.to("/chat/Dialog/d1")]
    assert bodies == [{"push_all": {"occupants_ids": [81002, 81003]}}] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501, 505, 520, 999])
def test_permanent_error_is_not_retried(both: Both, server: Server, waits: list[float], status: int) -> None:
    server.on("GET", "/chat/Dialog", Answer(status, {"errors": ["no"]}))
    with pytest.raises(errors.ApiError):
        both.cube(server.url).dialogs.list()
    assert len(server.requests) == 1
    assert waits == []


@pytest.mark.parametrize("max_retries", [0, 1, 2, 5])
def test_number_of_attempts_is_limited(both: Both, server: Server, waits: list[float], max_retries: int) -> None:
    server.on("GET", "/chat/Dialog", Answer(503, {"errors": {"base": ["busy"]}}))
    cube = both.cube(server.url, max_retries=max_retries)
    with pytest.raises(errors.Unavailable, match="busy"):
        cube.dialogs.list()
    assert len(server.requests) == 1 + max_retries


def test_copy_has_its_own_number_of_attempts(both: Both, server: Server, waits: list[float]) -> None:
    server.on("GET", "/chat/Dialog", Answer(503))
    cube = both.cube(server.url, max_retries=4)
    for client, attempts in ((cube.with_options(max_retries=0), 1), (cube.with_options(max_retries=1), 2), (cube, 5)):
        server.requests.clear()
        with pytest.raises(errors.Unavailable):
            client.dialogs.list()
        assert len(server.requests) == attempts


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "2", None])
def test_invalid_number_of_attempts_is_rejected(both: Both, wrong: object) -> None:
    with pytest.raises(errors.ConfigurationError, match="max_retries"):
        both.cube("http://127.0.0.1:9", max_retries=wrong)


@pytest.mark.parametrize("status", [408, 500, 503])
@pytest.mark.parametrize("kind", REPEATED_ONCE)
def test_call_the_server_may_have_handled_is_not_retried(
    both: Both, server: Server, waits: list[float], kind: str, status: int
) -> None:
    method, path, _, call = REPEATED_ONCE[kind]
    server.on(method, path, Answer(status))
    with pytest.raises(errors.ApiError):
        call(both.cube(server.url))
    assert len(server.requests) == 1
    assert waits == []


@pytest.mark.parametrize("kind", REPEATED_ONCE)
def test_call_the_server_was_too_busy_for_is_retried(both: Both, server: Server, waits: list[float], kind: str) -> None:
    method, path, body, call = REPEATED_ONCE[kind]
    server.on(method, path, Answer(429, headers={"Retry-After": "2"}), Answer(200, body))
    call(both.cube(server.url))
    first, second = server.requests
    assert first == second
    assert waits == [2.0]


@pytest.mark.parametrize("lost", [Answer(close=True), Answer(504)])
def test_deletion_that_finds_nothing_when_retried_is_done(
    both: Both, server: Server, waits: list[float], lost: Answer
) -> None:
    server.on("DELETE", f"/chat/Dialog/{DIALOG}", lost, Answer(404))
    both.cube(server.url).dialogs.delete(DIALOG)
    assert len(server.requests) == 2


def test_deletion_that_finds_nothing_is_an_error(both: Both, server: Server, waits: list[float]) -> None:
    server.on("DELETE", f"/chat/Dialog/{DIALOG}", Answer(429), Answer(404))
    with pytest.raises(errors.NotFound):
        both.cube(server.url).dialogs.delete(DIALOG)


@pytest.mark.parametrize("broken", ["close", "reset", "cut"])
@pytest.mark.parametrize("kind", REPEATED_ONCE)
def test_sent_call_is_not_retried_after_a_broken_connection(
    both: Both, server: Server, waits: list[float], kind: str, broken: str
) -> None:
    method, path, body, call = REPEATED_ONCE[kind]
    server.on(method, path, _broken(broken), Answer(200, body))
    with pytest.raises(errors.ConnectionFailed):
        call(both.cube(server.url))
    assert len(server.requests) == 1


@pytest.mark.parametrize("broken", ["close", "reset", "cut"])
@pytest.mark.parametrize("kind", IDEMPOTENT)
def test_idempotent_call_is_retried_after_a_broken_connection(
    both: Both, server: Server, waits: list[float], kind: str, broken: str
) -> None:
    method, path, body, call = IDEMPOTENT[kind]
    server.on(method, path, _broken(broken), Answer(200, body))
    call(both.cube(server.url))
    assert len(server.requests) == 2


def _broken(how: str) -> Answer:
    return {"close": Answer(close=True), "reset": Answer(reset=True), "cut": Answer(200, b"x" * 100, cut=50)}[how]


@pytest.mark.parametrize("kind", IDEMPOTENT)
def test_idempotent_call_is_retried_after_an_early_reset(
    both: Both, server: Server, waits: list[float], kind: str
) -> None:
    method, path, body, call = IDEMPOTENT[kind]
    server.refuse_before = 2
    server.on(method, path, Answer(200, body))
    call(both.cube(server.url))
    assert len(server.requests) == 1
    assert server.connections == 3


@pytest.mark.parametrize("kind", [*IDEMPOTENT, *REPEATED_ONCE])
def test_any_call_is_retried_while_connections_are_refused(
    both: Both, kind: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wait is used to start the server."""
    method, path, body, call = {**IDEMPOTENT, **REPEATED_ONCE}[kind]
    port = free_port()
    late = Server(port=port)
    late.on(method, path, Answer(200, body))

    def start(_: float) -> None:
        waits.append(0)
        if len(waits) == 2:
            late.start()

    async def astart(seconds: float) -> None:
        start(seconds)

    monkeypatch.setattr("connectycube.rest._retry.sleep", start)
    monkeypatch.setattr("connectycube.rest._retry.asleep", astart)
    try:
        call(both.cube(f"http://127.0.0.1:{port}"))
        assert len(late.to(path)) == 1
        assert len(waits) == 2
    finally:
        late.stop()


def test_closed_port_is_reported_after_the_last_attempt(both: Both, waits: list[float]) -> None:
    cube = both.cube(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(errors.ConnectionFailed) as caught:
        cube.dialogs.create(type=3, occupants_ids=[81002])
    assert caught.value.operation == "dialogs.create"
    assert len(waits) == 2


# -- how long


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(both: Both, server: Server, waits: list[float], status: int) -> None:
    server.on("GET", "/chat/Dialog", Answer(status, headers={"Retry-After": "7"}), Answer(200, {"items": []}))
    both.cube(server.url).dialogs.list()
    assert waits == [7.0]


def test_retry_after_can_be_a_date(both: Both, server: Server, waits: list[float]) -> None:
    def busy(_: Request) -> Answer:
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=12)
        return Answer(503, headers={"Retry-After": format_datetime(until, usegmt=True)})

    server.on("GET", "/chat/Dialog", busy, Answer(200, {"items": []}))
    both.cube(server.url).dialogs.list()
    assert len(waits) == 1
    # The date has whole seconds, and some time has passed since it was written.
    assert 1 < waits[0] <= 12


def test_retry_after_can_be_a_fraction(both: Both, server: Server, waits: list[float]) -> None:
    server.on("GET", "/chat/Dialog", Answer(503, headers={"Retry-After": "1.5"}), Answer(200, {"items": []}))
    both.cube(server.url).dialogs.list()
    assert waits == [1.5]


@pytest.mark.parametrize("hours", [-9, 9])
def test_retry_after_counts_from_the_clock_of_the_server(
    both: Both, server: Server, waits: list[float], hours: int
) -> None:
    now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    until = now + dt.timedelta(seconds=3)
    headers = {"Date": format_datetime(now, usegmt=True), "Retry-After": format_datetime(until, usegmt=True)}
    server.on("GET", "/chat/Dialog", Answer(503, headers=headers), Answer(200, {"items": []}))
    both.cube(server.url).dialogs.list()
    assert waits == [3.0]


def test_error_tells_when_to_try_again(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(429, headers={"Retry-After": "90"}), Answer(429))
    cube = both.cube(server.url, max_retries=0)
    for seconds in (90.0, None):
        with pytest.raises(errors.RateLimited) as caught:
            cube.dialogs.list()
        assert caught.value.retry_after == seconds


@pytest.mark.parametrize("wait", ["31", "3600", "9" * 5000, "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_too_long_retry_after_is_not_waited_for(both: Both, server: Server, waits: list[float], wait: str) -> None:
    server.on("GET", "/chat/Dialog", Answer(429, {"errors": ["slow down"]}, {"Retry-After": wait}))
    with pytest.raises(errors.RateLimited, match="slow down") as caught:
        both.cube(server.url).dialogs.list()
    assert caught.value.headers["retry-after"] == wait
    assert waits == []


@pytest.mark.parametrize("wait", ["", "0", "soon", "-5", "Fri, 31 Dec 1999 23:59:59 GMT", "1e3"])
def test_invalid_retry_after_is_ignored(both: Both, server: Server, waits: list[float], wait: str) -> None:
    server.on("GET", "/chat/Dialog", Answer(503, headers={"Retry-After": wait}), Answer(200, {"items": []}))
    both.cube(server.url).dialogs.list()
    assert len(waits) == 1
    assert 0 <= waits[0] <= 0.5


def test_delays_grow_and_have_jitter(
    both: Both, server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full jitter: from nothing to 0.5 s, 1 s, 2 s and so on, but never over 30 s."""
    bounds: list[tuple[float, float]] = []

    def most(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("connectycube.rest._retry.random.uniform", most)
    server.on("GET", "/chat/Dialog", Answer(503))
    with pytest.raises(errors.Unavailable):
        both.cube(server.url, max_retries=50).dialogs.list()
    assert waits[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert {low for low, _ in bounds} == {0}
    assert max(waits) <= 30
    assert sum(waits) == 60  # the hard cap on all waits of a call
    assert len(server.requests) == 1 + len(waits)


def test_retry_after_is_limited_by_the_hard_cap(both: Both, server: Server, waits: list[float]) -> None:
    """A third wait of 25 s would pass 60 s: it is not cut short, which would come too early, but given up."""
    server.on("GET", "/chat/Dialog", Answer(503, headers={"Retry-After": "25"}))
    with pytest.raises(errors.Unavailable):
        both.cube(server.url, max_retries=50).dialogs.list()
    assert waits == [25.0, 25.0]


# -- the hook


def test_hook_gets_each_failure_and_the_wait(both: Both, server: Server, waits: list[float]) -> None:
    refused = Answer(429, {"errors": ["too many calls"]}, {"Retry-After": "2"})
    server.on("GET", "/chat/Dialog", refused, Answer(close=True), Answer(200, {"items": []}))
    seen: list[tuple[errors.ConnectyCubeError, float]] = []

    def note(error: errors.ConnectyCubeError, seconds: float) -> None:
        assert len(waits) == len(seen), "the hook comes before the wait"
        seen.append((error, seconds))

    async def anote(error: errors.ConnectyCubeError, seconds: float) -> None:
        note(error, seconds)

    cube = both.cube(server.url, on_retry=anote if both.is_async else note)
    both.blocking(raw(cube).with_options(max_retries=3)).dialogs.list()
    first, second = [error for error, _ in seen]
    assert isinstance(first, errors.RateLimited)
    assert (first.operation, first.retry_after) == ("dialogs.list", 2.0)
    assert isinstance(second, errors.ConnectionFailed)
    assert second.operation == "dialogs.list"
    assert [seconds for _, seconds in seen] == waits


def test_hook_is_not_called_without_a_retry(both: Both, server: Server) -> None:
    seen: list[object] = []
    server.on("GET", "/chat/Dialog", Answer(503), Answer(200, {"items": []}))
    cube = both.cube(server.url, on_retry=lambda *given: seen.append(given), max_retries=0)
    with pytest.raises(errors.ServerFailure):
        cube.dialogs.list()
    cube.dialogs.list()
    assert seen == []


def test_hook_can_end_the_call(both: Both, server: Server, waits: list[float]) -> None:
    server.on("GET", "/chat/Dialog", Answer(503))

    def give_up(error: errors.ConnectyCubeError, seconds: float) -> None:
        raise error

    with pytest.raises(errors.Unavailable):
        both.cube(server.url, on_retry=give_up).dialogs.list()
    assert (len(server.requests), waits) == (1, [])
