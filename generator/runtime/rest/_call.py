"""One call, pure: the request to make and the meaning of its response. The clients only do the network part."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast
from urllib.parse import unquote

import httpx
import msgspec

from . import errors
from ._body import charset_of, crowded, host_of, text_of
from ._wire import Pairs

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

Security = tuple[str | tuple[str, ...], ...]
"""Alternatives, each a security scheme or several that are needed together."""

EXPIRED = "Required session does not exist"
"""The platform's message for a session that has expired (wire facts, 2.1)."""


class ShapeError(Exception):
    """A response is JSON, but differs in shape from the spec."""


class Absent(Exception):
    """A list that was to have one entry is empty."""


class Operation(Generic[T]):
    """What all calls of one operation have in common."""

    __slots__ = (
        "fill",
        "foreign",
        "idempotent",
        "method",
        "name",
        "outcomes",
        "own",
        "parse",
        "quick",
        "raw",
        "renewable",
        "security",
        "server",
    )

    def __init__(
        self,
        name: str,
        method: str,
        parse: Callable[[Any], T] | None,
        *,
        quick: Callable[[bytes], T] | None = None,
        security: Security = (),
        server: str = "",
        fill: Mapping[str, str] | None = None,
        outcomes: Mapping[int, str] | None = None,
        idempotent: bool = True,
        renewable: bool = True,
        raw: bool = False,
        foreign: bool = False,
        own: bool = False,
    ) -> None:
        self.name = name
        self.method = method
        self.parse = parse
        """Turns decoded JSON into the result; `None` if the response is empty."""
        self.quick = quick
        """Turns the bytes of a usual response into the result, and raises for any other."""
        self.security = security
        """What the client must have one of: a security scheme, or several that are needed together."""
        self.server = server
        """The base URL, if not the client's."""
        self.fill = fill or {}
        """Fields of the body that the client fills in."""
        self.outcomes = outcomes or {}
        """Which list of the result holds the only id in the path, by the status of a response without lists."""
        self.idempotent = idempotent
        """May be repeated even if the server has seen it."""
        self.renewable = renewable
        """Renew a lost session and repeat the call."""
        self.foreign = foreign
        """Goes to another company's host, which must not get this API's headers."""
        self.own = own
        """The path holds `{user_id}`, for the session's user."""
        self.raw = raw
        """The response isn't only JSON: `parse` gets it as it came."""

    def __repr__(self) -> str:
        return f"<Operation {self.name}>"


class Call(Generic[T]):
    """One request to make."""

    __slots__ = ("_repeatable", "content", "cookies", "form", "headers", "json", "operation", "path", "query")

    def __init__(
        self,
        operation: Operation[T],
        path: str,
        *,
        query: Pairs | None = None,
        json: Any = None,
        content: Any = None,
        form: list[tuple[str, Any]] | None = None,
        repeatable: bool | None = None,
        headers: dict[str, str] | None = None,
        cookies: Sequence[str] = (),
    ) -> None:
        self.operation = operation
        self.path = path
        self.query = query or []
        self.json = json
        self.content = content
        self.form = form
        """The parts of a multipart form, as httpx takes them."""
        self.headers = headers or {}
        self.cookies = cookies
        """As in the header, such as `name=value`."""
        self._repeatable = repeatable

    @property
    def repeatable(self) -> bool:
        """Whether its body can be sent again after some of it was sent."""
        if self._repeatable is not None:
            return self._repeatable
        sent_whole = self.content is None or isinstance(self.content, bytes)
        return self.form is None and (sent_whole or bool(getattr(self.content, "repeatable", False)))

    def __repr__(self) -> str:
        return f"<Call {self.operation.name}>"


LONGEST_PATH: Final = 7000
"""Bytes of a path; what is left of an address is for the host and the query."""


def divided(call: Call[T]) -> list[Call[T]]:
    """Divide a call with too many ids in its path."""
    if len(call.path) <= LONGEST_PATH or call.operation.method == "POST" or call.content or call.form:
        return [call]
    # Ids are escaped: a comma separates two of them.
    before, _, rest = call.path.partition(",")
    start = before.rpartition("/")[0] + "/"
    ids, slash, end = rest.partition("/")
    parts = [before.removeprefix(start)]
    room = LONGEST_PATH - len(start + slash + end)
    for one in ids.split(",") if ids else ():
        if len(parts[-1]) + 1 + len(one) > room:
            parts.append(one)
        else:
            parts[-1] += f",{one}"
    paths = [start + part + slash + end for part in parts]
    more: dict[str, Any] = {"query": call.query, "json": call.json, "headers": call.headers, "cookies": call.cookies}
    return [Call(call.operation, path, **more) for path in paths]


