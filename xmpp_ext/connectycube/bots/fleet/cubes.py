"""The REST clients of a worker's accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx

from connectycube.rest import AsyncConnectyCube, ConfigurationError

if TYPE_CHECKING:
    from .accounts import Account

__all__ = ["Cubes"]

MOST: Final = 1000
"""REST clients that are kept."""
UNKNOWN: Final = "not-logged-in-yet"
"""A token that the server refuses, so that the client logs in with its first call."""


class Cubes:
    """REST clients by account. Each logs in with its first call, and all share their connections.

    :param accounts: the accounts, with their passwords.
    :param own: clients that are logged in already.
    :param options: for `AsyncConnectyCube`.
    """

    def __init__(
        self, accounts: Iterable[Account], own: Mapping[str, AsyncConnectyCube], options: Mapping[str, Any]
    ) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._own = own
        self._options = options
        self._http: httpx.AsyncClient | None = None
        self._found: dict[str, AsyncConnectyCube] = {}

    @property
    def names(self) -> list[str]:
        """The names of all known accounts."""
        return list(dict.fromkeys((*self._accounts, *self._own)))

    def of(self, name: str, user_id: int | None = None) -> AsyncConnectyCube:
        """Return the client of an account.

        :param user_id: the account's user id, if it is known.
        :raises ConfigurationError: if the account's password is not known.
        """
        if (cube := self._own.get(name)) is not None:
            return cube
        account = self._accounts.get(name)
        if account is None or account.login is None:
            lacks = "password" if account is None else "login"
            raise ConfigurationError(
                f"the worker has no {lacks} for the account {name}: add it to --accounts to use ctx.cube"
            )
        if name not in self._found:
            if len(self._found) >= MOST:
                # It keeps no connection of its own, and whoever still uses it can go on.
                del self._found[next(iter(self._found))]
            self._found[name] = self._made(account.login, account.password, user_id or account.user_id)
        return self._found[name]

    def _made(self, name: str, password: str, user_id: int | None) -> AsyncConnectyCube:
        async def login(cube: AsyncConnectyCube) -> None:
            await cube.login(login=name, password=password)

        if self._http is None:
            self._http = httpx.AsyncClient()
        cube = AsyncConnectyCube(http_client=self._http, on_session_expired=login, **self._options)
        cube.use_session(UNKNOWN, user_id)
        return cube

    async def close(self) -> None:
        """Close all connections."""
        self._found.clear()
        if self._http is not None:
            await self._http.aclose()
