"""Pytest fixtures: a sandbox for the whole run, reset before each test, and in async tests its bots and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from connectycube.chat import AsyncChat
    from connectycube.rest import AsyncConnectyCube

    from . import Sandbox
    from ._sandbox import Runnable, Who
    from .domain.accounts import User

__all__ = [
    "connectycube_bot",
    "connectycube_chat",
    "connectycube_rest",
    "connectycube_sandbox",
    "connectycube_sandbox_server",
]


@pytest.fixture(scope="session")
def connectycube_sandbox_server() -> Iterator[Sandbox]:
    """Start the server. Override this fixture to use your own settings."""
    # Imported here because most runs of pytest don't use it.
    from . import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def connectycube_sandbox(connectycube_sandbox_server: Sandbox) -> Sandbox:
    """Return a local ConnectyCube, as if it had just been started."""
    connectycube_sandbox_server.reset()
    return connectycube_sandbox_server


def _asyncio_fixture(call: Callable[[], AsyncIterator[AsyncExitStack]]) -> Any:
    """Make a fixture that pytest-asyncio runs even in its strict mode."""
    try:
        from pytest_asyncio import fixture
    except ModuleNotFoundError:
        return pytest.fixture(call)
    return fixture(call)


@pytest.fixture
async def _connectycube_anyio_stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@_asyncio_fixture
async def _connectycube_asyncio_stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def _connectycube_stack(request: pytest.FixtureRequest) -> AsyncExitStack:
    """Return what ends with the test, in its event loop: each plugin runs only its own async fixtures there."""
    plugin = "anyio" if "anyio_backend" in request.fixturenames else "asyncio"
    stack: AsyncExitStack = request.getfixturevalue(f"_connectycube_{plugin}_stack")
    return stack


@pytest.fixture
def connectycube_bot(
    connectycube_sandbox: Sandbox, _connectycube_stack: AsyncExitStack
) -> Callable[..., Awaitable[User]]:
    """Return a function that runs a bot until the test ends: `Sandbox.bot`, awaited."""

    async def run(bot: Runnable, user: Who = "bot", *, store: str = "memory") -> User:
        return await _connectycube_stack.enter_async_context(connectycube_sandbox.bot(bot, user, store=store))

    return run


@pytest.fixture
def connectycube_chat(
    connectycube_sandbox: Sandbox, _connectycube_stack: AsyncExitStack
) -> Callable[..., Awaitable[AsyncChat]]:
    """Return a function that connects a user to the chat until the test ends: `Sandbox.chat`, awaited."""

    async def connect(user: Who | AsyncConnectyCube, **options: object) -> AsyncChat:
        return await _connectycube_stack.enter_async_context(connectycube_sandbox.chat(user, **options))

    return connect


@pytest.fixture
def connectycube_rest(
    connectycube_sandbox: Sandbox, _connectycube_stack: AsyncExitStack
) -> Callable[..., Awaitable[AsyncConnectyCube]]:
    """Return a function that logs a user in to REST until the test ends: `Sandbox.rest`, awaited."""

    async def log_in(user: Who, **options: object) -> AsyncConnectyCube:
        return await _connectycube_stack.enter_async_context(connectycube_sandbox.rest(user, **options))

    return log_in
