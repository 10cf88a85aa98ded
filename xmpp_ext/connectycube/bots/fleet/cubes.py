"""The REST clients of a worker's accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx

from connectycube.rest import AsyncConnectyCube, ConfigurationError

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

    def of(self, name: str) -> AsyncConnectyCube:
        """Return the client of an account.

        :raises ConfigurationError: if the account's password is not known.
        """
        if (cube := self._own.get(name)) is not None:
            return cube
        if name not in self._accounts:
            raise ConfigurationError(
                f"the worker has no password for the account {name}: start it with --accounts to use ctx.cube"
            )
        if name not in self._found:
            if len(self._found) >= MOST:
                # It keeps no connection of its own, and whoever still uses it can go on.
                del self._found[next(iter(self._found))]
            self._found[name] = self._made(self._accounts[name])
        return self._found[name]

    def _made(self, account: Account) -> AsyncConnectyCube:
        async def login(cube: AsyncConnectyCube) -> None:
            if account.login is not None:
                await cube.login(login=account.login, password=account.password)
            ...

        if self._http is None:
            self._http = httpx.AsyncClient()
        return AsyncConnectyCube(http_client=self._http, token=UNKNOWN, on_session_expired=login, **self._options)

    async def close(self) -> None:
        """Close all connections."""
        self._found.clear()
        if self._http is not None:
            await self._http.aclose()
