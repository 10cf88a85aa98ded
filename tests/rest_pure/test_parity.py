"""The sync and the async client are the same, but for `await`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.rest.pages import AsyncPage, Page

from .signatures import METHODS, resources

SYNC_WORDS = {
    "AsyncConnectyCube": "ConnectyCube",
    "AsyncPage": "Page",
    "PendingPage": "Page",
    "AsyncIterator": "Iterator",
    "AsyncClient": "Client",
    "AsyncSource": "Source",
    "An async client": "A blocking client",
    "For one event loop at a time.": "Safe to share between threads.",
    " with `async for`": "",
    "; may be a coroutine function": "",
}
"""What the async client says in other words."""


def plain(text: str) -> str:
    """A text of the async client as the sync one has it, on one line."""
    for mine, theirs in SYNC_WORDS.items():
        text = text.replace(mine, theirs)
    text = re.sub(r"Awaitable\[([^\[\]]+)\] \| \1", r"\1", text)
    return " ".join(text.split())


def signature(function: Callable[..., Any]) -> list[tuple[str, Any, Any, str]]:
    found = inspect.signature(function)
    return [
        (name, entry.kind, entry.default, plain(str(entry.annotation))) for name, entry in found.parameters.items()
    ] + [("return", None, None, plain(str(found.return_annotation)))]


def public(owner: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(owner) if not name.startswith("_")}


def same(sync: type, twin: type, renamed: dict[str, str] | None = None, awaited: bool = True) -> None:
    """Compare the members of two classes."""
    theirs = {(renamed or {}).get(name, name): value for name, value in public(twin).items()}
    assert set(public(sync)) == set(theirs)
    for name, value in public(sync).items():
        other = theirs[name]
        assert plain(inspect.getdoc(other) or "") == plain(inspect.getdoc(value) or ""), name
        if inspect.isfunction(value):
            assert signature(other) == signature(value), name
            assert not inspect.iscoroutinefunction(value)
            if name not in NEVER_AWAITED:
                is_list = "PendingPage[" in str(inspect.signature(other).return_annotation)
                assert inspect.iscoroutinefunction(other) is not is_list, name
        else:
            assert type(other) is type(value), name


NEVER_AWAITED = {"use_session", "with_options", "with_session", "url"}
"""Methods that ask no server."""


def test_clients() -> None:
    same(ConnectyCube, AsyncConnectyCube, {"aclose": "close"})
    assert signature(AsyncConnectyCube.__init__) == signature(ConnectyCube.__init__)
    assert plain(AsyncConnectyCube.__doc__ or "") == plain(ConnectyCube.__doc__ or "")


def test_resources_have_the_same_names() -> None:
    assert list(resources(AsyncConnectyCube)) == list(resources(ConnectyCube))


@pytest.mark.parametrize("name", resources())
def test_resource(name: str) -> None:
    sync, twin = resources()[name], resources(AsyncConnectyCube)[name]
    assert twin.__name__ == f"Async{sync.__name__}"
    assert twin.__doc__ == sync.__doc__
    same(sync, twin)


@pytest.mark.parametrize("name", resources())
def test_raw_responses_of_a_resource(name: str) -> None:
    cube, twin = ConnectyCube("1", "key"), AsyncConnectyCube("1", "key")
    sync = vars(getattr(cube, name).with_raw_response)
    other = vars(getattr(twin, name).with_raw_response)
    assert set(sync) == set(other) == {key.partition(".")[2] for key in METHODS if key.startswith(f"{name}.")}
    for key, value in sync.items():
        assert signature(other[key]) == signature(value), key
    cube.close()


def test_pages() -> None:
    same(Page, AsyncPage)
    assert hasattr(Page, "__iter__")
    assert not hasattr(Page, "__aiter__")
    assert hasattr(AsyncPage, "__aiter__")
    assert vars(AsyncPage)["__iter__"] is None


def test_context_managers() -> None:
    for sync, twin in (("__enter__", "__aenter__"), ("__exit__", "__aexit__")):
        assert signature(getattr(AsyncConnectyCube, twin)) == signature(getattr(ConnectyCube, sync))
    assert not hasattr(ConnectyCube, "__aenter__")
    assert not hasattr(AsyncConnectyCube, "__enter__")
