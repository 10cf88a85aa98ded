"""`connectycube-sandbox`: a sandbox on the command line."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .config import ADMIN_KEY, APP_ID, AUTH_KEY, LOOPBACK, Settings
from .storage import DataFileError
from .xmpp.late import ChatStartError

if TYPE_CHECKING:
    from .alone import Alone

__all__ = ["main"]

PORT = 8480
CHAT_PORTS = {
    "chat-port": "port of the chat, with TLS if the client starts it",
    "chat-tls-port": "port of the chat that begins with TLS",
    "websocket-port": "port of the chat over WebSocket",
    "secure-websocket-port": "port of the chat over WebSocket with TLS",
}


def port(text: str) -> int:
    """A port, as an argument."""
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return number


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        prog="connectycube-sandbox",
        description="A local ConnectyCube for development and tests. It runs until it is interrupted.",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument(
        "--port", type=port, default=PORT, help="port of REST and the page, 0 for any (default: %(default)s)"
    )
    for name, what in CHAT_PORTS.items():
        made.add_argument(f"--{name}", type=port, default=0, metavar="PORT", help=f"{what} (default: any)")
    made.add_argument("--data", metavar="FILE", help="keep everything in this file (default: in memory)")
    made.add_argument(
        "--ca-file",
        metavar="FILE",
        help="keep the certificate that clients with TLS must trust here (default: DATA.ca.pem)",
    )
    made.add_argument("--seed", metavar="FILE", help="YAML or JSON file with users, dialogs, messages to start with")
    made.add_argument("--json", action="store_true", help="print the addresses as JSON")
    made.add_argument("--app-id", type=int, default=APP_ID, help="id of the application (default: %(default)s)")
    made.add_argument("--auth-key", default=AUTH_KEY, help="its authorization key (default: %(default)s)")
    made.add_argument("--admin-key", default=ADMIN_KEY, help="key of the admin API (default: %(default)s)")
    made.add_argument("--chat-host", default="localhost", help="domain of the users' JIDs (default: %(default)s)")
    made.add_argument("--users-v1", action="store_true", help="switch the deprecated list of users on (R-010)")
    return made


def addresses(sandbox: Alone) -> dict[str, Any]:
    """What a client needs to know.

    :raises DataFileError: if there can be no TLS.
    """
    found = {
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
    if sandbox.keeps_authority:
        # Else it would be made for each start, which takes a fifth of a second.
        found["ca_file"] = str(sandbox.ca_file)
    return found


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
    "ca_file": "to be trusted for TLS",
}


def tell(found: dict[str, Any], *, as_json: bool) -> None:
    """Print the addresses."""
    if as_json:
        print(json.dumps(found), flush=True)
    else:
        width = max(map(len, LABELS.values()))
        print("\n".join(f"{LABELS[name]:{width}}  {value}" for name, value in found.items()), flush=True)


def warn_of(host: str) -> None:
    """Say loudly that others can get in."""
    text = f"WARNING: it listens on {host}. Everybody who reaches this machine can use it and read all that is in it."
    line = "*" * len(text)
    print(f"{line}\n{text}\n{line}", file=sys.stderr, flush=True)


def failed(text: str) -> int:
    """Say in one line why it could not start."""
    print(f"connectycube-sandbox: {text}", file=sys.stderr)
    return 1


def run(sandbox: Alone, stop: threading.Event, *, as_json: bool) -> None:
    """Tell the addresses, and wait until it is to stop or ends by itself.

    :raises OSError: if the addresses can't be printed.
    :raises DataFileError: if there can be no TLS.
    :raises ChatStartError: if it ended by itself.
    """
    try:
        sandbox.when_ended(stop.set)
        tell(addresses(sandbox), as_json=as_json)
        stop.wait()
    finally:
        sandbox.stop()


def started(given: argparse.Namespace) -> Alone:
    """A sandbox that runs as it was asked for.

    :raises OSError: if it can't listen where it should.
    :raises DataFileError: if the data file can't be used.
    :raises ValueError: if the seed or a setting is wrong.
    :raises ChatStartError: if the chat can't be started.
    """
    # Imported here: it takes half a second, in which Ctrl-C is heard already.
    from .alone import Alone

    settings = Settings(
        app_id=given.app_id,
        auth_key=given.auth_key,
        admin_key=given.admin_key,
        chat_host=given.chat_host,
        users_v1=given.users_v1,
    )
    sandbox = Alone(
        settings,
        data=given.data,
        seed=given.seed,
        host=given.host,
        port=given.port,
        chat_port=given.chat_port,
        chat_tls_port=given.chat_tls_port,
        websocket_port=given.websocket_port,
        secure_websocket_port=given.secure_websocket_port,
        ca_file=given.ca_file,
    )
    sandbox.start()
    return sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted.

    :returns: 0, or 1 if it could not start.
    """
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = started(given)
    except OSError as error:
        return failed(error.strerror or str(error))
    except (ValueError, DataFileError, ChatStartError) as error:
        return failed(str(error))
    if given.host not in LOOPBACK:
        warn_of(given.host)
    try:
        run(sandbox, stop, as_json=given.json)
    except OSError as error:
        # At the end Python would try once more, and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failed(f"can't print the addresses: {error.strerror}")
    except (DataFileError, ChatStartError) as error:
        return failed(str(error))
    return 0
