"""Connections of the sync client that end at deadlines."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any, TypeVar

import httpcore
import httpx

from ._deadline import shorter


class Stream(httpcore.NetworkStream):
    """A connection whose steps end at the deadline of the call that uses it."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, shorter(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, shorter(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = shorter(timeout, httpcore.ConnectTimeout)
        return Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Backend(httpcore.SyncBackend):
    """Opens such connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = shorter(timeout, httpcore.ConnectTimeout)
        return Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


Transport = TypeVar("Transport", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


def bounded(transport: Transport) -> Transport:
    """Return a transport, a sync one with connections that end at deadlines."""
    if isinstance(transport, httpx.HTTPTransport):
        # httpx has no argument for it.
        transport._pool._network_backend = Backend()
    return transport
