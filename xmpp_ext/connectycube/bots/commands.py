"""Commands with typed arguments: `/weather Kyiv 3`."""

from __future__ import annotations

import enum
import inspect
import re
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from attrs import frozen

from connectycube.rest import InvalidArgument

from .calls import checked, name_of

__all__ = ["Command", "WrongArguments"]

NAMES: Final[dict[Any, str]] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_word = re.compile(r'\s*(?:"([^"]*)"(?=\s|$)|(\S+))').match

ONE, REST, MANY = range(3)
"""An argument is a word, the rest of the text, or each word of it."""


class WrongArguments(Exception):
    """The arguments of a command are not those that it takes. Its text says which, and how to call it."""


@frozen
class Parameter:
    """An argument of a command."""

    name: str
    type: Any
    kind: int
    required: bool

    @property
    def usage(self) -> str:
        """How the usage text shows it."""
        text = f"{self.name}..." if self.kind == MANY else self.name
        return f"<{text}>" if self.required else f"[{text}]"

    def convert(self, text: str) -> Any:
        """Return a value of its type, or raise `ValueError`."""
        if self.type is str or self.type is Any:
            return text
        try:
            return msgspec.convert(text, self.type, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"{self.name} must be {_described(self.type)}, not {text[:40]!r}") from error


class Command:
    """A command, which calls a function with the words that follow its name.

    A parameter after `*` takes the rest of the text as it is, `*words` takes any number of words. Double quotes keep
    words together.

    :ivar name: what follows the prefix.
    :ivar call: the function.
    """

    def __init__(
        self, prefix: str, name: str, call: Callable[..., Awaitable[object]], names: Mapping[str, Any]
    ) -> None:
        """:param names: what annotations may refer to besides the globals of the function."""
        if not name or len(name.split()) != 1:
            raise InvalidArgument("name", f"must be a single word, not {name!r}")
        self.name = name
        self.call = checked(call)
        self._prefix = prefix
        self._parameters = _parameters(call, names)

    @property
    def usage(self) -> str:
        """How to call it, and what it does."""
        parts = [f"{self._prefix}{self.name}", *(parameter.usage for parameter in self._parameters)]
        summary = (inspect.getdoc(self.call) or "").partition("\n")[0]
        return f"Usage: {' '.join(parts)}" + (f"\n{summary}" if summary else "")

    def match(self, text: str) -> str | None:
        """Return what follows the command in a text, `None` if the text does not begin with the command."""
        rest = text.removeprefix(self._prefix)
        name, *others = rest.split(None, 1) or [""]
        if not text.startswith(self._prefix + name) or name.casefold() != self.name.casefold():
            return None
        return others[0].strip() if others else ""

    def parse(self, text: str) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments for the function, or raise `WrongArguments`."""
        try:
            return self._parse(text)
        except ValueError as error:
            problem = str(error)
            raise WrongArguments(f"{problem[0].upper()}{problem[1:]}.\n{self.usage}") from error

    def _parse(self, text: str) -> tuple[list[Any], dict[str, Any]]:
        found: list[Any] = []
        for parameter in self._parameters:
            if not text and parameter.required:
                raise ValueError(f"{parameter.name} is missing")
            if text and parameter.kind == REST:
                return found, {parameter.name: parameter.convert(text)}
            while text:
                word, text = _first_word(text)
                found.append(parameter.convert(word))
                if parameter.kind == ONE:
                    break
        if text:
            raise ValueError(f"unexpected argument: {text[:40]!r}")
        return found, {}


def _parameters(call: Callable[..., Awaitable[object]], names: Mapping[str, Any]) -> list[Parameter]:
    """Return the parameters of a handler after its context."""
    name = name_of(call)
    try:
        given = list(inspect.signature(call, locals=names, eval_str=True).parameters.values())
    except NameError as error:
        raise InvalidArgument("handler", f"{name} has an annotation that is not defined: {error}") from error
    if not given or given[0].kind is given[0].KEYWORD_ONLY:
        raise InvalidArgument("handler", f"{name} must take a Context first")
    found: list[Parameter] = []
    for one in given[1:]:
        kind = MANY if one.kind is one.VAR_POSITIONAL else REST if one.kind is one.KEYWORD_ONLY else ONE
        if one.kind is one.VAR_KEYWORD or (found and found[-1].kind != ONE):
            raise InvalidArgument("handler", f"{name} can't take {one.name}: nothing may follow the rest of the text")
        required = one.default is one.empty and kind != MANY
        found.append(Parameter(one.name, str if one.annotation is one.empty else one.annotation, kind, required))
    return found


def _first_word(text: str) -> tuple[str, str]:
    """Return the first word of a text and the rest. A quote that is never closed is an ordinary character."""
    found = _word(text)
    if found is None:
        return "", ""
    return found[1] if found[1] is not None else found[2], text[found.end() :].strip()


def _described(kind: Any) -> str:
    """Return a type in words."""
    if kind in NAMES:
        return NAMES[kind]
    if get_origin(kind) is Annotated:
        return f"{_described(get_args(kind)[0])} that is allowed"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(str(value) for value in get_args(kind))}"
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_described(one) for one in get_args(kind) if one is not type(None))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    return f"a {getattr(kind, '__name__', kind)}"
