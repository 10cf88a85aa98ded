"""The handlers of a bot: how they are registered, and which of them gets a message."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeVar

from attrs import field, frozen

from connectycube.chat import ChatMessage
from connectycube.rest import InvalidArgument

from .calls import Handler, checked
from .commands import Command
from .context import Context

__all__ = ["Match", "Routes", "check_seconds"]

Filter: TypeAlias = str | re.Pattern[str] | Callable[[ChatMessage], object] | None
"""Which messages a handler takes: those that contain a pattern, or for which a function returns a true value."""

F = TypeVar("F", bound=Callable[..., Awaitable[object]])
M = TypeVar("M", bound=Callable[[Context], Awaitable[object]])
E = TypeVar("E", bound=Callable[[Context, Exception], Awaitable[object]])
L = TypeVar("L", bound=Callable[[Any], Awaitable[object]])
J = TypeVar("J", bound=Callable[[], Awaitable[object]])


@frozen
class Match:
    """A handler, and what it gets."""

    call: Handler
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(factory=dict)
    match: Any = None


class Routes:
    """Registers handlers, and finds the one for a message."""

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str):
            raise InvalidArgument("prefix", f"must be a string, not {type(prefix).__name__}")
        self._prefix = prefix
        self._commands: list[Command] = []
        self._messages: list[tuple[Callable[[ChatMessage], object], Handler]] = []
        self._listeners: list[tuple[tuple[type[Any], ...], Handler]] = []
        self._errors: list[Handler] = []
        self._jobs: list[tuple[float, Handler]] = []

    def command(self, name: str) -> Callable[[F], F]:
        """Register a command handler: `@bot.command("weather")`.

        The words after the name are converted to the types of the handler's parameters. A parameter after `*` takes
        the rest of the text, and `*words` takes all remaining words; double quotes keep words together. If the
        arguments are wrong, the bot replies with the problem, the usage and the first line of the handler's docstring.

        :param name: the name after the prefix, in upper or lower case.
        :raises InvalidArgument: from the decorator, if the handler or the name is invalid.
        """
        if not isinstance(name, str):
            raise InvalidArgument("name", "must be a string: @bot.command needs the name of the command")
        names = sys._getframe(1).f_locals

        def register(call: F) -> F:
            command = Command(self._prefix, name, call, names)
            if any(other.name.casefold() == name.casefold() for other in self._commands):
                raise InvalidArgument("name", f"{name} is already registered")
            self._commands.append(command)
            return call

        return register

    def message(self, which: Filter = None) -> Callable[[M], M]:
        """Register a message handler: `@bot.message(r"\\bping\\b")`.

        Each message goes to the first handler that matches: first commands, then handlers in order of registration.

        :param which: a pattern to search for in the text, or a predicate that takes the `ChatMessage`; `ctx.match`
            holds its result. Default: all messages.
        :raises InvalidArgument: if the pattern is invalid; from the decorator, if the handler is invalid.
        """
        matches = _predicate(which)

        def register(call: M) -> M:
            self._messages.append((matches, checked(call)))
            return call

        return register

    def on(self, *types: type[Any]) -> Callable[[L], L]:
        """Register a handler of other events or stanzas: `@bot.on(ContactRequested)`.

        They are not stored: each reaches the handler at most once.

        :param types: event classes of `connectycube.chat`, or stanza classes.
        :raises InvalidArgument: if a type is not a class; from the decorator, if the handler is invalid.
        """
        if not types or not all(isinstance(one, type) for one in types):
            raise InvalidArgument("types", "must be event or stanza classes: @bot.on needs at least one")

        def register(call: L) -> L:
            self._listeners.append((types, checked(call)))
            return call

        return register

    def error(self, call: E) -> E:
        """Register an error handler: `@bot.error`.

        It receives the context and the exception when a message fails permanently or the server refuses a reply.

        :param call: the handler.
        :raises InvalidArgument: if the handler is invalid.
        """
        self._errors.append(checked(call))
        return call

    def every(self, seconds: float) -> Callable[[J], J]:
        """Register a function that is called periodically while the bot runs, first after `seconds`.

        :param seconds: the time between two calls. A call that takes longer delays the next one.
        :raises InvalidArgument: if the time is invalid; from the decorator, if the function is invalid.
        """
        check_seconds("seconds", seconds)

        def register(call: J) -> J:
            self._jobs.append((seconds, checked(call)))
            return call

        return register

    def _find(self, message: ChatMessage) -> Match | None:
        """Return the handler of a message. Raises what a predicate raises, and `WrongArguments` for a command."""
        for command in self._commands:
            rest = command.match(message.body)
            if rest is not None:
                args, kwargs = command.parse(rest)
                return Match(command.call, tuple(args), kwargs)
        for matches, call in self._messages:
            if found := matches(message):
                return Match(call, match=found)
        return None


def _predicate(which: Filter) -> Callable[[ChatMessage], object]:
    """Return what tells which messages a handler takes."""
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
    if not callable(which) or iscoroutinefunction(which):
        raise InvalidArgument("pattern", "must be a string, a pattern or a function that is not async: @bot.message()")
    return which


def check_seconds(name: str, value: float) -> None:
    """Check an argument that is a time."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InvalidArgument(name, f"must be more than 0 seconds, not {value!r}")
