"""Decode streams: server-sent events (HTML, 9.2.6), a JSON value per line, JSON text sequences (RFC 7464), chunks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

import httpx
import msgspec

from . import errors
from ._answers import is_json, media_type
from ._body import LARGEST_BODY, crowded, host_of
from ._call import Operation, ShapeError, decode

T = TypeVar("T")

LARGEST_ITEM: Final = LARGEST_BODY
"""Bytes that one event or one line may have."""

END: Final = "[DONE]"
"""The data of the event with which many services end a stream of JSON."""

MOST_ATTEMPTS: Final = 1000
"""How often to try whether a JSON text that has begun is complete."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, ShapeError, errors.DecodeError)

_LINE_END = re.compile(rb"\r\n|\n|\r")
_LINE_FEED = re.compile(rb"\n")


class TooLarge(Exception):
    """An event or a line is larger than is allowed."""


class Event(Generic[T]):
    """An event that a server has sent.

    :ivar data: its data, of the documented type.
    :ivar event: its type, `message` unless the server names one.
    :ivar id: the last id that the server has sent, empty if none; a server that resumes streams takes it in the header
        `Last-Event-ID`.
    :ivar retry: milliseconds to wait before reconnecting, as the server has last said; `None` if it has not.
    """

    __slots__ = ("data", "event", "id", "retry")

    def __init__(self, data: T, *, event: str = "message", id: str = "", retry: int | None = None) -> None:
        self.data = data
        self.event = event
        self.id = id
        self.retry = retry

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        return f"Event({self.data!r}, event={self.event!r}, id={self.id!r}, retry={self.retry!r})"


class Decoder(Generic[T]):
    """Turns the bytes of a stream into items. `ended` is true once the server has said that no more will follow."""

    ended = False

    def feed(self, chunk: bytes) -> Iterator[T]:
        """Yield the items that these bytes complete.

        :raises TooLarge: if one is too large.
        """
        raise NotImplementedError

    def finish(self) -> Iterator[T]:
        """Yield what the end of the stream completes."""
        yield from ()


