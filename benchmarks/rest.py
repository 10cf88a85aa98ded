"""Speed of the REST client, against its bars: `python -m benchmarks.rest`.

What is compared runs in turns, so that a busy machine slows both sides. Each time is the median of many rounds, each
ratio the median of the rounds' ratios; all but the import is CPU time of the client's process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pydantic

from connectycube.rest import AsyncConnectyCube, ConnectyCube, DialogType, MessageStatus
from connectycube.rest._call import parse_response
from connectycube.rest._calls import dialogs

from .server import page

ROOT = Path(__file__).parent.parent
MEGABYTE = 1024 * 1024


class Permissions(pydantic.BaseModel):
    """The twin of `DialogPermissions`."""

    allow_preview: bool | None = None


class Dialog(pydantic.BaseModel):
    """The twin of `Dialog`: the same fields with the same types."""

    id: str | None = pydantic.Field(None, alias="_id")
    user_id: int | None = None
    type: DialogType | int | None = None
    name: str | None = None
    description: str | None = None
    photo: str | None = None
    occupants_ids: list[int] = []
    occupants_count: int | None = None
    admins_ids: list[int] = []
    pinned_messages_ids: list[str] = []
    xmpp_room_jid: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    last_message: str | None = None
    last_message_date_sent: dt.datetime | None = None
    last_message_id: str | None = None
    last_message_user_id: int | None = None
    last_message_status: MessageStatus | str | None = None
    unread_messages_count: int | None = None
    extensions: dict[str, str] | None = None
    permissions: Permissions | None = None
    is_e2ee: bool | None = None
    is_muted: bool | None = None
    silent_ids: list[int] = []
    deleted_ids: list[int] = []
    data: dict[str, Any] | None = None


class Dialogs(pydantic.BaseModel):
    """The twin of the page."""

    total_entries: int | None = None
    skip: int | None = None
    limit: int | None = None
    items: list[Dialog]


class Table:
    """Figures with their bars."""

    def __init__(self) -> None:
        self.missed = 0
        print(f"{'measure':<58} {'value':>12} {'ratio':>7} {'bar':>6}")

    def row(self, what: str, value: str, ratio: float | None = None, bar: float | None = None) -> None:
        missed = ratio is not None and bar is not None and ratio > bar
        self.missed += missed
        texts = ["" if ratio is None else f"{ratio:.2f}", "" if bar is None else f"{bar:g}", "MISSED" if missed else ""]
        print(f"{what:<58} {value:>12} {texts[0]:>7} {texts[1]:>6} {texts[2]}".rstrip(), flush=True)


def in_turns(
    clock: Callable[[], float], rounds: int, calls: int, **functions: Callable[[], object]
) -> dict[str, list[float]]:
    """Seconds of one call of each function, a figure per round."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    gc.collect()
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            for _ in range(calls):
                function()
            found[name].append((clock() - start) / calls)
    return found


def ratio(found: dict[str, list[float]], name: str, other: str) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / two for one, two in zip(found[name], found[other], strict=True))


def micro(values: list[float]) -> str:
    return f"{statistics.median(values) * 1e6:,.0f} us"


# -- (a) reading a page


@contextmanager
def stock_client() -> Iterator[Callable[[bytes], object] | None]:
    """The parser that openapi-python-client with its own templates makes of the same document."""
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
        "ours": lambda: parse_response(operation, usual_answer),
        "unusual": lambda: parse_response(operation, unusual_answer),
        "pydantic": lambda: Dialogs.model_validate_json(body),
        "json": lambda: json.loads(body),
        "msgspec": lambda: msgspec.json.decode(body),
    }
    with stock_client() as stock:
        if stock is not None:
            functions["stock"] = lambda: stock(body)
        found = in_turns(time.process_time, 300, 1, **functions)
    table.row("100 dialogs, JSON to objects: connectycube", micro(found["ours"]), ratio(found, "ours", "pydantic"), 1.3)
    name = "  the same, each dialog with a field unknown to the spec"
    table.row(name, micro(found["unusual"]), ratio(found, "unusual", "pydantic"), 1.3)
    for what, name in (
        ("pydantic", "  pydantic, model_validate_json"),
        ("stock", "  openapi-python-client as it comes"),
        ("json", "  json.loads, untyped"),
        ("msgspec", "  msgspec.json.decode, untyped"),
    ):
        if what in found:
            table.row(name, micro(found[what]), ratio(found, what, "pydantic"))


# -- (b) a whole call


@contextmanager
def server() -> Iterator[str]:
    """The address of a server in another process."""
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
            found = in_turns(
                time.process_time,
                100,
                10,
                ours=lambda count=count: cube.dialogs.list(limit=count),  # type: ignore[misc]
                raw=lambda count=count: raw.get(f"{url}/chat/Dialog?limit={count}", headers=headers).json(),  # type: ignore[misc]
            )
            name = f"dialogs.list() of {count}, CPU of the whole call"
            table.row(name, micro(found["ours"]), ratio(found, "ours", "raw"), 1.25)
            table.row("  httpx.Client.get().json()", micro(found["raw"]))


# -- (c) the import


def imports(table: Table) -> None:
    def run(statement: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", statement], check=True)

    found = in_turns(
        time.perf_counter,
        25,
        1,
        ours=run("from connectycube.rest import ConnectyCube"),
        httpx=run("import httpx"),
        python=run("pass"),
    )
    milliseconds = {name: f"{statistics.median(values) * 1e3:.0f} ms" for name, values in found.items()}
    table.row("from connectycube.rest import ConnectyCube", milliseconds["ours"], ratio(found, "ours", "httpx"), 1.5)
    table.row("  import httpx", milliseconds["httpx"])
    table.row("  Python alone", milliseconds["python"])


# -- (d) a lost session


def renewals(table: Table, url: str) -> None:
    def opened() -> int:
        return int(httpx.get(f"{url}/opened").text)

    def show(what: str, before: int, answers: int) -> None:
        renewed = opened() - before
        table.row(f"100 {what} on an expired session: renewals", str(renewed), renewed, 1)
        table.row("  answers", str(answers), 100 / answers if answers else float("inf"), 1)

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
"""What the process held at most, in kilobytes. `ru_maxrss` would count what its parent held, too."""


def upload(table: Table, url: str) -> None:
    if not Path("/proc/self/status").exists():
        table.row("upload of 100 MB: further memory", "only on Linux")
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("small", "large")]
        for path, size in zip(paths, (MEGABYTE, 100 * MEGABYTE), strict=True):
            with path.open("wb") as file:
                file.truncate(size)
        command = [sys.executable, "-c", UPLOAD, url, *map(str, paths)]
        kilobytes = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    table.row("upload of 100 MB: further memory", f"{kilobytes / 1024:.1f} MB")


def main() -> int:
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, {dt.date.today()}")
    table = Table()
    reading(table)
    imports(table)
    with server() as url:
        whole_calls(table, url)
        renewals(table, url)
        upload(table, url)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
