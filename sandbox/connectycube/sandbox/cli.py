"""`connectycube-sandbox`: a sandbox on the command line."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ._sandbox import LOOPBACK, Sandbox
from .config import ADMIN_KEY, APP_ID, AUTH_KEY, Settings
from .core import Core
from .seeding import SeedError
from .storage import DataFileError
from .xmpp.late import ChatStartError

__all__ = ["main"]

PORT = 8480


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        prog="connectycube-sandbox",
        description="A local ConnectyCube for development and tests. It runs until it is interrupted.",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument(
        "--port", type=int, default=PORT, help="port of REST and the page, 0 for any (default: %(default)s)"
    )
    made.add_argument("--data", metavar="FILE", help="keep everything in this file (default: in memory)")
    made.add_argument("--seed", metavar="FILE", help="YAML or JSON file with users, dialogs, messages to start with")
    made.add_argument("--json", action="store_true", help="print the addresses as JSON")
    made.add_argument("--app-id", type=int, default=APP_ID, help="id of the application (default: %(default)s)")
    made.add_argument("--auth-key", default=AUTH_KEY, help="its authorization key (default: %(default)s)")
    made.add_argument("--admin-key", default=ADMIN_KEY, help="key of the admin API (default: %(default)s)")
    made.add_argument("--chat-host", default="localhost", help="domain of the users' JIDs (default: %(default)s)")
    made.add_argument("--users-v1", action="store_true", help="switch the deprecated list of users on (R-010)")
    return made


class Alone(Sandbox):
    """A sandbox that has its process to itself."""

    def _make_core(self) -> Core:
        core = super()._make_core()
        # What is loaded stays: the collector would look through it for a tenth of a second, again and again.
        core.loaded = gc.freeze
        return core

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Have a function called when it ends, also by itself."""
        assert self._server is not None
        self._server.stopped.add_done_callback(lambda _: callback())


def addresses(sandbox: Sandbox) -> dict[str, Any]:
    """What a client needs to know."""
    return {
        "api_url": sandbox.api_url,
        "app_id": sandbox.app_id,
        "auth_key": sandbox.auth_key,
        "admin_key": sandbox.admin_key,
        "chat_host": sandbox.chat_host,
        "chat_port": sandbox.chat_port,
        "chat_tls_port": sandbox.chat_tls_port,
        "websocket_url": sandbox.websocket_url,
        "secure_websocket_url": sandbox.secure_websocket_url,
    }


LABELS = {
    "api_url": "REST and page",
    "app_id": "application id",
    "auth_key": "authorization key",
    "admin_key": "administration key",
    "chat_host": "domain of the chat",
    "chat_port": "port of the chat",
    "chat_tls_port": "port with TLS",
    "websocket_url": "WebSocket",
    "secure_websocket_url": "WebSocket with TLS",
}


def warn_of(host: str) -> None:
    """Say loudly that others can get in."""
    text = f"WARNING: it listens on {host}. Everybody who reaches this machine can use it and read all that is in it."
    line = "*" * len(text)
    print(f"{line}\n{text}\n{line}", file=sys.stderr, flush=True)


def failed(why: object) -> int:
    """Say why in one line."""
    print(f"connectycube-sandbox: {why}", file=sys.stderr)
    return 1


def run(sandbox: Alone, stop: threading.Event, *, as_json: bool) -> None:
    """Show the addresses, and wait until it is to stop or ends by itself."""
    try:
        sandbox.when_ended(stop.set)
        found = addresses(sandbox)
        if as_json:
            print(json.dumps(found), flush=True)
        else:
            width = max(map(len, LABELS.values()))
            print("\n".join(f"{LABELS[name]:{width}}  {value}" for name, value in found.items()), flush=True)
        stop.wait()
    finally:
        sandbox.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted.

    :returns: 0, or 1 if it could not start, or its chat could not.
    """
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    settings = Settings(
        app_id=given.app_id,
        auth_key=given.auth_key,
        admin_key=given.admin_key,
        chat_host=given.chat_host,
        users_v1=given.users_v1,
    )
    if given.host not in LOOPBACK:
        warn_of(given.host)
    try:
        sandbox = Alone(settings, data=given.data, seed=given.seed, host=given.host, port=given.port)
        sandbox.start()
    except OSError as error:
        return failed(f"can't listen on {given.host}:{given.port}: {error.strerror}")
    except (DataFileError, SeedError, ChatStartError) as error:
        return failed(error)
    try:
        run(sandbox, stop, as_json=given.json)
    except ChatStartError as error:
        return failed(error)
    return 0
