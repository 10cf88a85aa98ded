"""Where the chat listens. Its ports are bound, and known, before the chat itself is loaded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..sockets import listening_socket

if TYPE_CHECKING:
    from .certificates import Certificates

__all__ = ["ChatAddress", "Listener"]

Listener = Literal["plain", "tls", "websocket", "secure_websocket"]
LISTENERS: tuple[Listener, ...] = ("plain", "tls", "websocket", "secure_websocket")


class ChatAddress:
    """Where the chat of a sandbox listens: TCP, TCP with TLS, WebSocket, WebSocket with TLS.

    The ports are bound at once, so that starting the sandbox fails if one is in use.

    :param host: address to listen on.
    :param ports: in the order above; 0 chooses a free one.
    :param names: host names for the certificate, besides those of the local machine.
    :param ca_file: where to keep the certificate's authority, if anywhere.
    :raises OSError: if a port is in use.
    """

    def __init__(self, host: str, ports: Sequence[int], names: Sequence[str], ca_file: Path | None) -> None:
        self._host = host
        self._ca_file = ca_file
        self._names = (*names, host, "localhost", "127.0.0.1", "::1")
        self._making = threading.Lock()
        self._certificates: Certificates | None = None
        self.sockets: dict[Listener, socket.socket] = {}
        try:
            for listener, port in zip(LISTENERS, ports, strict=True):
                self.sockets[listener] = listening_socket(host, port)
        except OSError:
            self.close()
            raise
        self._ports = {name: int(one.getsockname()[1]) for name, one in self.sockets.items()}

    @property
    def certificates(self) -> Certificates:
        """The certificates for TLS, which any thread may be the first to use, and so to create.

        :raises DataFileError: if the authority can't be read or kept.
        """
        with self._making:
            if self._certificates is None:
                from .certificates import Certificates

                self._certificates = Certificates(*self._names, ca_file=self._ca_file)
            return self._certificates

    def port(self, listener: Listener) -> int:
        """Return the port of a listener."""
        return self._ports[listener]

    def url(self, scheme: str, listener: Listener) -> str:
        """Return the WebSocket address of a listener."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if self._host in ("127.0.0.1", "::1"):
            # The official JavaScript SDK opens the stream to the host of the address: it must be the chat's domain.
            host = "localhost"
        return f"{scheme}://{host}:{self.port(listener)}"

    def close(self) -> None:
        """Release the ports, and delete the certificates unless they are kept."""
        for one in self.sockets.values():
            one.close()
        with self._making:
            certificates, self._certificates = self._certificates, None
        if certificates is not None:
            certificates.close()
