"""Check and encode request bodies other than plain JSON: files, text, lines of JSON, forms, and binary data in JSON.

Like those of `_wire`, every encoder takes an argument's name and its value and raises `InvalidArgument` with that name.
"""

from __future__ import annotations

import base64 as base64_
import io
import mimetypes
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import unquote

from . import _wire as wire
from .errors import InvalidArgument

CHUNK: Final = 64 * 1024

OCTETS: Final = "application/octet-stream"

Parts = list[tuple[str, tuple[Any, ...]]]
"""The parts of a multipart form as httpx takes them: file name, content and media type, the last two optional."""

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(\s*;[ -~]*)?")


# -- binary data


def base64(name: str, value: Any, **limits: Any) -> str:
    """Encode bytes as base64; text is sent unchanged."""
    return _base(name, value, base64_.b64encode, limits)


def base64url(name: str, value: Any, **limits: Any) -> str:
    """Encode bytes as base64 for URLs; text is sent unchanged."""
    return _base(name, value, base64_.urlsafe_b64encode, limits)


def _base(name: str, value: Any, encode: Any, limits: Mapping[str, Any]) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = encode(value).decode("ascii")
    elif not isinstance(value, str):
        raise InvalidArgument(name, f"must be bytes, or text in base64, not {wire.kind_name(value)}")
    return wire.text(name, value, **limits)


class Upload:
    """A body that is read while it is sent, from a binary file or from anything else that yields bytes.

    :ivar length: its bytes, `None` if they aren't known beforehand.
    :ivar repeatable: whether it can be sent again from where it started.
    :ivar filename: the file's name, empty if it has none.
    """

    def __init__(self, name: str, source: Any) -> None:
        self._name = name
        self._source = source
        self._start = _position(source)
        self.length = None if self._start is None else _end(source) - self._start
        self.repeatable = self._start is not None or isinstance(source, (list, tuple))
        self.filename = _filename(source)

    def __iter__(self) -> Iterator[bytes]:
        if self._start is not None:
            self._source.seek(self._start)
        for chunk in _read(self._source) if hasattr(self._source, "read") else self._source:
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise InvalidArgument(self._name, f"must yield bytes, not {wire.kind_name(chunk)}")
            yield bytes(chunk)

    async def achunks(self) -> AsyncIterator[bytes]:
        """Yield its content as the async HTTP client expects it."""
        for chunk in self:
            yield chunk


def _read(file: Any) -> Iterator[Any]:
    while chunk := file.read(CHUNK):
        yield chunk


def _position(file: Any) -> int | None:
    """Return where a file stands, `None` if it can't be rewound."""
    try:
        position = file.tell()
        file.seek(position)
    except (AttributeError, OSError, ValueError):
        return None
    return int(position)


def _end(file: Any) -> int:
    position = file.tell()
    file.seek(0, os.SEEK_END)
    end = file.tell()
    file.seek(position)
    return int(end)


def _filename(value: Any) -> str:
    name = getattr(value, "name", None)
    return PurePath(name).name if isinstance(name, str) else ""


