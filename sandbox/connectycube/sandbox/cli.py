"""`connectycube-sandbox`: the sandbox as a command."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectycube._extras import missing_extra

from .config import LOOPBACK, Settings
from .endpoints import LABELS, exports
from .identity import IdentityProvider
from .storage import DataFileError
from .xmpp.late import ChatStartError

if TYPE_CHECKING:
    from .alone import Alone

__all__ = ["main"]

PORT = 8480
CHAT_PORTS = {
    "chat-port": "port of the chat, with STARTTLS",
    "chat-tls-port": "port of the chat with direct TLS",
    "websocket-port": "port of the chat over WebSocket",
    "secure-websocket-port": "port of the chat over WebSocket with TLS",
}


def port(text: str) -> int:
    """Parse a port."""
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return number


def identity_provider(text: str) -> IdentityProvider:
    """Parse the address of an identity provider, or read the file with its settings."""
    try:
        return IdentityProvider(url=text) if "://" in text else IdentityProvider(**settings_in(text))
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def settings_in(path: str) -> dict[str, Any]:
    """Read a YAML or JSON file.

    :raises ValueError: if it can't be read.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise missing_extra("sandbox", error) from error
    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{path} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a mapping")
    return found


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    made = argparse.ArgumentParser(
        prog="connectycube-sandbox",
        description="A local ConnectyCube for development and tests. It runs until interrupted.",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument(
        "--port", type=port, default=PORT, help="port of the REST API and the page; 0 for any (default: %(default)s)"
    )
    for name, what in CHAT_PORTS.items():
        made.add_argument(f"--{name}", type=port, default=0, metavar="PORT", help=f"{what} (default: any)")
    made.add_argument("--data", metavar="FILE", help="file that keeps all data (default: none is kept)")
    made.add_argument(
        "--ca-file",
        metavar="FILE",
        help="file for the certificate authority that clients must trust (default with --data: its name plus .ca.pem)",
    )
    data = made.add_mutually_exclusive_group()
    data.add_argument("--seed", metavar="FILE", help="YAML or JSON file with users, dialogs and messages to start with")
    data.add_argument(
        "--demo",
        action="store_true",
        help="start with a few users, one of whom echoes each message, and print the environment for clients",
    )
    made.add_argument("--json", action="store_true", help="print the addresses as JSON")
    made.add_argument("--app-id", type=int, help="application id (default: random, or as kept in the data file)")
    made.add_argument("--auth-key", help="authorization key (default: as for --app-id)")
    made.add_argument("--admin-key", help="administration key (default: as for --app-id)")
    made.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin of web pages that may use the sandbox, such as http://localhost:3000; may be repeated",
    )
    made.add_argument("--chat-host", default="localhost", help="domain of the users' JIDs (default: %(default)s)")
    made.add_argument("--users-v1", action="store_true", help="enable version 1 of the users API")
    made.add_argument(
        "--identity-provider",
        type=identity_provider,
        metavar="URL_OR_FILE",
        help="your server that vouches for users: its address, or a YAML or JSON file with its settings",
    )
    made.add_argument("--no-online-users", action="store_true", help="disable the Online Users API")
    return made


def addresses(sandbox: Alone) -> dict[str, Any]:
    """Return what a client needs to connect.

    :raises DataFileError: if TLS is not possible.
    """
    found = sandbox.endpoints(ca_file=sandbox.keeps_authority)
    return {name: str(value) if name == "ca_file" else value for name, value in found.items()}


def tell_demo(sandbox: Alone) -> None:
    """Print the environment for clients to stdout, and for people to stderr what to do with it.

    :raises DataFileError: if TLS is not possible.
    """
    from .demo import NAMES, PASSWORD

    found = exports(sandbox.endpoints())
    print(
        f"Users: {', '.join(NAMES)}; all have the password {PASSWORD}. The user echo sends each message back.\n"
        f"Watch them, and write as any of them, at {sandbox.api_url}\n"
        "Paste these lines into another terminal. Ctrl-C stops the sandbox.\n",
        file=sys.stderr,
        flush=True,
    )
    print(found, flush=True)


def tell(found: dict[str, Any], *, as_json: bool) -> None:
    """Print the addresses."""
    if as_json:
        print(json.dumps(found), flush=True)
    else:
        width = max(map(len, LABELS.values()))
        print("\n".join(f"{LABELS[name]:{width}}  {value}" for name, value in found.items()), flush=True)


def warn_of(host: str) -> None:
    """Warn loudly that others can connect."""
    text = f"WARNING: listening on {host}. Anyone who can reach this machine can use the sandbox and read all its data."
    line = "*" * len(text)
    print(f"{line}\n{text}\n{line}", file=sys.stderr, flush=True)


def failed(text: str) -> int:
    """Print in one line why the sandbox could not start."""
    print(f"connectycube-sandbox: {text}", file=sys.stderr)
    return 1


def run(sandbox: Alone, stop: threading.Event, *, as_json: bool, demo: bool) -> None:
    """Print the addresses, and wait until the sandbox is stopped or ends on its own.

    :raises OSError: if the addresses can't be printed.
    :raises DataFileError: if TLS is not possible.
    :raises ChatStartError: if the sandbox ended on its own.
    """
    try:
        sandbox.when_ended(stop.set)
        if demo and not as_json:
            tell_demo(sandbox)
        else:
            tell(addresses(sandbox), as_json=as_json)
        stop.wait()
    finally:
        sandbox.stop()


def started(given: argparse.Namespace) -> Alone:
    """Start a sandbox from the arguments.

    :raises OSError: if a port is taken.
    :raises DataFileError: if the data file can't be used.
    :raises ValueError: if the seed or a setting is invalid.
    :raises ChatStartError: if the chat can't start.
    """
    # Imported here because it takes half a second, during which Ctrl-C should already work.
    try:
        from .alone import Alone
    except ModuleNotFoundError as error:
        raise missing_extra("sandbox", error) from error

    settings = Settings(
        app_id=given.app_id,
        auth_key=given.auth_key,
        admin_key=given.admin_key,
        chat_host=given.chat_host,
        users_v1=given.users_v1,
        online_users=not given.no_online_users,
        identity_provider=given.identity_provider,
        origins=given.allow_origin,
    )
    sandbox = Alone(
        settings,
        demo=given.demo,
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

    :returns: 0, or 1 if the sandbox could not start.
    """
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = started(given)
    except OSError as error:
        hint = "; 0 chooses a free port, as in --port 0" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        return failed(f"{error.strerror or error}{hint}")
    except (ValueError, DataFileError, ChatStartError) as error:
        return failed(str(error))
    if given.host not in LOOPBACK:
        warn_of(given.host)
    try:
        run(sandbox, stop, as_json=given.json, demo=given.demo)
    except OSError as error:
        # Python would flush stdout once more at exit, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failed(f"can't print the addresses: {error.strerror}")
    except (DataFileError, ChatStartError) as error:
        return failed(str(error))
    return 0
