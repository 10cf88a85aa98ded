"""Read responses other than plain JSON: by status and media type, as text in any charset, as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import httpx

from . import errors
from ._body import charset_of, crowded
from ._call import decode

Read = Callable[[httpx.Response], Any]

JSON_TYPES: Final = frozenset({"application/json", "text/json", "text/x-json", "application/x-json"})
"""Media types of JSON; those that end in `+json` are, too."""

NO_BODY: Final = frozenset({204, 205})

MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
"""Byte order marks, which outweigh what the server says about a charset."""


class Case(NamedTuple):
    """A documented answer.

    :ivar status: `200`, a range such as `2XX`, or `default`.
    :ivar media: its media type, such as `text/csv`, `image/*` or `application/json;v=2`; empty if it has no body.
    :ivar read: turns a response of this kind into the result.
    """

    status: str
    media: str
    read: Read


class Answers:
    """Reads each response as the documented answer that it is, or is nearest to."""

    def __init__(self, *cases: tuple[str, str, Read]) -> None:
        self._cases = [Case(*case) for case in cases]

    def __call__(self, response: httpx.Response) -> Any:
        return self.choose(response).read(response)

    def choose(self, response: httpx.Response) -> Case:
        """Return the documented answer that a response is. The body may be unread."""
        empty = is_empty(response)
        cases = self._of_status(response.status_code, empty)
        bodies = [case for case in cases if case.media]
        if not bodies or (empty and len(bodies) < len(cases)):
            return next(case for case in cases if not case.media)
        media = "".join(response.headers.get("content-type", "").lower().split())
        for fits in _FITS:
            for case in bodies:
                if fits(case.media, media):
                    return case
        # The server sends a type that is not documented: JSON as text, most often.
        parts = [case for case in bodies if is_json(_bare(case.media)) and looks_like_json(response)]
        parts += [case for case in bodies if case.media.partition("/")[0] == media.partition("/")[0]]
        return [*parts, *bodies][0]

    def _of_status(self, status: int, empty: bool) -> list[Case]:
        for name in (str(status), f"{status // 100}XX", "default"):
            found = [case for case in self._cases if case.status == name]
            if found:
                return found
        cases = [case for case in self._cases if bool(case.media) is not empty] or self._cases
        nearest = min(_distance(case, status) for case in cases)
        return [case for case in cases if _distance(case, status) == nearest]


def _distance(case: Case, status: int) -> int:
    number = case.status.replace("X", "0")
    return abs(int(number) - status) if number.isdecimal() else 1000


def _bare(media: str) -> str:
    return media.partition(";")[0]


def _same(documented: str, sent: str) -> bool:
    return documented == sent


def _same_but_for_parameters(documented: str, sent: str) -> bool:
    return _bare(documented) == _bare(sent)


def _both_json(documented: str, sent: str) -> bool:
    return is_json(_bare(documented)) and is_json(_bare(sent))


def _in_range(documented: str, sent: str) -> bool:
    kind, _, rest = _bare(documented).partition("/")
    return rest == "*" and kind in ("*", sent.partition("/")[0])


_FITS: Final = (_same, _same_but_for_parameters, _both_json, _in_range)


def media_type(response: httpx.Response) -> str:
    """Return a response's media type without parameters, in lower case; empty if the server sends none."""
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def is_json(media: str) -> bool:
    return media in JSON_TYPES or media.endswith("+json")


def is_empty(response: httpx.Response) -> bool:
    """Return whether a response is known to have no body, even before it is read."""
    if response.status_code in NO_BODY or response.headers.get("content-length") == "0":
        return True
    return hasattr(response, "_content") and not response.content


def looks_like_json(response: httpx.Response) -> bool:
    """Return whether a body that has been read starts as JSON does."""
    return hasattr(response, "_content") and response.content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


# -- readers of a body


def nothing(response: httpx.Response) -> None:
    return None


def content(response: httpx.Response) -> bytes:
    return response.content


def text(response: httpx.Response) -> str:
    """Decode a body in the charset of its byte order mark or else of its `Content-Type`, by default UTF-8."""
    found = response.content
    for mark, charset in MARKS:
        if found.startswith(mark):
            return found[len(mark) :].decode(charset, "replace")
    return found.decode(charset_of(response), "replace")


def text_as(convert: Callable[[Any], Any]) -> Read:
    """Return a reader of a text that holds one value, such as a number."""
    return lambda response: convert(text(response).strip())


def json_of(parse: Callable[[Any], Any], *, optional: bool = False) -> Read:
    """Return a reader of JSON.

    :param optional: whether null, or nothing at all, is an answer, too.
    """

    def read(response: httpx.Response) -> Any:
        found = response.content
        if crowded(found):
            raise errors.ResponseTooLarge("it holds too many values")
        if optional and not found.strip():
            return None
        data = decode(found, response)
        return None if data is None and optional else parse(data)

    return read


def plain(response: httpx.Response) -> str:
    """Read text that a server may send as JSON."""
    if is_json(media_type(response)):
        data = json_of(_same_value)(response)
        if isinstance(data, str):
            return data
    return text(response)


def anything(response: httpx.Response) -> Any:
    """Read JSON as its value, text as text, and anything else as bytes."""
    if is_empty(response):
        return None
    media = media_type(response)
    if is_json(media) or (not media and looks_like_json(response)):
        return json_of(_same_value)(response)
    return text(response) if is_text(media) else response.content


def is_text(media: str) -> bool:
    kind, _, rest = media.partition("/")
    return (
        kind == "text" or rest.endswith("+xml") or rest in ("xml", "yaml", "x-yaml", "javascript", "x-ndjson", "jsonl")
    )


def _same_value(data: Any) -> Any:
    return data
