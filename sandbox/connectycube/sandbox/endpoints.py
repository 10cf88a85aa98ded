"""What clients need to connect to a sandbox, for people and for shells."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

__all__ = ["ACCOUNT", "LABELS", "exports"]

LABELS = {
    "api_url": "REST and page",
    "app_id": "application id",
    "auth_key": "authorization key",
    "admin_key": "administration key",
    "chat_host": "chat domain",
    "chat_port": "chat port",
    "chat_tls_port": "chat port (TLS)",
    "websocket_url": "WebSocket",
    "secure_websocket_url": "WebSocket (TLS)",
    "ca_file": "CA certificate",
}
"""The properties of a `Sandbox` that clients need, and how to call them."""

ACCOUNT = {"login": "login", "password": "password"}
"""The account of the program under development, which only the demo has."""

VARIABLES = {
    "app_id": "APP_ID",
    "auth_key": "AUTH_KEY",
    "admin_key": "ADMIN_KEY",
    "api_url": "BASE_URL",
    "chat_host": "CHAT_HOST",
    "chat_tls_port": "CHAT_PORT",
    "ca_file": "CHAT_CA_FILE",
    "login": "LOGIN",
    "password": "PASSWORD",
}


def exports(values: Mapping[str, object]) -> str:
    """Return the shell commands that set the environment variables of the clients."""
    return "\n".join(
        f"export CONNECTYCUBE_{variable}={shlex.quote(str(values[name]))}"
        for name, variable in VARIABLES.items()
        if name in values
    )
