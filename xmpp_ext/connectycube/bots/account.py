"""The bot's account, from arguments or the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from connectycube.chat import AsyncChat
from connectycube.rest import AsyncConnectyCube, ConfigurationError, InvalidArgument

__all__ = ["Account", "check_account", "open_account"]

Account: TypeAlias = tuple[AsyncConnectyCube | None, AsyncChat | Mapping[str, Any] | None]
"""A REST client, and a chat or arguments for one."""


def check_account(cube: AsyncConnectyCube | None, chat: AsyncChat | Mapping[str, Any] | None) -> Account:
    """Return an account, or raise `InvalidArgument`."""
    if cube is not None and not isinstance(cube, AsyncConnectyCube):
        raise InvalidArgument("cube", f"must be an AsyncConnectyCube, not {type(cube).__name__}")
    if chat is not None and not isinstance(chat, (AsyncChat, Mapping)):
        raise InvalidArgument("chat", f"must be an AsyncChat or its arguments, not {type(chat).__name__}")
    if isinstance(chat, Mapping) and "cube" in chat:
        raise InvalidArgument("chat", "can't contain cube: pass it as Bot(cube)")
    return cube, chat


async def open_account(account: Account, stack: AsyncExitStack) -> tuple[AsyncConnectyCube | None, AsyncChat]:
    """Log in, and return the REST client, if there is one, and the chat, not yet connected.

    :param stack: closes the REST client if it was made here.
    :raises ConfigurationError: if there is no account.
    """
    cube, chat = account
    if isinstance(chat, AsyncChat):
        return cube, chat
    options: dict[str, Any] = {"send_timeout": None, **(chat or {})}
    given = "user_id" in options and "password" in options
    user_id, login, password, key = (
        os.environ.get(f"CONNECTYCUBE_{name}", "") for name in ("USER_ID", "LOGIN", "PASSWORD", "AUTH_KEY")
    )
    if cube is None and not given and login and password and key:
        cube = await stack.enter_async_context(AsyncConnectyCube())
    if cube is not None:
        if (cube.session is None or cube.session.user_id is None) and not given and login and password:
            await cube.login(login=login, password=password)
    elif not given:
        if not user_id.isdecimal() or not password:
            raise ConfigurationError(
                "the bot has no account: pass a logged-in AsyncConnectyCube, or set CONNECTYCUBE_APP_ID, "
                "CONNECTYCUBE_AUTH_KEY, CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD, or for a bot without REST "
                "CONNECTYCUBE_APP_ID, CONNECTYCUBE_USER_ID and CONNECTYCUBE_PASSWORD"
            )
        options |= {"user_id": int(user_id), "password": password}
    return cube, AsyncChat(cube, **options)
