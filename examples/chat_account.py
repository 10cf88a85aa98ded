"""The accounts that the chat examples log in with, read from the environment.

    CONNECTYCUBE_APP_ID                             the application's id
    CONNECTYCUBE_USER_ID, CONNECTYCUBE_PASSWORD     an account
    CONNECTYCUBE_USER_ID_2, CONNECTYCUBE_PASSWORD_2 a second one, if the example needs two users

If your application has its own servers, also set CONNECTYCUBE_CHAT_HOST and CONNECTYCUBE_CHAT_PORT, and SSL_CERT_FILE
if a private authority issued their certificate. docs/sandbox.md shows how to run a program against the sandbox.
"""

from __future__ import annotations

import os
import sys


def account(suffix: str = "") -> tuple[int, str]:
    """Return a user's id and password, or exit and name the missing variables."""
    names = ("CONNECTYCUBE_APP_ID", f"CONNECTYCUBE_USER_ID{suffix}", f"CONNECTYCUBE_PASSWORD{suffix}")
    if missing := [name for name in names if not os.environ.get(name)]:
        sys.exit(f"set {', '.join(missing)}: see examples/chat_account.py")
    return int(os.environ[names[1]]), os.environ[names[2]]