class Chunks(Decoder[bytes]):
    """The bytes themselves."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if chunk:
            yield chunk


class Lines:
    """Splits bytes into lines, wherever a chunk ends.

    :param returns: whether a CR ends a line, too.
    """

    def __init__(self, *, returns: bool) -> None:
        self._end = _LINE_END if returns else _LINE_FEED
        self._returns = returns
        self._line = bytearray()
        self._after_return = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        first, *rest = self._end.split(chunk)
        # A CR ends a line at once: the LF after it may take its time.
        self._after_return = self._returns and chunk.endswith(b"\r")
        self._line += first
        for piece in rest:
            line, self._line = bytes(self._line), bytearray(piece)
            yield line
        if len(self._line) > LARGEST_ITEM:
            raise TooLarge

    def rest(self) -> bytes:
        """Return the bytes after the last end of a line."""
        return bytes(self._line)


class Events(Decoder[Event[T]]):
    """Decodes server-sent events.

    :param convert: turns an event's data into its value.
    :param json: whether it gets decoded JSON; the event `[DONE]` then ends the stream, and events with empty data,
        which keep connections alive, are left out.
    """

    def __init__(self, convert: Callable[[Any], T], json: bool) -> None:
        self._convert = convert
        self._json = json
        self._lines = Lines(returns=True)
        self._first = True
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> Iterator[Event[T]]:
        for line in self._lines.feed(chunk):
            if self._first:
                self._first = False
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line:
                self._field(line)
                continue
            found = self._dispatched()
            if self.ended:
                return
            if found is not None:
                yield found

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > LARGEST_ITEM:
                raise TooLarge
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 16:
            self._retry = int(value)

    def _dispatched(self) -> Event[T] | None:
        """Return the event that an empty line ends, if there is one."""
        data, self._data, self._size = self._data, [], 0
        event, self._event = self._event, ""
        if not data:
            return None
        content = b"\n".join(data)
        if not self._json:
            value = self._convert(content.decode("utf-8", "replace"))
        elif content.strip() == END.encode():
            self.ended = True
            return None
        elif not content.strip():
            return None
        else:
            value = self._convert(_decoded(content))
        return Event(value, event=event or "message", id=self._id, retry=self._retry)


class JsonLines(Decoder[T]):
    """Decodes a JSON value per line; empty lines are left out."""

    def __init__(self, convert: Callable[[Any], T]) -> None:
        self._convert = convert
        self._lines = Lines(returns=False)

    def feed(self, chunk: bytes) -> Iterator[T]:
        for line in self._lines.feed(chunk):
            yield from self._value(line)

    def finish(self) -> Iterator[T]:
        yield from self._value(self._lines.rest())

    def _value(self, line: bytes) -> Iterator[T]:
        line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if line:
            yield self._convert(_decoded(line))


class JsonSequence(Decoder[T]):
    """Decodes JSON texts, each after a record separator and followed by a line feed."""

    def __init__(self, convert: Callable[[Any], T]) -> None:
        self._convert = convert
        self._text = bytearray()
        self._attempts = 0

    def feed(self, chunk: bytes) -> Iterator[T]:
        first, *rest = chunk.split(b"\x1e")
        self._text += first
        for piece in rest:
            yield from self.finish()
            self._text = bytearray(piece)
        if len(self._text) > LARGEST_ITEM:
            raise TooLarge
        # The next separator comes only with the next value, which may take its time.
        if self._text.endswith(b"\n") and self._attempts < MOST_ATTEMPTS:
            self._attempts += 1
            with contextlib.suppress(msgspec.DecodeError):
                data = _decoded(bytes(self._text).strip())
                self._text.clear()
                self._attempts = 0
                yield self._convert(data)

    def finish(self) -> Iterator[T]:
        content = bytes(self._text).strip()
        self._text.clear()
        self._attempts = 0
        if content:
            yield self._convert(_decoded(content))


def _decoded(content: bytes) -> Any:
    if crowded(content):
        raise errors.ResponseTooLarge("it holds too many values")
    return decode(content)


class Source(Generic[T]):
    """Reads a response as a stream: an `Answers` may have one in place of a reader of the body.

    :param decoder: makes the decoder of one stream.
    :param lines: whether a server may call the stream JSON.
    """

    def __init__(self, decoder: Callable[[], Decoder[T]], *, lines: bool) -> None:
        self.decoder = decoder
        self._lines = lines

    def fits(self, response: httpx.Response) -> bool:
        return self._lines or not is_json(media_type(response))

    def __call__(self, response: httpx.Response) -> Source[T]:
        if not self.fits(response):
            raise ShapeError("is JSON where the spec has an event stream")
        return self


def events(convert: Callable[[Any], Any], *, json: bool = False) -> Source[Any]:
    return Source(lambda: Events(convert, json), lines=False)


def json_lines(convert: Callable[[Any], Any]) -> Source[Any]:
    return Source(lambda: JsonLines(convert), lines=True)


def json_sequence(convert: Callable[[Any], Any]) -> Source[Any]:
    return Source(lambda: JsonSequence(convert), lines=True)


def failure(operation: Operation[Any], response: httpx.Response, error: Exception) -> errors.DecodeError:
    """Return the exception of an item that can't be read."""
    kind = errors.ResponseTooLarge if isinstance(error, (TooLarge, errors.ResponseTooLarge)) else errors.DecodeError
    problem = "can't be read"
    if isinstance(error, TooLarge):
        problem = f"has more than {LARGEST_ITEM} bytes"
    elif isinstance(error, msgspec.DecodeError):
        problem = "is not JSON"
    elif isinstance(error, ShapeError):
        problem = str(error)
    elif isinstance(error, errors.DecodeError):
        problem = f"can't be read, because {error}"
    content_type = response.headers.get("content-type", "")
    found = kind(
        f"an item in the stream of {operation.name} {problem}{host_of(response.request)}",
        status=response.status_code,
        content_type=content_type,
    )
    found.operation = operation.name
    return found


_closing: set[Any] = set()
"""Tasks that close connections."""


def abandon(response: httpx.Response, loop: Any) -> None:
    """Close the connection of a stream that nobody closes any more.

    This runs wherever the garbage collector does, even inside of the code whose locks closing needs.

    :param loop: the event loop of the connection, `None` if that is a blocking one.
    """
    if loop is None:
        # Imported late: few programs leave streams open.
        from threading import Thread

        # No thread can be started while the interpreter shuts down, which closes the connection, too.
        with contextlib.suppress(RuntimeError):
            Thread(target=response.close, daemon=True).start()
    elif loop.is_running():

        def close() -> None:
            task = loop.create_task(response.aclose())
            _closing.add(task)
            task.add_done_callback(_closing.discard)

        with contextlib.suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(close)
