"""What all commands share: their common options, the account, and errors that are reported in one line."""

from __future__ import annotations

import getpass
import os
import stat
import sys
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from attrs import define, field
from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from rich.console import Console

    from connectycube.rest import AsyncConnectyCube

__all__ = ["CommandFailed", "Options", "UsageError", "config_file", "secret_from"]

KEYS: Final = (
    "app_id",
    "auth_key",
    "admin_key",
    "base_url",
    "login",
    "email",
    "password",
    "token",
    "chat_host",
    "chat_port",
    "chat_ca_file",
)
"""What a profile may contain. The environment has the same, as `CONNECTYCUBE_APP_ID` and so on."""

COMMON: Final = Group("Common options", sort_key=1)


class CommandFailed(Exception):
    """A command can't do what it was asked to. The text is printed as one line, and the exit status is 1."""


class UsageError(CommandFailed):
    """The command line or the account's settings are wrong. The exit status is 2."""


def variable(key: str) -> str:
    """Return the environment variable of a profile's key."""
    return f"CONNECTYCUBE_{key.upper()}"


def config_file() -> Path:
    """Return the path of the file with the profiles."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "connectycube" / "config.toml"


def read_profile(name: str) -> dict[str, str]:
    """Return the settings of a profile.

    :raises UsageError: if the profile does not exist, or its file can't be used.
    """
    path = config_file()
    try:
        with path.open("rb") as file:
            # A file with passwords and keys is refused if others can read it, as SSH refuses such a private key.
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UsageError(f"other users have access to {path}, which holds secrets: run chmod 600 on it")
            profiles = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"can't read the profile {name!r} from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    found = profiles.get(name)
    if not isinstance(found, dict):
        named = ", ".join(key for key, value in profiles.items() if isinstance(value, dict)) or "none"
        raise UsageError(f"{path} has no profile {name!r} (profiles: {named})")
    for key, value in found.items():
        if key not in KEYS:
            raise UsageError(f"{path}: {name}.{key} is unknown (known: {', '.join(KEYS)})")
        if isinstance(value, bool) or not isinstance(value, (str, int)) or "\0" in str(value):
            raise UsageError(f"{path}: {name}.{key} must be an integer or a string without null characters")
    return {key: str(value) for key, value in found.items()}


def ask(what: str) -> str:
    """Ask for a secret on the terminal.

    :raises UsageError: if the input ends instead.
    """
    try:
        return getpass.getpass(f"{what}: ")
    except EOFError as error:
        raise UsageError("nothing was entered") from error


def secret_from(source: str, what: str) -> str:
    """Read a secret from where an argument says, since other users can see the arguments of a process.

    :param source: `-`, `env:NAME` or `file:PATH`.
    :param what: the secret's name, for the prompt and errors.
    :raises ValueError: if it is something else, or can't be read.
    """
    kind, _, place = source.partition(":")
    if source == "-":
        return ask(what) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if kind == "env" and place in os.environ:
        return os.environ[place]
    if kind == "env":
        raise ValueError(f"the environment variable {place} is not set")
    if kind != "file":
        raise ValueError(f"{what} is a secret: pass -, env:NAME or file:PATH instead of the secret itself")
    try:
        return Path(place).expanduser().read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ValueError(f"can't read {place}: {getattr(error, 'strerror', None) or error}") from error


def flag(help: str) -> Parameter:
    """Return an option that is either given or not."""
    return Parameter(negative="", show_default=False, help=help)


@Parameter(name="*", group=COMMON)
@define(slots=False)
class Options:
    """Options of every command."""

    profile: Annotated[
        str | None,
        Parameter(
            env_var="CONNECTYCUBE_PROFILE",
            help="Profile in the configuration file to use instead of the account in the environment.",
        ),
    ] = None
    json: Annotated[bool, flag("Print JSON instead of a table: one object, or one per line for lists.")] = False
    show_secrets: Annotated[bool, flag("Print tokens and signed URLs, which are otherwise masked.")] = False
    _chosen: bool = field(default=False, init=False)

    @cached_property
    def console(self) -> Console:
        """Where results go."""
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)

    @cached_property
    def errors(self) -> Console:
        """Where hints and progress go."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False, emoji=False)

    def setting(self, key: str) -> str | None:
        """Return a setting of the account.

        :raises UsageError: if the profile can't be used.
        """
        if self.profile and not self._chosen:
            # The clients read the environment. A profile replaces all of it: the keys of one application must never be
            # sent to the server of another.
            found = read_profile(self.profile)
            for other in KEYS:
                os.environ.pop(variable(other), None)
            os.environ.update({variable(name): value for name, value in found.items()})
            self._chosen = True
        return os.environ.get(variable(key)) or None

    @asynccontextmanager
    async def cube(self, *, login: bool = True) -> AsyncGenerator[AsyncConnectyCube]:
        """Open a REST client of the account.

        :param login: log in as the account's user or, if it has none, open a session of the application.
        :raises UsageError: if a setting is missing or invalid.
        :raises ConnectyCubeError: if the login fails.
        """
        from connectycube.rest import AsyncConnectyCube

        token = self.setting("token")
        async with AsyncConnectyCube(token=token) as cube:
            if login and token is None:
                await self._log_in(cube)
            yield cube

    async def _log_in(self, cube: AsyncConnectyCube) -> None:
        who: dict[str, Any] = {key: value for key in ("login", "email") if (value := self.setting(key))}
        if not who:
            cube.use_session((await cube.sessions.create()).token)
            return
        if len(who) > 1:
            raise UsageError("the account has both a login and an email: keep one of them")
        password = self.setting("password")
        if password is None:
            if not sys.stdin.isatty():
                raise UsageError(f"the account has no password: set {variable('password')}, or use --profile")
            password = ask(f"Password of {next(iter(who.values()))}")
        await cube.login(**who, password=password)
