"""Read bodies within bounds: what a hostile server sends must not fill the memory.

The bodies are unpacked here and not by httpx, which unpacks each piece as a whole: a thousandfold, if the server likes.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from typing import Final

import httpx

from . import errors

LARGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes that the body of an ordinary response may have, both on the wire and unpacked."""

LARGEST_RAW: Final = 64 * 1024 * 1024
"""The same for a response other than JSON, and for a download into memory."""

LARGEST_ERROR: Final = 256 * 1024
"""Bytes to keep of a refusal's body."""

LONGEST_TEXT: Final = 64 * 1024
"""Characters to keep of a refusal that is not JSON."""

CROWDS: Final = (
    (b"{[", 50_000, 3),  # objects and lists
    (b":", 120_000, 5),  # keys, each perhaps new to the decoder
    (b",", 500_000, 2),  # values of any kind
)
"""Signs of which JSON may hold so many, and the least bytes that each takes.

The decoder holds the GIL, and so stops the event loop, for at most about 70 ms with any of these numbers.
"""

PIECE: Final = 64 * 1024

ENCODINGS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What can be unpacked, with zlib's `wbits`. httpx asks for others only if their optional packages are installed."""

SLOW_CHARSETS: Final = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"})
"""Codecs that no web page is in, and that are slow or do not replace invalid bytes."""


class Unpacker:
    """Undo a response's content encoding, a bounded piece at a time.

    :raises httpx.DecodingError: if the encoding is unknown.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._request = response.request
        # A transport or a hook of the caller's own may have read it, and then httpx has unpacked it.
        encoding = "" if response.is_stream_consumed else response.headers.get("content-encoding", "")
        names = [name for name in encoding.lower().replace(" ", "").split(",") if name not in ("", "identity")]
        if len(names) > 1 or not ENCODINGS.keys() >= set(names):
            raise httpx.DecodingError("unknown content encoding", request=self._request)
        self.wbits = ENCODINGS[names[0]] if names else 0
        self._zlib = zlib.decompressobj(self.wbits) if names else None
        self._started = False

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """Yield the content of the next bytes from the wire.

        :raises httpx.DecodingError: if they can't be unpacked.
        """
        if self._zlib is None:
            yield data
            return
        while data:
            if self._zlib.eof:
                if self.wbits != ENCODINGS["gzip"]:
                    return
                self._zlib = zlib.decompressobj(self.wbits)  # RFC 1952, 2.2: a file may have several members.
            try:
                piece = self._zlib.decompress(data, PIECE)
            except zlib.error as error:
                if self._started or self.wbits != ENCODINGS["deflate"]:
                    raise httpx.DecodingError("damaged content encoding", request=self._request) from error
                self.wbits = -15  # Many servers send deflate without zlib's header.
                self._zlib = zlib.decompressobj(self.wbits)
                continue
            self._started = True
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that nothing is missing.

        :raises httpx.DecodingError: if the encoded stream has no end.
        """
        if self._zlib is not None and self._started and not self._zlib.eof:
            raise httpx.DecodingError("truncated content encoding", request=self._request)


def host_of(request: httpx.Request | None) -> str:
    """Return a request's host in parentheses, for the text of an error."""
    return "" if request is None else f" ({request.url.netloc.decode('ascii')})"


def is_short(headers: httpx.Headers, limit: int) -> bool:
    """Return whether a plain body is announced with a length within a limit, as almost all are: httpx may read it."""
    length = headers.get("content-length", "")
    plain = "content-encoding" not in headers and "transfer-encoding" not in headers
    return plain and len(length) < 16 and length.isdecimal() and int(length) <= limit


def too_large(operation: str, limit: int, remedy: str = "") -> errors.ResponseTooLarge:
    """Return the error of a body over its bound."""
    error = errors.ResponseTooLarge(f"the response to {operation} has more than {limit} bytes{remedy}")
    error.operation = operation
    return error


def crowded(body: bytes) -> bool:
    """Return whether JSON holds so many values that decoding it would take much memory and time."""
    return any(len(body) > least * most and sum(map(body.count, signs)) > most for signs, most, least in CROWDS)


def charset_of(response: httpx.Response) -> str:
    """Return the charset that a server names, UTF-8 if it names none that can be used."""
    try:
        charset = codecs.lookup(response.charset_encoding or "utf-8").name
        b"-".decode(charset, "replace")  # Some codecs are not for text.
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if charset in SLOW_CHARSETS else charset


def text_of(response: httpx.Response) -> str:
    """Return the start of a body as text, whatever the server says about its charset."""
    return response.content[:LONGEST_TEXT].decode(charset_of(response), "replace")
