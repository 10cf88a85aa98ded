"""The documents in `documents/`: files that hold an OpenAPI document and the calls that its client must get right.

Each file is a mapping with the keys:

- `warnings`: regular expressions, one for each warning of the generator, in order; default none.
- `document`: the document, or its text where the text matters. `STUB` in it becomes the host and port of the stub
  server.
- `files`: further files, by their names next to the document, as mappings or texts.
- `validate`: false where openapi-core can't check a request against the document; a comment gives the reason.
- `calls`: what to call, once with each client. A call is a mapping with the keys:
  - `call`: an expression; `client.` and `await` are added. Iterators are read to their end.
  - `client`: the client's arguments. `base_url` is the stub server, unless it is null.
  - `request`: the method and the target, exactly as sent.
  - `headers`: those that must be among the sent ones; null for one that must not.
  - `body`: the sent JSON as data, or a text, which must be exactly the body.
  - `parts`: instead, the parts of a multipart body: `name`, `filename`, `type`, `headers`, `body`; only what is there
    is compared, null stands for its absence.
  - `answer`: `status`, `headers`, and `body` as data (sent as JSON) or text. Without it, an answer is sampled from the
    document.
  - `result`: an expression for what the call returns.
  - `raises`: instead, the name of the error. Without `request`, nothing may have been sent.
  - `check`: an expression, or a list of them, that must be true. They see `result` and `error`, and like all
    expressions `models`, `inputs`, `package`, `dt`, `io` and `uuid`.
  - `validate`: false for a request that the document doesn't allow; a comment gives the reason.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import isawaitable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import yaml

from .oracle import Oracle
from .sampling import sample
from .server import Request, Server
from .support import Node

FOLDER = Path(__file__).parent / "documents"

FILE_KEYS = frozenset({"warnings", "document", "files", "validate", "calls"})
CALL_KEYS = frozenset(
    {"call", "client", "request", "headers", "body", "parts", "answer", "result", "raises", "check", "validate"}
)


@dataclass(frozen=True)
class Case:
    """One file of `documents/`."""

    name: str
    content: Node

    @property
    def calls(self) -> list[Node]:
        return list(self.content.get("calls") or [])

    def write(self, folder: Path, stub: str) -> Path:
        """Write the document and the files that it refers to, and return the document's path."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {"api.yaml": self.content["document"], **self.content.get("files", {})}
        for name, content in files.items():
            text = content if isinstance(content, str) else yaml.dump(content, sort_keys=False, allow_unicode=True)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("STUB", stub), encoding="utf-8")
        return folder / "api.yaml"


def load() -> dict[str, Case]:
    """Read all files, by the names that their packages get."""
    return {case.name: case for case in map(read, sorted(FOLDER.glob("*.yaml")))}


def read(path: Path) -> Case:
    """Read a file, and reject keys that would be ignored."""
    content = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    unknown = set(content) - FILE_KEYS | {key for call in content.get("calls") or [] for key in set(call) - CALL_KEYS}
    assert not unknown, f"{path.name} has unknown keys: {', '.join(sorted(unknown))}"
    return Case(path.stem.replace("-", "_"), content)


def ids(cases: dict[str, Case]) -> dict[str, tuple[Case, Node]]:
    """Return all calls by a name that is unique and the same in each run."""
    found = {}
    for case in cases.values():
        for number, call in enumerate(case.calls, 1):
            found[f"{case.name}-{number}-{call['call'].partition('(')[0]}"] = (case, call)
    return found


def check(case: Case, call: Node, package: ModuleType, spec: Path, server: Server, mode: str) -> None:
    """Make a call with one of the clients, and check what it sends and what comes of it."""
    oracle = Oracle(spec, server.url)
    sampled = "answer" not in call and "raises" not in call
    answer = call.get("answer") or {}
    if sampled:
        assert "request" in call, "a call without an answer needs its request, to find the operation"
        answer = sample(oracle.document, *call["request"].split(" ", 1))
    say(server, answer)
    server.requests.clear()
    result, error = made(call, package, server, mode)
    names = {**scope(package), "result": result, "error": error}
    if "raises" in call:
        assert error is not None, f"returned {result!r} instead of raising {call['raises']}"
        assert call["raises"] in [cls.__name__ for cls in type(error).__mro__], repr(error)
    elif error is not None:
        raise error
    if "raises" in call and "request" not in call:
        same([request.target for request in server.requests], [])
    else:
        same(len(server.requests), 1)
        check_request(call, server.last)
        if case.content.get("validate", True) and call.get("validate", True):
            oracle.check_request(server.last)
            if sampled:
                oracle.check_response(server.last, answer)
    if sampled:
        same(left_over(result), {})
    if "result" in call:
        expected = eval(call["result"], names)
        same(result, expected)
        same(type(result), type(expected))
    for expression in [call["check"]] if isinstance(call.get("check"), str) else call.get("check", []):
        assert eval(expression, names), f"{expression} is false; result: {result!r}; error: {error!r}"


