"""TLS with small buffers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from asyncio.sslproto import SSLProtocol
from typing import Any, Final

__all__ = ["connect", "upgrade"]

RECORD: Final = 16 * 1024
"""Bytes of the largest TLS record (RFC 8446 section 5.1)."""


class _Shared(threading.local):
    """The read buffer of all connections of a thread."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECORD))


_shared = _Shared()


class _Tls(SSLProtocol):
    """asyncio's protocol with a smaller read buffer: its 256 KiB would be most of a chat's memory."""

    max_size = RECORD

    def _write_appdata(self, list_of_data: list[bytes]) -> None:
        # asyncio's own writes on after the connection is lost, and logs a warning for each attempt.
        if self._transport is not None and not self._transport.is_closing():
            super()._write_appdata(list_of_data)


class _Lean(_Tls):
    """The same without a buffer of its own, for loops that read at once what they ask a buffer for.

    What is in the buffer is copied before anything else can be read, so all connections of a thread share it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ssl_buffer = bytearray()
        self._ssl_buffer_view = memoryview(self._ssl_buffer)

    def get_buffer(self, n: int) -> memoryview:
        self._ssl_buffer_view = _shared.view
        return self._ssl_buffer_view


def _protocol(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, context: ssl.SSLContext, host: str
) -> tuple[Any, asyncio.Future[None]]:
    waiter: asyncio.Future[None] = loop.create_future()
    kind = _Lean if isinstance(loop, asyncio.SelectorEventLoop) else _Tls
    return kind(loop, protocol, context, waiter, server_side=False, server_hostname=host), waiter


async def connect(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.BaseProtocol,
    host: str,
    sock: socket.socket,
    context: ssl.SSLContext,
) -> None:
    """Use TLS on a connected socket from the first byte. The protocol gets its transport after the handshake.

    :raises OSError: if the handshake fails.
    """
    made: list[tuple[Any, asyncio.Future[None]]] = []

    def factory() -> Any:
        # Created only with the connection: a TLS protocol that never had one emits a ResourceWarning.
        made.append(_protocol(loop, protocol, context, host))
        return made[0][0]

    transport, _ = await loop.create_connection(factory, sock=sock)
    await _handshake(transport, made[0][1])


async def upgrade(
    loop: asyncio.AbstractEventLoop,
    transport: Any,
    protocol: asyncio.BaseProtocol,
    host: str,
    context: ssl.SSLContext,
) -> None:
    """Start TLS on an open connection. The protocol gets a new transport after the handshake.

    :raises OSError: if the handshake fails.
    """
    tls, waiter = _protocol(loop, protocol, context, host)
    # The old protocol must not read any of the handshake while protocols are exchanged.
    transport.pause_reading()
    transport.set_protocol(tls)
    tls.connection_made(transport)
    transport.resume_reading()
    await _handshake(transport, waiter)


async def _handshake(transport: Any, waiter: asyncio.Future[None]) -> None:
    try:
        await waiter
    except BaseException:
        transport.abort()
        raise
