"""A wrong argument raises InvalidArgument with its name, and nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, InvalidArgument

from .lists import client
from .signatures import ASYNC_METHODS, METHODS, call, hints, parameters, smallest, wrong


def refuse(request: httpx.Request) -> NoReturn:
    raise AssertionError(f"sent {request.method} {request.url}")


def refused(cube: ConnectyCube, name: str, arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(cube, name, arguments)
    named = caught.value.argument
    assert argument in named.split(" or ") or named.startswith(f"{argument}["), (named, arguments)
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize("name", METHODS)
def test_minimal_call_is_sent(name: str) -> None:
    sent: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(400, json={"errors": {}})

    with client(take, max_retries=0) as cube, pytest.raises(Exception, match="refused with 400"):
        call(cube, name, smallest(name))
    assert len(sent) == 1


@pytest.mark.parametrize("name", METHODS)
def test_value_of_the_wrong_type(name: str) -> None:
    annotations = hints(METHODS[name])
    arguments = smallest(name)
    with client(refuse) as cube:
        for argument in parameters(METHODS[name]):
            if argument == "filters":
                continue
            for value in wrong(annotations[argument]):
                refused(cube, name, {**arguments, argument: value}, argument)


@pytest.mark.parametrize("name", METHODS)
def test_none_for_a_required_value(name: str) -> None:
    with client(refuse) as cube:
        for argument, parameter in parameters(METHODS[name]).items():
            if parameter.default is parameter.empty:
                refused(cube, name, {**smallest(name), argument: None}, argument)


def path_arguments(method: Callable[..., Any]) -> list[str]:
    return [name for name in parameters(method) if f"{{{name}}}" in (method.__doc__ or "")]


@pytest.mark.parametrize("value", ["", " ", "\t\n", ".", "..", ["a", ""], ["a", ".."], ["a", "\ud800"], []], ids=ascii)
def test_ids_in_the_path(value: Any) -> None:
    with client(refuse) as cube:
        for name, method in METHODS.items():
            for argument in path_arguments(method):
                refused(cube, name, {**smallest(name), argument: value}, argument)


def test_negative_ids_in_the_path() -> None:
    with client(refuse) as cube:
        for name, method in METHODS.items():
            for argument in path_arguments(method):
                refused(cube, name, {**smallest(name), argument: -1}, argument)


def test_async_client_rejects_the_same_arguments() -> None:
    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
            cube = AsyncConnectyCube("1", "key", http_client=http, token="token", admin_key="admin")
            for name, method in ASYNC_METHODS.items():
                for argument in parameters(method):
                    with pytest.raises(InvalidArgument) as caught:
                        await call(cube, name, {**smallest(name), argument: object()})
                    assert caught.value.argument == argument

    asyncio.run(run())


def test_unknown_argument_is_a_type_error() -> None:
    with client(refuse) as cube:
        for name in METHODS:
            with pytest.raises(TypeError, match="unexpected keyword"):
                call(cube, name, {**smallest(name), "no_such_argument": 1})
