"""The runtime: copied as it is, its sync half derived from the async one, and able to run where it stands."""

from __future__ import annotations

import ast
import asyncio

import httpx
import pytest

from generator.runtime.rest import errors
from generator.runtime.rest._async_pool import AsyncPool
from generator.runtime.rest._async_session import AsyncSessionClient
from generator.runtime.rest._base import Owner
from generator.runtime.rest._call import Call, Operation
from generator.unasync import unasync

from .refresh_golden import RUNTIME
from .support import ROOT

SOURCES = ROOT / "generator/runtime/rest"
COPIES = ROOT / "generated/connectycube/rest"
SAMPLES = {"__init__.py", "_names.py"}
"""Stand-ins for generated modules."""

OPTIONAL = frozenset(
    f"{name}.py" for name in "_answers _async_streams _basic _one_of _payload _servers _streams _styles _union".split()
)
"""Not in the platform's client."""

MODULES = sorted(path.name for path in SOURCES.glob("*.py") if path.name not in SAMPLES | OPTIONAL)
ASYNC = [name for name in MODULES if name.startswith("_async")]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_copied_under_its_header(name: str) -> None:
    assert (COPIES / name).read_bytes() == RUNTIME + b"\n" + (SOURCES / name).read_bytes()


def test_every_copy_has_a_source() -> None:
    copies = {path.name for path in COPIES.rglob("*.py") if path.read_bytes().startswith(RUNTIME)}
    assert copies == {*MODULES, *(name.replace("_async", "_sync") for name in ASYNC)}


@pytest.mark.parametrize("name", ASYNC)
def test_the_sync_half_is_derived(name: str) -> None:
    tree = ast.parse((COPIES / name.replace("_async", "_sync")).read_text(encoding="utf-8"))
    derived = ast.parse(unasync((SOURCES / name).read_text(encoding="utf-8")))
    definitions = [node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    assert definitions
    assert [ast.dump(node) for node in definitions] == [
        ast.dump(node) for node in derived.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    ]


@pytest.mark.parametrize("name", ASYNC)
def test_nothing_async_is_left_in_the_sync_half(name: str) -> None:
    tree = ast.parse((COPIES / name.replace("_async", "_sync")).read_text(encoding="utf-8"))
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not {name for name in names if name.startswith("Async")}


def test_async_only_statements_are_dropped_with_their_body() -> None:
    source = """
class AsyncThing:
    async def aclose(self) -> None:
        await self.first()
        if self.loop:  # async only
            await self.second()
            self.third()
        await self.fourth.aclose()

    def follow(self) -> None:  # async only
        self.loop = 1
"""
    assert ast.dump(ast.parse(unasync(source))) == ast.dump(
        ast.parse("class Thing:\n  def close(self) -> None:\n    self.first()\n    self.fourth.close()")
    )


class Client(AsyncSessionClient):
    """A client without resources."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._set_up(None, None, None, "", None, 0, None, "the-token", None)
        self._on_session_expired = None
        self._owner = Owner()
        self._http = AsyncPool(http, self._owner)


def test_the_runtime_runs_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONNECTYCUBE_BASE_URL", raising=False)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/things":
            return httpx.Response(200, json={"token": request.headers["X-Token"], "host": request.url.host})
        return httpx.Response(404, json={"errors": ["No such thing"]})

    async def run() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        client = Client(http)
        operation = Operation("things.get", "GET", dict, security=("session",))
        assert await client._call(Call(operation, "/things")) == {"token": "the-token", "host": "api.example.com"}
        with pytest.raises(errors.NotFound, match="No such thing"):
            await client._call(Call(operation, "/nothing"))
        await http.aclose()

    asyncio.run(run())