def scope(package: ModuleType) -> dict[str, Any]:
    """Return the names that expressions see."""
    parts = {part: f"{package.__name__}.{part}" for part in ("models", "inputs")}
    there = {part: import_module(name) for part, name in parts.items() if find_spec(name) is not None}
    return {**there, "package": package, "dt": dt, "io": io, "uuid": uuid}


def say(server: Server, answer: Node) -> None:
    """Let the server answer."""
    headers = {"Content-Type": "", **answer.get("headers", {})}
    body = answer.get("body", b"")
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
        headers["Content-Type"] = headers["Content-Type"] or "application/json"
    elif body and not headers["Content-Type"]:
        headers["Content-Type"] = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
    data = body.encode() if isinstance(body, str) else body
    server.says(data, headers.pop("Content-Type"), answer.get("status", 200))
    server.more_headers = headers


def made(call: Node, package: ModuleType, server: Server, mode: str) -> tuple[Any, Exception | None]:
    """Make a call and return what it returned or raised."""
    options = {"base_url": server.url, "max_retries": 0, **call.get("client", {})}
    if options["base_url"] is None:
        del options["base_url"]
    names = scope(package)

    def sync() -> Any:
        with package.Client(**options) as client:
            found = eval(f"client.{call['call']}", {**names, "client": client})
            return list(found) if isinstance(found, Iterator) else found

    async def wait() -> Any:
        async with package.AsyncClient(**options) as client:
            found = eval(f"client.{call['call']}", {**names, "client": client})
            found = await found if isawaitable(found) else found
            return [item async for item in found] if isinstance(found, AsyncIterator) else found

    try:
        return (sync() if mode == "sync" else asyncio.run(wait())), None
    except Exception as error:
        return None, error


def check_request(call: Node, request: Request) -> None:
    """Compare what was sent with what a call expects."""
    if "request" in call:
        same(f"{request.method} {request.target}", call["request"])
    for name, value in call.get("headers", {}).items():
        found = [text for key, text in request.header_lines if key.lower() == name.lower()]
        wanted = [] if value is None else value if isinstance(value, list) else [value]
        same((name, found), (name, wanted))
    if "body" in call:
        check_body(call["body"], request.body)
    if "parts" in call:
        parts = parts_of(request)
        same([part["name"] for part in parts], [part["name"] for part in call["parts"]])
        for part, expected in zip(parts, call["parts"], strict=True):
            check_part(expected, part)


def same(found: object, expected: object) -> None:
    """Fail with both values unless they are equal."""
    assert found == expected, f"found {found!r}, expected {expected!r}"


def check_part(expected: Node, part: Node) -> None:
    for key, value in expected.items():
        if key == "body":
            check_body(value, part["body"])
        elif key == "headers":
            same({name: part["headers"].get(name.lower()) for name in value}, value)
        else:
            same((key, part[key]), (key, value))


def check_body(expected: Any, body: bytes) -> None:
    if isinstance(expected, bytes | str):
        same(body, expected.encode() if isinstance(expected, str) else expected)
    else:
        same(json.loads(body), expected)


def parts_of(request: Request) -> list[Node]:
    """Take a multipart body apart, by RFC 2046 and 7578."""
    boundary = re.fullmatch(r'multipart/[^;]+;\s*boundary="?([^";]+)"?', request.headers["content-type"])
    assert boundary is not None, request.headers["content-type"]
    first, *parts, last = (b"\r\n" + request.body).split(b"\r\n--" + boundary[1].encode())
    assert (first, last.strip()) == (b"", b"--")
    found = []
    for part in parts:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode().split("\r\n"))
        headers = {name.lower(): value.strip() for name, _, value in lines}
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', headers.get("content-disposition", "")))
        more = {"type": headers.get("content-type"), "headers": headers, "body": body}
        found.append({"name": pairs.get("name"), "filename": pairs.get("filename"), **more})
    return found


def left_over(value: Any) -> dict[str, Any]:
    """Return what the models of a result keep in `extra`, because their fields couldn't take it."""
    found: dict[str, Any] = {}
    if isinstance(value, list):
        for item in value:
            found |= left_over(item)
    elif isinstance(value, dict):
        found = left_over(list(value.values()))
    elif attrs.has(type(value)):
        fields = attrs.asdict(value, recurse=False)
        found |= fields.pop("extra", None) or {}
        found |= left_over(list(fields.values()))
    return found
