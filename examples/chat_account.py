"""Whom the examples of the chat log in as: accounts of your application, named in the environment.

    CONNECTYCUBE_APP_ID                             the application's id
    CONNECTYCUBE_USER_ID, CONNECTYCUBE_PASSWORD     an account
    CONNECTYCUBE_USER_ID_2, CONNECTYCUBE_PASSWORD_2 a second one, where an example has two users

An application with servers of its own sets CONNECTYCUBE_CHAT_HOST and CONNECTYCUBE_CHAT_PORT, too, and SSL_CERT_FILE
if its certificate is of a private authority.
"""

from __future__ import annotations

import os
import sys


def account(suffix: str = "") -> tuple[int, str]:
    """User id and password. Where they are missing the program ends, and says what is."""
    names = ("CONNECTYCUBE_APP_ID", f"CONNECTYCUBE_USER_ID{suffix}", f"CONNECTYCUBE_PASSWORD{suffix}")
    if missing := [name for name in names if not os.environ.get(name)]:
        sys.exit(f"set {', '.join(missing)}: see examples/chat_account.py")
    return int(os.environ[names[1]]), os.environ[names[2]]