def _file(name: str, value: Any, also: str = "") -> Any:
    """Return bytes as they are, and check that anything else is a binary file."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, io.TextIOBase):
        raise InvalidArgument(name, "must be opened in binary mode")
    if not hasattr(value, "read"):
        raise InvalidArgument(name, f"must be bytes or a binary file{also}, not {wire.kind_name(value)}")
    return value


def binary(name: str, value: Any) -> bytes | Upload:
    """Check a body of bytes: `bytes`, a binary file or an iterable of `bytes`."""
    if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)) and not hasattr(value, "read"):
        return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else Upload(name, value)
    content = _file(name, value, " or an iterable of bytes")
    return content if isinstance(content, bytes) else Upload(name, content)


def written(name: str, value: Any, charset: str = "utf-8") -> bytes | Upload:
    """Encode a text body; bytes and binary files are sent unchanged."""
    if not isinstance(value, str):
        content = _file(name, value, " or text")
        return content if isinstance(content, bytes) else Upload(name, content)
    try:
        return wire.text(name, value).encode(charset)
    except UnicodeEncodeError:
        raise InvalidArgument(name, f"has characters that {charset} can't encode: pass bytes") from None


def lines(name: str, value: Any, encode: wire.Encoder) -> bytes | Upload:
    """Encode values as lines of JSON; text, bytes and binary files are sent unchanged."""
    if isinstance(value, (str, bytes, bytearray, memoryview)) or hasattr(value, "read"):
        return written(name, value)
    return b"".join(wire.json_bytes(name, entry) + b"\n" for entry in wire.array(name, value, encode))


def media_type(name: str, value: str | None, wanted: str, usual: str = OCTETS, body: Any = None) -> str:
    """Return the media type of a body.

    :param value: what the caller says; by default the type that the file's name suggests.
    :param wanted: what the server takes, possibly with wildcards.
    :param usual: what to fall back to.
    :param body: the encoded body.
    """
    pattern = wanted.partition(";")[0].strip().lower()
    if value is None:
        return _guessed(getattr(body, "filename", ""), (pattern,)) or usual
    if not isinstance(value, str) or _MEDIA_TYPE.fullmatch(value) is None:
        raise InvalidArgument(name, "must be a media type, such as image/png")
    if not fnmatchcase(value.partition(";")[0].strip().lower(), pattern):
        raise InvalidArgument(name, f"must match {pattern}, not {value}")
    return value


def _guessed(filename: str | None, wanted: Sequence[str]) -> str | None:
    """Return the media type that a file's name suggests, if it is wanted."""
    found = mimetypes.guess_type(filename)[0] if filename else None
    return found if found and (not wanted or any(fnmatchcase(found, pattern) for pattern in wanted)) else None


# -- multipart forms


def file(name: str, value: Any, *wanted: str) -> tuple[str, Any, str]:
    """Check a file: its content, or a tuple of file name, content and, optionally, media type.

    :param wanted: the media types that the server takes, possibly with wildcards.
    """
    filename: str | None = None
    given: str | None = None
    if isinstance(value, tuple):
        if not 2 <= len(value) <= 3 or not isinstance(value[0], str):
            raise InvalidArgument(name, "must be a tuple of file name, content and, optionally, media type")
        filename, value, *rest = value
        wire.text(name, filename, min_length=1)
        given = rest[0] if rest else None
        if given is not None and (not isinstance(given, str) or _MEDIA_TYPE.fullmatch(given) is None):
            raise InvalidArgument(name, "has a media type that isn't one, such as image/png")
        value = value.encode() if isinstance(value, str) else value
    content = _file(name, value, ", or a tuple of file name, content and media type")
    filename = filename or _filename(content) or "upload"
    if not isinstance(content, bytes) and _position(content) is None:
        # httpx would take the length of a pipe for that of its content.
        content = SimpleNamespace(read=content.read)
    usual = next((one for one in wanted if "*" not in one), OCTETS)
    return filename, content, given or _guessed(filename, wanted) or usual


def part(name: str, value: Any) -> Any:
    """Encode what a part of a form can hold: a file, or anything else as JSON has it."""
    if isinstance(value, (list, set, frozenset)):
        return wire.array(name, value, part)
    is_file = isinstance(value, (bytes, bytearray, memoryview, tuple)) or hasattr(value, "read")
    return file(name, value) if is_file else wire.anything(name, value)


def parts(key: str, value: Any, media: str = "") -> Parts:
    """Return the parts of an encoded argument: one for each entry of a list, objects as JSON."""
    return [(key, _part(entry, media)) for entry in (value if isinstance(value, list) else [value])]


def _part(value: Any, media: str) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return value
    if value is None or isinstance(value, (dict, list)) or media.partition(";")[0].endswith(("/json", "+json")):
        return None, wire.json_bytes("the body", value), media or "application/json"
    text = wire.query_text(value)
    return (None, text, media) if media else (None, text)


