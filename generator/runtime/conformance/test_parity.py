"""Parity of the sync and the async client: names, signatures, annotations, docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube

from .rest import operations

METHODS: dict[str, set[str]] = {}
for operation in operations():
    resource, _, method = operation.partition(".")
    METHODS.setdefault(resource, set()).add(method)


def public_methods(cls: type) -> dict[str, Callable[..., Any]]:
    return {
        name: value
        for name, value in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and name not in ("close", "aclose")
    }


def same_methods(sync: type, other: type) -> None:
    """Check that the methods differ only in `async` and in the types that have a sync twin."""
    ours, theirs = public_methods(sync), public_methods(other)
    assert set(ours) == set(theirs)
    for name in ours:
        twin = re.sub(r"\b(Async|Pending)(?=(Page|Source)\b)", "", str(inspect.signature(theirs[name])))
        assert twin == str(inspect.signature(ours[name]))
        assert inspect.getdoc(ours[name])
        assert inspect.getdoc(ours[name]) == inspect.getdoc(theirs[name])
        assert not inspect.iscoroutinefunction(ours[name])


@pytest.mark.parametrize("name", METHODS)
def test_resource(name: str) -> None:
    sync, other = (type(getattr(client, name)) for client in (ConnectyCube(1, "key"), AsyncConnectyCube(1, "key")))
    assert other.__name__ == f"Async{sync.__name__}"
    assert METHODS[name] <= set(public_methods(sync))
    same_methods(sync, other)


@pytest.mark.parametrize("name", METHODS)
def test_raw_responses(name: str) -> None:
    for client in (ConnectyCube(1, "key"), AsyncConnectyCube(1, "key")):
        resource = getattr(client, name)
        raw = resource.with_raw_response
        assert type(raw).__name__ == f"{type(resource).__name__}WithRawResponse"
        own = set(public_methods(type(resource))) & set(vars(type(resource)))
        assert own == {method for method in vars(raw) if not method.startswith("_")}


def test_clients() -> None:
    same_methods(ConnectyCube, AsyncConnectyCube)
