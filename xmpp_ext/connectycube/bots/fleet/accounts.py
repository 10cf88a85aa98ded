"""The accounts of a fleet, from a TOML file, from the environment, or from code."""

from __future__ import annotations

import importlib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from connectycube.rest import ConnectyCubeError

__all__ = ["Account", "AccountsError", "load_accounts"]

CALLABLE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
KNOWN: Final = ("login", "user_id", "password", "password_env")


class AccountsError(ConnectyCubeError):
    """The accounts can't be read, or one of them is incomplete.

    :ivar source: where they come from.
    :ivar problem: what is wrong and how to fix it.
    """

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(source, problem)
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        return f"the accounts in {self.source}: {self.problem}"


@frozen
class Account:
    """An account that a gateway connects: by its login, by its user id, or by a login whose user id is known.

    :ivar login: with it, the gateway has a REST session, and reads missed messages from the history. An account with a
        user id alone has only the chat.
    """

    login: str | None = None
    password: str = field(default="", repr=False)
    user_id: int | None = None

    @property
    def name(self) -> str:
        """What identifies it in the fleet: its login, or else its user id."""
        return self.login or str(self.user_id)


def load_accounts(spec: str) -> list[Account]:
    """Read accounts.

    :param spec: one of these:

        * the path of a TOML file with `[[accounts]]`, each of which has `login` or `user_id`, and `password` or
          `password_env`, the name of an environment variable;
        * `env:BOT_{n}` for `BOT_1_LOGIN` or `BOT_1_USER_ID`, with `BOT_1_PASSWORD`; then `BOT_2_...`, until one is
          missing;
        * `module:callable` for a function without arguments that returns `Account`s.
    :raises AccountsError: if they can't be read, if one of them is incomplete, or if one is there twice.
    """
    if spec.startswith("env:"):
        found = list(_from_environment(spec))
    elif CALLABLE.fullmatch(spec) and not Path(spec).exists():
        found = list(_from_code(spec))
    else:
        found = list(_from_file(spec))
    if not found:
        raise AccountsError(spec, "there are none")
    names: set[object] = set()
    for account in found:
        for one in (account.name, account.user_id):
            if one is not None and one in names:
                raise AccountsError(spec, f"{one} is there twice: remove one of the two")
        names |= {account.name, account.user_id}
    return found


def _account(source: str, where: str, values: Mapping[str, Any]) -> Account:
    """Check the values of an account. Errors don't show them, since any may be a misplaced password."""
    login, user_id, password = values.get("login"), values.get("user_id"), values.get("password")
    if login is not None and (not isinstance(login, str) or not login):
        raise AccountsError(source, f"{where}: login must be a string that is not empty")
    if user_id is not None and (not isinstance(user_id, int) or isinstance(user_id, bool) or user_id <= 0):
        raise AccountsError(source, f"{where}: user_id must be a whole number above 0")
    if login is None and user_id is None:
        raise AccountsError(source, f"{where} has neither login nor user_id")
    if not isinstance(password, str) or not password:
        raise AccountsError(source, f"{where} ({login or user_id}) has no password")
    return Account(login, password, user_id)


def _from_file(spec: str) -> Iterator[Account]:
    try:
        content = tomllib.loads(Path(spec).read_text("utf-8"))
    except OSError as error:
        raise AccountsError(spec, f"the file can't be read: {error.strerror}") from error
    except ValueError as error:
        raise AccountsError(spec, f"the file is not valid TOML: {error}") from error
    tables = content.get("accounts", [])
    if set(content) - {"accounts"} or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise AccountsError(spec, "the file must hold tables [[accounts]] and nothing else")
    for number, table in enumerate(tables, 1):
        where = f"account {number}"
        if unknown := sorted(set(table) - set(KNOWN)):
            raise AccountsError(spec, f"{where} has an unknown key {unknown[0]!r}; known are {', '.join(KNOWN)}")
        variable = table.get("password_env")
        if variable is not None and ("password" in table or not isinstance(variable, str)):
            raise AccountsError(spec, f"{where}: password_env must name an environment variable, and replaces password")
        if variable is not None and not os.environ.get(variable):
            raise AccountsError(spec, f"{where}: the environment variable {variable} has no password")
        yield _account(spec, where, table if variable is None else {**table, "password": os.environ[variable]})


def _from_environment(spec: str) -> Iterator[Account]:
    template = spec.removeprefix("env:")
    if "{n}" not in template:
        raise AccountsError(spec, "write env:BOT_{n}, where {n} stands for 1, 2 and so on")
    number = 1
    while True:
        prefix = template.replace("{n}", str(number))
        login, user_id = (os.environ.get(f"{prefix}_{one}") or None for one in ("LOGIN", "USER_ID"))
        if login is None and user_id is None:
            if number == 1:
                raise AccountsError(spec, f"neither {prefix}_LOGIN nor {prefix}_USER_ID is set")
            return
        if user_id is not None and not re.fullmatch(r"[0-9]{1,18}", user_id):
            raise AccountsError(spec, f"{prefix}_USER_ID must be a whole number above 0")
        values = {"login": login, "user_id": user_id and int(user_id), "password": os.environ.get(f"{prefix}_PASSWORD")}
        yield _account(spec, prefix, values)
        number += 1


def _from_code(spec: str) -> Iterator[Account]:
    module, _, path = spec.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        returned: Iterable[Any] = iter(found())
    except Exception as error:
        raise AccountsError(spec, f"the function failed: {type(error).__name__}: {error}") from error
    for number, account in enumerate(returned, 1):
        if not isinstance(account, Account):
            raise AccountsError(spec, f"item {number} is not an Account, but a {type(account).__name__}")
        values = {"login": account.login, "user_id": account.user_id, "password": account.password}
        yield _account(spec, f"item {number}", values)
