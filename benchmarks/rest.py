"""Measure the speed of the REST client against its bars: `python -m benchmarks.rest`.

Each time is the median of many rounds, each ratio the median of the rounds' ratios. The import is measured in wall
time, everything else in CPU time of the client's process.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import attrs
import httpx
import msgspec
import pydantic

from connectycube.rest import AsyncConnectyCube, ConnectyCube, Dialog, DialogPermissions
from connectycube.rest._call import parse_response
from connectycube.rest._calls import dialogs

from .report import SideBySide, Table
from .server import page

ROOT = Path(__file__).parent.parent
MEGABYTE = 1024 * 1024
PYDANTIC = "  pydantic, model_validate_json"


def twin(model: type, **replaced: Any) -> Any:
    """Make the pydantic model with the same fields and types as one of ours."""
    hints = get_type_hints(model) | replaced
    names = [field.name for field in attrs.fields(model) if field.name != "extra"]
    fields: Any = {name: (hints[name], [] if get_origin(hints[name]) is list else None) for name in names}
    if "id" in fields:
        fields["id"] = (hints["id"], pydantic.Field(None, alias="_id"))
    return pydantic.create_model(model.__name__, **fields)


dialog: Any = twin(Dialog, permissions=twin(DialogPermissions) | None)
fields: Any = dict.fromkeys(("total_entries", "skip", "limit"), (int | None, None)) | {"items": (list[dialog], ...)}
Dialogs = pydantic.create_model("Dialogs", **fields)


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"


# -- (a) reading a page


@contextmanager
def stock_client() -> Iterator[Callable[[bytes], object] | None]:
    """Generate a client with openapi-python-client's own templates and yield its parser, or `None` if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["generate", "--path", str(ROOT / "generated/openapi.yaml"), "--meta", "none"]
        command += ["--output-path", f"{folder}/stock_client"]
        done = subprocess.run(
            [sys.executable, "-m", "openapi_python_client", *command],
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            check=False,
        )
        sys.path.insert(0, folder)
        try:
            api = importlib.import_module("stock_client.api.dialogs.dialogs_list")
            client = importlib.import_module("stock_client").Client(base_url="http://127.0.0.1")
            yield lambda body: api._parse_response(client=client, response=httpx.Response(200, content=body))
        except ImportError:
            print(done.stdout.decode(), done.stderr.decode(), file=sys.stderr)
            yield None
        finally:
            sys.path.remove(folder)


def reading(table: Table) -> None:
    body = page(100)
    unusual = json.dumps(json.loads(body) | {"items": [{**one, "mood": "sunny"} for one in json.loads(body)["items"]]})
    usual_answer, unusual_answer = httpx.Response(200, content=body), httpx.Response(200, content=unusual)
    operation = dialogs.list_call().operation
    functions: dict[str, Callable[[], object]] = {
        "100 dialogs, JSON to objects: connectycube": lambda: parse_response(operation, usual_answer),
        "  the same, each with a field unknown to the spec": lambda: parse_response(operation, unusual_answer),
        PYDANTIC: lambda: Dialogs.model_validate_json(body),
        "  json.loads, untyped": lambda: json.loads(body),
        "  msgspec.json.decode, untyped": lambda: msgspec.json.decode(body),
    }
    ours = list(functions)[:2]
    with stock_client() as stock:
        if stock is not None:
            functions["  openapi-python-client, own templates"] = lambda: stock(body)
        found = SideBySide(time.process_time, 300, functions)
    for name in functions:
        table.compare(name, micro(found.median(name)), found.ratio(name, PYDANTIC), 1.3 if name in ours else None)


# -- (b) a whole call


@contextmanager
def server() -> Iterator[str]:
    """Run the server in another process and yield its address."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.server"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


def client(url: str) -> ConnectyCube:
    cube = ConnectyCube(7001, "key", base_url=url)
    cube.login(login="mary", password="secret")
    return cube


def whole_calls(table: Table, url: str) -> None:
    with client(url) as cube, httpx.Client() as raw:
        assert cube.session is not None
        headers = {"CB-Token": cube.session.token or ""}
        for count in (100, 1):
            address = f"{url}/chat/Dialog?limit={count}"
            functions: dict[str, Callable[[], object]] = {
                "ours": partial(cube.dialogs.list, limit=count),
                "raw": lambda address=address: raw.get(address, headers=headers).json(),  # type: ignore[misc]
            }
            found = SideBySide(time.process_time, 100, functions, lambda _: 10)
            what = f"dialogs.list() of {count}, CPU of the whole call"
            table.compare(what, micro(found.median("ours")), found.ratio("ours", "raw"), 1.25)
            table.row("  httpx.Client.get().json()", micro(found.median("raw")))


# -- (c) the import


def imports(table: Table) -> None:
    statements = ["from connectycube.rest import ConnectyCube", "import httpx", "pass"]
    found = SideBySide(
        time.perf_counter,
        25,
        {one: partial(subprocess.run, [sys.executable, "-c", one], check=True) for one in statements},
    )
    for statement in statements:
        value, ratio = f"{found.median(statement) * 1e3:.0f} ms", found.ratio(statement, "import httpx")
        table.compare(statement, value, ratio, 1.5 if statement == statements[0] else None)


# -- (d) a lost session


def renewals(table: Table, url: str) -> None:
    def opened() -> int:
        return int(httpx.get(f"{url}/opened").text)

    def show(what: str, before: int, answers: int) -> None:
        renewed = opened() - before
        table.row(f"100 {what} on an expired session: renewals", str(renewed), "1", renewed <= 1)
        table.row("  responses", str(answers), "100", answers >= 100)

    with client(url) as cube:
        httpx.post(f"{url}/expire")
        before, answers = opened(), []
        barrier = threading.Barrier(100)

        def call() -> None:
            barrier.wait()
            answers.append(len(cube.dialogs.list(limit=1).items))

        threads = [threading.Thread(target=call) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        show("threads", before, sum(answers))

    async def tasks() -> tuple[int, int]:
        async with AsyncConnectyCube(7001, "key", base_url=url) as cube:
            await cube.login(login="mary", password="secret")
            httpx.post(f"{url}/expire")
            before = opened()
            pages = await asyncio.gather(*(cube.dialogs.list(limit=1) for _ in range(100)))
            return before, sum(len(page.items) for page in pages)

    show("tasks", *asyncio.run(tasks()))


# -- (e) a large upload

UPLOAD = """
import re, sys
from connectycube.rest import ConnectyCube

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

url, small, large = sys.argv[1:]
cube = ConnectyCube(7001, "key", base_url=url)
cube.login(login="mary", password="secret")
cube.files.upload(small)
before = peak()
cube.files.upload(large)
print(peak() - before)
"""
"""Prints the growth of the peak memory in KiB. `ru_maxrss` would include the peak of the parent process."""


def upload(table: Table, url: str) -> None:
    if not Path("/proc/self/status").exists():
        table.row("upload of 100 MB: additional memory", "only on Linux")
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("small", "large")]
        for path, size in zip(paths, (MEGABYTE, 100 * MEGABYTE), strict=True):
            with path.open("wb") as file:
                file.truncate(size)
        command = [sys.executable, "-c", UPLOAD, url, *map(str, paths)]
        kilobytes = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    table.row("upload of 100 MB: additional memory", f"{kilobytes / 1024:.1f} MB")


def main() -> int:
    table = Table()
    reading(table)
    imports(table)
    with server() as url:
        whole_calls(table, url)
        renewals(table, url)
        upload(table, url)
    return table.status


if __name__ == "__main__":
    sys.exit(main())
