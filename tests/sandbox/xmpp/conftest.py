"""Fixtures: users of a sandbox, and raw connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectycube.sandbox import Sandbox

from .raw import Connect, Group, Raw, User

PASSWORD = "pass"


@pytest.fixture
def user(sandbox: Sandbox) -> User:
    """Return a function that creates a user."""
    return lambda login: sandbox.create_user(login, PASSWORD).id


@pytest.fixture
def mary(user: User) -> int:
    return user("mary")


@pytest.fixture
def joe(user: User) -> int:
    return user("joe")


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Connect]:
    """Return a function that connects a user, up to the initial presence."""
    with ExitStack() as stack:

        def connected(user_id: int, resource: str | None = None, **options: Any) -> Raw:
            return stack.enter_context(Raw(sandbox)).enter(user_id, resource, **options)

        yield connected


@pytest.fixture
def raw(sandbox: Sandbox) -> Iterator[Callable[..., Raw]]:
    """Return a function that opens a connection."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Raw(sandbox, **options))


@pytest.fixture
def group(sandbox: Sandbox) -> Group:
    """Return a function that creates a group dialog of a user with others."""

    def made(owner: int, *others: int, type: int = 2) -> str:
        fields = {"type": type, "name": "Climbers", "occupants_ids": list(others)}
        return str(sandbox.call(sandbox.core.dialogs.create, owner, fields).id)

    return made
