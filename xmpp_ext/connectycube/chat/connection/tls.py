"""TLS with small buffers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any, Final

__all__ = ["connect", "upgrade"]

RECORD: Final = 16 * 1024
"""Bytes of the largest TLS record (RFC 8446 section 5.1)."""


class _Tls(SSLProtocol):
    """asyncio's protocol with a smaller read buffer: its 256 KiB would be most of a chat's memory."""

    max_size = RECORD

    def _write_appdata(self, list_of_data: list[bytes]) -> None:
        # asyncio's own writes on after the connection is lost, and logs a warning for each attempt.
        if self._transport is not None and not self._transport.is_closing():
            super()._write_appdata(list_of_data)


def _protocol(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, context: ssl.SSLContext, host: str
) -> tuple[Any, asyncio.Future[None]]:
    waiter: asyncio.Future[None] = loop.create_future()
    return _Tls(loop, protocol, context, waiter, server_side=False, server_hostname=host), waiter


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
