"""The bot's account: creates the REST client and the chat from arguments or the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from connectycube.chat import AsyncChat
from connectycube.rest import AsyncConnectyCube, ConfigurationError, InvalidArgument

__all__ = ["Account"]


class Account:
    """Creates a bot's clients.

    :ivar cube: the REST client, if there is one.
    """

    def __init__(self, cube: AsyncConnectyCube | None, chat: AsyncChat | Mapping[str, Any] | None) -> None:
        if cube is not None and not isinstance(cube, AsyncConnectyCube):
            raise InvalidArgument("cube", f"must be an AsyncConnectyCube, not {type(cube).__name__}")
        if chat is not None and not isinstance(chat, (AsyncChat, Mapping)):
            raise InvalidArgument("chat", f"must be an AsyncChat or its arguments, not {type(chat).__name__}")
        if isinstance(chat, Mapping) and "cube" in chat:
            raise InvalidArgument("chat", "can't contain cube: pass it as Bot(cube)")
        self.cube = cube
        self._chat = chat
        self._owns_cube = False

    async def open(self) -> AsyncChat:
        """Log in, and return the chat, not yet connected.

        :raises ConfigurationError: if there is no account.
        """
        if isinstance(self._chat, AsyncChat):
            return self._chat
        options: dict[str, Any] = {"send_timeout": None, **(self._chat or {})}
        login, password = os.environ.get("CONNECTYCUBE_LOGIN"), os.environ.get("CONNECTYCUBE_PASSWORD")
        given = "user_id" in options and "password" in options
        if self.cube is None and not given and login and password and os.environ.get("CONNECTYCUBE_AUTH_KEY"):
            self.cube, self._owns_cube = AsyncConnectyCube(), True
        if self.cube is not None:
            session = self.cube.session
            if (session is None or session.user_id is None) and not given and login and password:
                await self.cube.login(login=login, password=password)
        elif not given:
            options |= _named_account()
        return AsyncChat(self.cube, **options)

    async def close(self) -> None:
        """Close the REST client if it was made here."""
        if self._owns_cube and self.cube is not None:
            await self.cube.aclose()
            self.cube, self._owns_cube = None, False


def _named_account() -> dict[str, Any]:
    """Return the user id and password from the environment."""
    user_id, password = os.environ.get("CONNECTYCUBE_USER_ID", ""), os.environ.get("CONNECTYCUBE_PASSWORD", "")
    if not user_id.isdecimal() or not password:
        raise ConfigurationError(
            "the bot has no account: pass a logged-in AsyncConnectyCube, or set CONNECTYCUBE_APP_ID, "
            "CONNECTYCUBE_AUTH_KEY, CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD, or for a bot without REST "
            "CONNECTYCUBE_APP_ID, CONNECTYCUBE_USER_ID and CONNECTYCUBE_PASSWORD"
        )
    return {"user_id": int(user_id), "password": password}
