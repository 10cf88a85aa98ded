"""Commands: which texts they take, how words become typed arguments, and what wrong arguments are answered with."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import pytest

from connectycube.bots import Context
from connectycube.bots.commands import Command, WrongArguments
from connectycube.rest import InvalidArgument


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


async def weather(ctx: Context, city: str, days: int = 1) -> None:
    """Tell the weather.

    More about it.
    """


async def say(ctx: Context, times: int, *, text: str) -> None:
    """Say it."""


async def add(ctx: Context, *numbers: float) -> None:
    """Add numbers."""


async def paint(
    ctx: Context, colour: Colour, size: Literal["small", "big"], day: dt.date | None = None, fast: bool = False
) -> None:
    """Paint."""


async def shout(ctx: Context, times: Annotated[int, msgspec.Meta(le=3)] = 1, *, text: str) -> None:
    """Say it loudly."""


async def both(ctx: Context, one: int, two: int) -> None:
    """Take two."""


class Adder:
    async def __call__(self, ctx: Context, *numbers: float) -> None:
        """Add numbers."""


async def plain(ctx: Context, one: Any, two: Any = "x") -> None:
    """Take what has no type."""


plain.__annotations__.clear()


def command(call: Callable[..., Awaitable[object]], prefix: str = "/") -> Command:
    return Command(prefix, getattr(call, "__name__", type(call).__name__), call, {})


def parsed(call: Callable[..., Awaitable[object]], text: str) -> tuple[list[Any], dict[str, Any]]:
    found = command(call)
    rest = found.match(text)
    assert rest is not None
    return found.parse(rest)


@pytest.mark.parametrize(
    ("call", "text", "args", "kwargs"),
    [
        (weather, "/weather Kyiv", ["Kyiv"], {}),
        (weather, "/Weather  Kyiv   3 ", ["Kyiv", 3], {}),
        (weather, '/weather "New York" 3', ["New York", 3], {}),
        (weather, "/weather\nKyiv\n3", ["Kyiv", 3], {}),
        (weather, "/weather O'Fallon 2", ["O'Fallon", 2], {}),
        (weather, '/weather 5" 2', ['5"', 2], {}),
        (say, '/say 2 it is  "quoted" and 3', [2], {"text": 'it is  "quoted" and 3'}),
        (add, "/add 1 2.5 -3", [1.0, 2.5, -3.0], {}),
        (add, "/add", [], {}),
        (paint, "/paint red big", [Colour.RED, "big"], {}),
        (paint, "/paint blue small 2026-05-01 true", [Colour.BLUE, "small", dt.date(2026, 5, 1), True], {}),
        (shout, "/shout 2 hey you", [2], {"text": "hey you"}),
        (partial(both, two=2), "/partial 1", [1], {}),
        (Adder(), "/Adder 1 2.5", [1.0, 2.5], {}),
        (plain, "/plain 1 2", ["1", "2"], {}),
    ],
)
def test_arguments(
    call: Callable[..., Awaitable[object]], text: str, args: list[object], kwargs: dict[str, object]
) -> None:
    assert parsed(call, text) == (args, kwargs)


@pytest.mark.parametrize(
    ("call", "text", "problem"),
    [
        (weather, "/weather", "City is missing."),
        (weather, "/weather Kyiv soon", "Days must be a whole number, not 'soon'."),
        (weather, "/weather Kyiv 3 4", "Unexpected argument: '4'."),
        (say, "/say 2", "Text is missing."),
        (shout, "/shout", "Text is missing."),
        (shout, "/shout 2", "Text is missing."),
        (shout, "/shout 4 hey", "Times must be a whole number that is allowed, not '4'."),
        (add, "/add 1 two", "Numbers must be a number, not 'two'."),
        (paint, "/paint green big", "Colour must be one of red, blue, not 'green'."),
        (paint, "/paint red huge", "Size must be one of small, big, not 'huge'."),
        (paint, "/paint red big soon", "Day must be a date, not 'soon'."),
    ],
)
def test_wrong_arguments(call: Callable[..., Awaitable[object]], text: str, problem: str) -> None:
    with pytest.raises(WrongArguments) as wrong:
        parsed(call, text)
    assert str(wrong.value).splitlines()[0] == problem
    assert str(wrong.value).splitlines()[1].startswith(f"Usage: /{call.__name__}")


@pytest.mark.parametrize(
    ("call", "usage"),
    [
        (weather, "Usage: /weather <city> [days]\nTell the weather."),
        (say, "Usage: /say <times> <text>\nSay it."),
        (add, "Usage: /add [numbers...]\nAdd numbers."),
    ],
)
def test_usage(call: Callable[..., Awaitable[object]], usage: str) -> None:
    assert command(call).usage == usage


@pytest.mark.parametrize("text", ["weather Kyiv", "/weathers Kyiv", "/ weather", "", "/", " /weather", "//weather"])
def test_other_texts(text: str) -> None:
    assert command(weather).match(text) is None


def test_prefixes() -> None:
    assert command(weather, "").match("weather Kyiv") == "Kyiv"
    assert command(weather, "bot, ").match("bot, weather Kyiv") == "Kyiv"


def test_local_types_are_found() -> None:
    class Kind(enum.Enum):
        ONE = "one"

    async def local(ctx: Context, kind: Kind) -> None: ...

    assert Command("/", "local", local, {"Kind": Kind}).parse("one") == ([Kind.ONE], {})


def nothing(ctx: Context) -> None: ...


async def no_context() -> None: ...


async def unknown(ctx: Context, kind: Any) -> None: ...


unknown.__annotations__["kind"] = "Unknown"


async def more(ctx: Context, *words: str, text: str) -> None: ...


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (nothing, "must be a coroutine function"),
        (no_context, "must take a Context first"),
        (unknown, "has an annotation that is not defined"),
        (more, "nothing may follow the rest of the text"),
    ],
)
def test_unusable_handlers(call: Any, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        command(call)


@pytest.mark.parametrize("name", ["", "two words"])
def test_unusable_names(name: str) -> None:
    with pytest.raises(InvalidArgument, match="must be a single word"):
        Command("/", name, weather, {})
