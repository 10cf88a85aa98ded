"""Make REST calls through either client against a mocked server, and compare them with the spec's examples."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, InvalidArgument, errors

BASE_URL = "https://api.connectycube.com"
APP_ID, AUTH_KEY, ADMIN_KEY, TOKEN = 7001, "the-auth-key", "the-admin-key", "the-session-token"
USER_ID = 81001
"""The session's user in the spec's examples."""

EMPTY: Any = ""
"""In place of a path argument that must not be empty."""

STANDARD_HEADERS = {"accept", "accept-encoding", "cb-sdk", "connection", "host", "user-agent"}
CREDENTIALS = {"cb-token", "cb-authkey", "cb-administration-api-key"}

STATUS_ERRORS = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    422: errors.Unprocessable,
    429: errors.RateLimited,
    503: errors.Unavailable,
}

Make = Callable[[ConnectyCube], object]
"""Makes a call. With the async client it returns an awaitable."""


@dataclass(frozen=True)
class Call:
    """A call, and the request that it must send."""

    make: Make
    url: str
    query: str = ""
    body: Any = None


@dataclass(frozen=True)
class Answer:
    """An answer of the server."""

    status: int
    json: Any = None
    count: int | None = None
    """The number that the operation returns, if it counts."""


@dataclass(frozen=True)
class Operation:
    """The examples of an operation."""

    method: str
    calls: dict[str, Call]
    answers: list[Answer]
    envelope: str = ""
    items: str | None = None
    """The key of a page's items below the envelope, or "" where the items are all there is."""
    item_envelope: str = ""
    identities: list[str] = field(default_factory=list)
    """The keys that each model of a result must have."""
    first: bool = False
    """Returns the first entry of a list."""
    refusals: dict[int, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    without: dict[str, Make] = field(default_factory=dict)
    """Calls with an empty path argument, by its name."""
    idempotent: bool = True

    @property
    def smallest(self) -> Make:
        return self.calls["smallest"].make


def operations() -> dict[str, Operation]:
    """Load the examples of all resources, by `resource.operation`."""
    names = sorted(path.stem for path in Path(__file__).with_name("operations").glob("*.py"))
    modules = {name: import_module(f".operations.{name}", __package__) for name in names}
    return {
        f"{name}.{operation}": examples
        for name, module in modules.items()
        for operation, examples in module.OPERATIONS.items()
    }


class Server:
    """Answers every request with the same response, and records the requests."""

    def __init__(self, status: int, answer: Any = None) -> None:
        self.status = status
        self.content = b"" if answer is None else json.dumps(answer).encode()
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, content=self.content, headers={"Content-Type": "application/json"})


class Client:
    """Makes calls through the sync or the async client."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def run(self, server: Server, make: Make, max_retries: int = 0) -> Any:
        options: dict[str, Any] = {
            "base_url": BASE_URL,
            "admin_key": ADMIN_KEY,
            "max_retries": max_retries,
        }
        if self.mode == "sync":
            with httpx.Client(transport=httpx.MockTransport(server)) as http:
                cube = ConnectyCube(APP_ID, AUTH_KEY, http_client=http, **options)
                cube.use_session(TOKEN, USER_ID)
                return make(cube)

        async def run() -> Any:
            async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
                cube: Any = AsyncConnectyCube(APP_ID, AUTH_KEY, http_client=http, **options)
                cube.use_session(TOKEN, USER_ID)
                return await make(cube)  # type: ignore[misc]

        return asyncio.run(run())

    def check(self, operation: Operation, call: Call, answer: Answer) -> None:
        """Check that the call sends exactly the expected request, and that its result says what the answer says."""
        server = Server(answer.status, answer.json)
        result = self.run(server, call.make)
        assert len(server.requests) == 1
        check_request(server.requests[0], operation, call)
        if answer.count is not None:
            assert result == answer.count
            return
        expected = unwrap(answer.json, operation.envelope)
        if operation.items is not None:
            expected, result = unwrap(expected, operation.items), result.items
        if operation.first:
            expected = expected[0]
        if operation.item_envelope:
            expected = [unwrap(entry, operation.item_envelope) for entry in expected]
        assert canonical(wire(result)) == canonical(expected)
        for model in result if isinstance(result, list) else [result]:
            if hasattr(model, "to_dict"):
                assert type(model).from_dict(model.to_dict()) == model

    def check_identity(self, operation: Operation, key: str) -> None:
        """Check that an answer without an identity is not read, and that the error names operation and field."""
        answer = operation.answers[0]
        server = Server(answer.status, without(key, answer.json))
        with pytest.raises(errors.DecodeError) as caught:
            self.run(server, operation.smallest)
        assert f" has no {key} " in str(caught.value)
        assert caught.value.operation in str(caught.value)
        assert caught.value.operation
        assert len(server.requests) == 1

    def check_refusal(self, make: Make, status: int, answer: Any) -> None:
        """Check that a refusal raises its class of error, with everything that the server said."""
        server = Server(status, answer)
        with pytest.raises(errors.ApiError) as caught:
            self.run(server, make)
        default = errors.ServerFailure if status >= 500 else errors.ApiError
        assert isinstance(caught.value, STATUS_ERRORS.get(status, default))
        assert caught.value.status == status
        assert caught.value.body == answer
        assert caught.value.request is not None
        assert caught.value.errors == answer["errors"]

    def check_argument(self, make: Make, argument: str) -> None:
        """Check that a wrong argument raises before anything is sent."""
        server = Server(200, {})
        with pytest.raises(InvalidArgument) as caught:
            self.run(server, make)
        assert caught.value.argument.startswith(argument)
        assert server.requests == []

    def check_single_attempt(self, make: Make) -> None:
        """Check that a call is not repeated when the server may have carried it out."""
        server = Server(503, {"errors": {"base": ["Service unavailable"]}})
        with pytest.raises(errors.Unavailable):
            self.run(server, make, max_retries=1)
        assert len(server.requests) == 1


def check_request(request: httpx.Request, operation: Operation, call: Call) -> None:
    path, _, query = request.url.raw_path.decode().partition("?")
    assert request.method == operation.method
    assert f"{request.url.scheme}://{request.url.host}{path}" == call.url
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)) == parse_qsl(call.query, True)
    assert (json.loads(request.content) if request.content else None) == call.body
    credentials = {name: request.headers[name] for name in CREDENTIALS if name in request.headers}
    assert credentials == operation.credentials
    further = set(request.headers) - STANDARD_HEADERS - CREDENTIALS
    if call.body is None:
        assert further <= {"content-length"}
    else:
        assert request.headers["content-type"] == "application/json"
        assert further == {"content-length", "content-type"}


def without(key: str, value: Any) -> Any:
    """Copy a value without a key, at any depth."""
    if isinstance(value, list):
        return [without(key, entry) for entry in value]
    if isinstance(value, dict):
        return {name: without(key, entry) for name, entry in value.items() if name != key}
    return value


def unwrap(value: Any, key: str) -> Any:
    return value[key] if key and isinstance(value, dict) and key in value else value


def wire(value: Any) -> Any:
    """Convert a result to its form on the wire."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, list):
        return [wire(entry) for entry in value]
    if isinstance(value, dict):
        return {key: wire(entry) for key, entry in value.items()}
    return value


def canonical(value: Any) -> Any:
    """Remove nulls and empty lists, which mean the same as nothing."""
    if isinstance(value, dict):
        return {key: canonical(entry) for key, entry in value.items() if entry is not None and entry != []}
    if isinstance(value, list):
        return [canonical(entry) for entry in value]
    return value