def styled_parts(pairs: wire.Pairs) -> Parts:
    """Return the parts of an argument in one of the styles of a query."""
    # What a query escapes to keep separators apart is plain in a part.
    return [(key, (None, value if type(value) is str else unquote(value))) for key, value in pairs]


def all_parts(values: Mapping[str, Any]) -> Parts:
    """Return the parts of several encoded arguments by name."""
    return [entry for key, value in values.items() for entry in parts(key, value)]


def repeatable(form: Parts) -> bool:
    """Return whether all files of a form can be sent again."""
    return all(isinstance(entry[1], (str, bytes)) or _position(entry[1]) is not None for _, entry in form)


# -- URL-encoded forms


def fields(key: str, value: Any) -> wire.Pairs:
    """Return the fields of an encoded argument: one for each entry of a list, objects as JSON."""
    return [(key, _field(entry)) for entry in (value if isinstance(value, list) else [value])]


def _field(value: Any) -> str:
    is_json = value is None or isinstance(value, (dict, list))
    return wire.json_bytes("the body", value).decode() if is_json else wire.query_text(value)


def all_fields(values: Mapping[str, Any]) -> wire.Pairs:
    """Return the fields of several encoded arguments by name."""
    return [pair for key, value in values.items() for pair in fields(key, value)]


def urlencoded(pairs: wire.Pairs) -> bytes:
    """Encode the fields of a form."""
    return wire.query_string(pairs).encode("ascii")


# -- several bodies


Choice = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""A body that an operation takes: its media types, the arguments that it needs, and all of its arguments."""


def choose(
    name: str,
    media: Any,
    given: Mapping[str, Any],
    choices: Sequence[Choice],
    *,
    required: bool,
    nullable: tuple[str, ...] = (),
) -> tuple[int, str]:
    """Decide which of several bodies the caller means.

    :param name: the argument that names the media type.
    :param media: its value, `None` for the first body that the given arguments fit.
    :param required: whether there must be a body.
    :param nullable: the arguments that may be `None`.
    :returns: the body's index, or -1 without a body, and its media type.
    :raises InvalidArgument: if no body fits.
    """
    names = {key for key, value in given.items() if value is not wire.OMIT and (value is not None or key in nullable)}
    if media is not None:
        index, media = _named(name, media, choices)
        (_, needed, known) = choices[index]
        _check(names, needed, known, media)
        return index, media
    if not names and not required:
        return -1, ""
    for index, (types, needed, known) in enumerate(choices):
        if set(needed) <= names <= set(known):
            return index, types[0]
    wide = [choice for choice in choices if names <= set(choice[2])]
    if len(wide) == 1:
        _check(names, wide[0][1], wide[0][2], wide[0][0][0])
    if not names:
        raise InvalidArgument(
            " or ".join(dict.fromkeys(one for _, needed, _ in choices for one in needed)), "is missing"
        )
    bodies = "; ".join(
        f"{types[0]} takes {', '.join(f'{one} (required)' if one in needed else one for one in known) or 'nothing'}"
        for types, needed, known in choices
    )
    raise InvalidArgument(" and ".join(sorted(names)), f"fits none of the bodies: {bodies}")


def _named(name: str, media: Any, choices: Sequence[Choice]) -> tuple[int, str]:
    for index, (types, _, _) in enumerate(choices):
        for one in types:
            if media == one or ("*" in one and isinstance(media, str) and fnmatchcase(media, one)):
                return index, media_type(name, media, one)
    known = ", ".join(one for types, _, _ in choices for one in types)
    raise InvalidArgument(name, f"must be one of {known}, not {media!r}")


def _check(names: set[str], needed: Sequence[str], known: Sequence[str], media: str) -> None:
    for key in sorted(names - set(known)):
        raise InvalidArgument(key, f"is not part of the body {media}")
    for key in needed:
        if key not in names:
            raise InvalidArgument(key, f"is missing in the body {media}")
