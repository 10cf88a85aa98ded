"""Which handler gets a message: the first that takes it, commands before others."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from connectycube.chat import ChatMessage
from connectycube.rest import InvalidArgument

from .commands import Command, Handler, WrongArguments, check_handler
from .context import Context

__all__ = ["ErrorHandler", "Filter", "Match", "MessageHandler", "Routes"]

Filter: TypeAlias = str | re.Pattern[str] | Callable[[ChatMessage], object] | None
"""Which messages a handler takes: those in which a pattern is found, or for which a function returns what is true."""
MessageHandler: TypeAlias = Callable[[Context], Awaitable[object]]
ErrorHandler: TypeAlias = Callable[[Context, Exception], Awaitable[object]]


@frozen
class Match:
    """A handler and what it is called with.

    :ivar usage: what to answer in its place, since the arguments are wrong.
    """

    call: Handler
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(factory=dict)
    match: Any = None
    usage: str | None = None


class Routes:
    """The handlers of a bot."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._commands: list[Command] = []
        self._messages: list[tuple[Callable[[ChatMessage], object], MessageHandler]] = []
        self.errors: list[ErrorHandler] = []

    def add_command(self, name: str, call: Handler, names: Mapping[str, Any]) -> None:
        """Add a command.

        :raises InvalidArgument: if it can't be used, or there is one with the same name.
        """
        command = Command(self._prefix, name, call, names)
        if any(other.name.casefold() == name.casefold() for other in self._commands):
            raise InvalidArgument("name", f"{name} is already registered")
        self._commands.append(command)

    def add_message(self, matches: Callable[[ChatMessage], object], call: MessageHandler) -> None:
        """Add a handler of the messages for which a predicate returns what is true.

        :raises InvalidArgument: if it can't be used.
        """
        self._messages.append((matches, check_handler(call)))

    def find(self, message: ChatMessage) -> Match | None:
        """Return the handler of a message. What a predicate raises is passed on."""
        for command in self._commands:
            rest = command.match(message.body)
            if rest is not None:
                try:
                    args, kwargs = command.parse(rest)
                except WrongArguments as error:
                    return Match(command.call, usage=str(error))
                return Match(command.call, tuple(args), kwargs)
        for matches, call in self._messages:
            if found := matches(message):
                return Match(call, match=found)
        return None


def predicate(which: Filter) -> Callable[[ChatMessage], object]:
    """Return what tells which messages a handler takes.

    :raises InvalidArgument: if that is not possible.
    """
    if which is None:
        return lambda message: True
    if isinstance(which, str):
        try:
            which = re.compile(which)
        except re.error as error:
            raise InvalidArgument("pattern", f"is not a regular expression: {error}") from error
    if isinstance(which, re.Pattern):
        search = which.search
        return lambda message: search(message.body)
    if not callable(which):
        raise InvalidArgument("pattern", f"must be a pattern or a function, not {type(which).__name__}")
    return which