def merged(one: Any, other: Any) -> Any:
    """Merge the results of two parts of a call: lists of any depth are joined."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, list):
        return [*one, *other]
    if isinstance(one, dict):
        return {key: merged(one.get(key), other.get(key)) for key in one | other}
    import attrs  # Imported late: only models need it.

    if attrs.has(type(one)):
        for name in attrs.fields_dict(type(one)):
            setattr(one, name, merged(getattr(one, name), getattr(other, name)))
    return one


class RawResponse(Generic[T]):
    """A response as it came, whatever its status.

    :ivar status: HTTP status.
    :ivar headers: headers; names match in any case.
    :ivar body: the body's bytes.
    """

    __slots__ = ("_operation", "_response", "_wrap", "body", "headers", "status")

    def __init__(
        self, operation: Operation[Any], response: httpx.Response, wrap: Callable[[Any], Any] | None = None
    ) -> None:
        self._operation = operation
        self._response = response
        self._wrap = wrap
        self.status = response.status_code
        self.headers = response.headers
        self.body = response.content

    def parse(self) -> T:
        """Return what the method itself would have returned.

        :raises ApiError: if the server refused.
        :raises DecodeError: if the body can't be read.
        """
        value = parse_response(self._operation, self._response)
        return cast("T", value if self._wrap is None else self._wrap(value))

    def __repr__(self) -> str:
        return f"<RawResponse {self.status} of {self._operation.name}>"


def raw(method: Callable[P, T]) -> Callable[P, RawResponse[T]]:
    """Type a method whose client returns responses unread."""
    return cast("Callable[P, RawResponse[T]]", method)


def araw(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, RawResponse[T]]]:
    """Type an async method whose client returns responses unread."""
    return cast("Callable[P, Coroutine[Any, Any, RawResponse[T]]]", method)


def parse_response(operation: Operation[T], response: httpx.Response) -> T:
    """Return the result that a response holds.

    :raises ApiError: for a status other than success.
    :raises DecodeError: for a body that can't be read.
    """
    if operation.outcomes and (found := single_outcome(operation, response)) is not None:
        return found
    if not 200 <= response.status_code < 300:
        raise refusal(operation, response)
    if operation.parse is None:
        return cast("T", None)
    if not operation.raw and crowded(response.content):
        raise _decode_error(operation, response, "holds too many values", errors.ResponseTooLarge)
    if operation.quick is not None:
        # Unusual responses are left to the lenient parser below.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return operation.quick(response.content)
    try:
        return operation.parse(response if operation.raw else decode(response.content, response))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = "is empty" if not response.content else "is not JSON or is truncated"
        raise _decode_error(operation, response, problem) from error
    except ShapeError as error:
        raise _decode_error(operation, response, str(error)) from error
    except errors.DecodeError as error:
        raise _decode_error(operation, response, f"can't be read, because {error}", type(error)) from error
    except Absent:
        texts = {"base": ["nothing has this id, or the current user may not see it"]}
        raise _api_error(errors.NotFound, 404, texts, None, operation, response) from None


def single_outcome(operation: Operation[T], response: httpx.Response) -> T | None:
    """Return the result of a call with one id in its path, for which the server does not send the lists."""
    # N-13: one id makes it the single deletion, whose response is empty.
    last = response.request.url.raw_path.partition(b"?")[0].rpartition(b"/")[2].decode().removesuffix(".json")
    name = operation.outcomes.get(response.status_code)
    if name is None or operation.parse is None or "," in last:
        return None
    if response.status_code < 300 and response.content.strip():
        return None
    return operation.parse({name: {"ids": [unquote(last)]}})


def _decode_error(
    operation: Operation[Any],
    response: httpx.Response,
    problem: str,
    failure: type[errors.DecodeError] = errors.DecodeError,
) -> errors.DecodeError:
    kind = response.headers.get("content-type", "")
    error = failure(
        f"the response to {operation.name} {problem} (status {response.status_code}, "
        f"{errors.printable(kind) or 'no content type'}, "
        f"{len(response.content)} bytes){host_of(response.request)}",
        status=response.status_code,
        content_type=kind,
    )
    error.operation = operation.name
    return error


def decode(body: bytes, response: httpx.Response | None = None) -> Any:
    """Decode JSON; what the fast decoder rejects gets a second try with the standard library's.

    :param response: may name another charset than that of JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = str(error)
    try:
        charset = "utf-8" if response is None else charset_of(response)
        return json.loads(body if charset == "utf-8" else body.decode(charset))
    except (ValueError, RecursionError):
        pass
    # Raised outside of the handlers: a chained error would keep the body, which may hold a token.
    raise msgspec.DecodeError(problem)


