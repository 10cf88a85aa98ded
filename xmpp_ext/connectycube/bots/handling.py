"""What happens to a message: its handler is called, again if it fails, and permanent failures are kept and reported."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import frozen

from connectycube.chat._tracing import traced

from .calls import Calls, text_of
from .commands import WrongArguments
from .context import Context
from .link import LINK, Link
from .models import Stats
from .store import Entry, Progress

if TYPE_CHECKING:
    from . import Bot

__all__ = ["FIRST_DELAY", "Handling"]

FIRST_DELAY: Final = 1.0
"""Seconds before a failed handler is called again; doubled each time."""
LONGEST_DELAY: Final = 60.0

logger = logging.getLogger("connectycube.bots")


@frozen(eq=False)
class Handling:
    """Handles messages.

    :ivar link: returns the account that received a message.
    :ivar attempts: how often a handler is called for a message.
    :ivar timeout: seconds that a handler may take; `None` for no limit.
    """

    bot: Bot
    store: Progress
    link: Callable[[Entry], Link]
    calls: Calls
    stats: Stats
    attempts: int
    timeout: float | None

    async def handle(self, entry: Entry) -> float | None:
        """Call the handler of a message, and return seconds after which to call it again; `None` if that is over."""
        redelivered = entry.attempts > 0 or entry.redelivered
        link = self.link(entry)
        LINK.set(link)
        context = Context(self.bot, link, entry, redelivered, self._refused)
        if entry.attempts >= self.attempts:
            error: Exception | None = RuntimeError(f"the process ended during attempt {entry.attempts}")
        else:
            entry.attempts += 1
            if redelivered:
                # If the message ends the process, the next one must know. The first attempt is cheaper without that.
                await self.store.begin(entry.key, entry.attempts)
            try:
                error = await self._try(context, entry.trace)
            except asyncio.CancelledError:
                # The bot stops, which is not the message's fault.
                self.store.begin(entry.key, entry.attempts - 1)
                raise
        if error is None:
            self.stats.handled += 1
            self.store.finish(entry.key)
        elif entry.attempts < self.attempts:
            self.stats.retried += 1
            delay: float = min(FIRST_DELAY * 2 ** (entry.attempts - 1), LONGEST_DELAY)
            problem = f"attempt {entry.attempts} for message {entry.key} failed"
            logger.warning("%s, retrying in %g s: %s", problem, delay, text_of(error))
            return delay
        else:
            logger.error("message %s can't be handled", entry.key, exc_info=error)
            self.stats.failed += 1
            await self.store.fail(entry.key, text_of(error))
            await self._report(context, error, "message")
        return None

    async def _try(self, context: Context, origin: str | None) -> Exception | None:
        try:
            found = self.bot._find(context.message)
        except WrongArguments as error:
            return await self.calls.call(context.reply(str(error)), self.timeout)
        except Exception as error:
            return error
        if found is None:
            return None
        context.args, context.match = (*found.args, *found.kwargs.values()), found.match
        handler = traced(found.call, context.message, origin)
        return await self.calls.call(handler(context, *found.args, **found.kwargs), self.timeout)

    def _refused(self, context: Context, error: Exception, reply_id: str) -> None:
        self.calls.background.begin(self._report(context, error, reply_id))

    async def _report(self, context: Context, error: Exception, failed: str) -> None:
        """Call the error handlers, since a reply (its id) or the `message` itself failed."""
        # The handler may still be at work: the ids of its answers must not depend on what is answered here.
        context = context._within(f"error {type(error).__name__} {failed}")
        for handler in self.bot._errors:
            problem = await self.calls.call(handler(context, error), self.timeout)
            if problem is not None:
                logger.error("an error handler failed", exc_info=problem)
