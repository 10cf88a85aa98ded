"""Users who write while processes are killed, and what has become of their messages at the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from ..report import Table
from .world import ended

PARTS = "ab"
"""Each message is answered once for each letter."""
WINDOW = 12
"""Messages that a user sends before the first of them is answered."""
SLACK = 0.1
"""The part of the messages that may be sent before the next blow has fallen."""
PATIENCE = 180.0
"""Seconds without any new answer after which what is unanswered counts as lost."""

Blow = Callable[[], Awaitable[None]]
History = list[tuple[str, str]]
"""The texts and ids of the answers that the server has, in order."""


class Talk(Protocol):
    """A user's side of a dialog with a bot.

    :ivar live: the answers that the chat brought, in order.
    :ivar texts: the ids of each answer: more than one is an answer seen twice.
    """

    live: list[str]
    texts: dict[str, set[str | None]]

    async def say(self, text: str) -> None:
        """Send a message to the bot until the server has it."""

    async def answers(self, count: int) -> None:
        """Wait until so many different answers have arrived."""


class Trial:
    """What suffers while users write to it; a subclass knows what to start again."""

    def __init__(self, talks: Sequence[Talk], each: int, parts: str = PARTS) -> None:
        self.talks = talks
        self.each = each
        self.parts = parts
        self.struck: dict[str, float] = {}
        seed = random.randrange(1_000_000)
        print(f"random seed {seed}", flush=True)
        self.chance = random.Random(seed)

    async def watch(self) -> None:
        """Start again whatever has ended by itself."""
        raise NotImplementedError

    async def restart(self) -> None:
        """Stop everything in order, and start it again."""
        raise NotImplementedError

    @property
    def total(self) -> int:
        """Answers that are due in all."""
        return len(self.talks) * self.each * len(self.parts)

    @property
    def answered(self) -> int:
        """Different answers that have arrived."""
        return sum(len(talk.texts) for talk in self.talks)

    async def write(self, talk: Talk) -> None:
        """Write to the bot as it answers, and no faster than the blows fall."""
        for number in range(self.each):
            await talk.answers(max(0, len(self.parts) * (number - WINDOW)))
            while min(self.struck.values()) < number / self.each - SLACK:
                await asyncio.sleep(0.01)
            await talk.say(f"{number}")

    async def strike(self, name: str, times: int, blow: Blow) -> None:
        """Deal blows while the answers arrive, evenly spread and each at a random moment."""
        for number in range(times):
            self.struck[name] = (number + 1) / times
            due = int((number + self.chance.random()) / times * self.total * (1 - SLACK))
            while self.answered < due:
                await asyncio.sleep(0.01)
            await blow()
        self.struck[name] = 1.0

    async def _work(self, blows: list[asyncio.Task[None]], watch: asyncio.Future[None]) -> None:
        """Let the users write, and wait for all answers."""
        await asyncio.gather(*(self.write(talk) for talk in self.talks), *blows)
        await asyncio.gather(*(talk.answers(self.each * len(self.parts)) for talk in self.talks))
        # A copy of an earlier answer would come before those that follow.
        await ended(watch)
        await self.restart()
        await asyncio.gather(*(talk.say("last") for talk in self.talks))
        await asyncio.gather(*(talk.answers((self.each + 1) * len(self.parts)) for talk in self.talks))

    async def run(self, blows: Mapping[str, tuple[int, Blow]]) -> float:
        """Return the seconds until everything is answered, or nothing more is.

        :param blows: by name, how often each falls.
        """
        begun = asyncio.get_running_loop().time()
        self.struck = {"": 1.0}
        striking = [asyncio.ensure_future(self.strike(name, *blow)) for name, blow in blows.items()]
        watch = asyncio.ensure_future(self.watch())
        work = asyncio.ensure_future(self._work(striking, watch))
        known = -1
        while not work.done() and known < (known := self.answered):
            await asyncio.wait([work], timeout=PATIENCE)
        await ended(work, watch, *striking)
        return asyncio.get_running_loop().time() - begun

    def report(self, table: Table, title: str, blows: str, seconds: float, histories: Sequence[History]) -> None:
        """Add the rows.

        :param blows: what fell, in words.
        """
        words = [*(f"{number}" for number in range(self.each)), "last"]
        table.row(f"{title}: {self.each * len(self.talks):,} messages in {len(self.talks)} dialogs", blows)
        judge(table, self.talks, [f"{word} {part}" for word in words for part in self.parts], histories)
        table.row("  duration", f"{seconds:.0f} s")


def judge(table: Table, talks: Sequence[Talk], expected: Sequence[str], histories: Sequence[History]) -> None:
    """Add a row each for what was lost, came twice or came in another order.

    :param expected: the answers of each dialog, in order.
    """
    unanswered = twice = disordered = 0
    for talk, history in zip(talks, histories, strict=True):
        for text, message_id in history:
            talk.texts.setdefault(text, set()).add(message_id)
        unanswered += sum(text not in talk.texts for text in expected)
        twice += sum(len(ids) - 1 for ids in talk.texts.values())
        texts = [text for text, _ in history]
        disordered += not in_order(talk.live, expected) or not in_order(texts, expected)
    due = len(talks) * len(expected)
    table.row(f"  unanswered, of {due:,} replies", f"{unanswered}", "0", unanswered == 0)
    table.row("  replies seen twice", f"{twice}", "0", twice == 0)
    table.row("  dialogs out of order", f"{disordered}", "0", disordered == 0)


def in_order(texts: Sequence[str], expected: Sequence[str]) -> bool:
    """Return whether texts have the order that is expected, even if some are missing."""
    places = [expected.index(text) for text in texts]
    return places == sorted(places)