def refusal(operation: Operation[Any], response: httpx.Response) -> errors.ApiError:
    """Return the exception of a response that is not a success."""
    try:
        body: Any = decode(response.content)
        texts = error_texts(body)
    except msgspec.DecodeError:
        body, texts = text_of(response), {}
    kind = errors.error_for(response.status_code)
    if kind is errors.Unauthorized and is_expired(response.status_code, texts):
        kind = errors.SessionExpired
    return _api_error(kind, response.status_code, texts, body, operation, response)


def _api_error(
    kind: type[errors.ApiError],
    status: int,
    texts: Mapping[str, list[str]],
    body: Any,
    operation: Operation[Any],
    response: httpx.Response,
) -> errors.ApiError:
    request = response.request
    return kind(
        status,
        errors=texts,
        body=body,
        request=errors.RequestInfo(request.method, str(request.url.copy_with(query=None, userinfo=b""))),
        operation=operation.name,
        headers=dict(response.headers),
    )


def is_expired(status: int, texts: Mapping[str, list[str]]) -> bool:
    """Return whether a refusal says that the session has expired."""
    return status == 401 and EXPIRED in texts.get("base", ())


def error_texts(body: Any) -> dict[str, list[str]]:
    """Return the messages of a refusal in any of the known shapes: by field, a list, or one text."""
    found = body
    if isinstance(body, dict):
        found = body.get("errors") or body.get("error") or body.get("message")
    if isinstance(found, dict):
        return {str(field): _texts(value) for field, value in found.items()}
    return {"base": _texts(found)} if found else {}


def _texts(value: Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else [str(value)]


# -- shapes of responses


def unwrap(data: Any, key: str) -> Any:
    """Return the content of an envelope, or the data itself if the server has left the envelope out."""
    return data[key] if isinstance(data, dict) and key in data else data


def an_object(data: Any) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    raise ShapeError(f"is {_shape(data)} where the spec has an object")


def a_list(data: Any) -> list[Any]:
    """Return a list: `[]` for null, and a single object as a list of one."""
    if isinstance(data, list):
        return data
    if data is None:
        return []
    if isinstance(data, dict):
        return [data]
    raise ShapeError(f"is {_shape(data)} where the spec has a list")


def a_map(data: Any, convert: Callable[[Any], S]) -> dict[str, S]:
    """Return a map of names to values; values that can't be read stay raw."""
    found: dict[str, Any] = {}
    for key, value in ({} if data in (None, []) else an_object(data)).items():
        try:
            found[key] = convert(value)
        except (ValueError, TypeError, OverflowError, OSError):
            found[key] = value
    return found


def a_count(data: Any) -> int:
    """Return a number in any of the shapes that the platform uses for counts."""
    # U-07 of the wire facts.
    if isinstance(data, dict):
        for key in ("items", "count", "total_entries", "total"):
            if key in data and not isinstance(data[key], list):
                return a_count(data[key])
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    if isinstance(data, str) and data.isascii() and data.isdigit():
        return int(data)
    raise ShapeError(f"is {_shape(data)} where the spec has a count")


def objects(data: Any, convert: Callable[[dict[str, Any]], S], envelope: str = "") -> list[S]:
    """Return a list of models, each possibly in its own envelope."""
    entries = [entry for entry in a_list(data) if entry is not None]
    if envelope:
        entries = [unwrap(entry, envelope) for entry in entries]
    return [convert(entry if entry.__class__ is dict else an_object(entry)) for entry in entries]


def first(data: Any, convert: Callable[[dict[str, Any]], S], envelope: str = "") -> S:
    """Return the first entry of a list that holds one, or none."""
    found = objects(data, convert, envelope)
    if not found:
        raise Absent
    return found[0]


def values(data: Any, convert: Callable[[Any], S]) -> list[S]:
    """Return a list of plain values."""
    try:
        return [convert(entry) for entry in a_list(data)]
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise ShapeError("holds an entry of another type than in the spec") from error


def value(data: Any, convert: Callable[[Any], S]) -> S:
    try:
        return convert(data)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise ShapeError(f"is {_shape(data)}, which differs from the spec") from error


def _shape(data: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return "null" if data is None else kinds.get(type(data), "something else")
