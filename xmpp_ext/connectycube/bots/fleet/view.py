"""What is stored in a fleet, as the command line shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from ..store import Counts, Failure
from .engine import ANSWER_ONCE, Address, Engine, FleetError
from .failures import failures, retry

__all__ = ["FleetView", "count"]

BEYOND: Final = 2**31
"""From here on, the engine lists no subjects, and only tells how many there are."""


class _Found(msgspec.Struct):
    """How many subjects of a stream match a filter."""

    total: int = 0
    error: dict[str, Any] | None = None


_decode_found: Final = msgspec.json.Decoder(_Found).decode


async def count(engine: Engine, stream: str, subject: str) -> int:
    """Return how many messages of a stream match, without reading them: each has a subject of its own.

    :param subject: without the prefix.
    :raises FleetError: if the engine does not answer.
    """
    question = {"subjects_filter": engine.layout.subject(subject), "offset": BEYOND}
    api = f"$JS.API.STREAM.INFO.{engine.layout.stream(stream)}"
    with _answered(engine):
        found = _decode_found((await engine.nc.request(api, msgspec.json.encode(question), timeout=engine.answer)).data)
    if found.error is not None:
        raise FleetError(engine.name, f"can't count what is in {stream}: {found.error.get('description')}")
    return found.total


class FleetView:
    """Failures and counts of a fleet, whether it is running or not.

    :param url: as for `Address.parse`.
    :raises FleetError: if it is not such a URL.
    """

    def __init__(self, url: str) -> None:
        self._engine = Engine(Address.parse(url), answer=ANSWER_ONCE)

    async def open(self) -> None:
        """Connect. Raises `FleetError` if that is not possible, or if there is no fleet."""
        await self._engine.open(create=False)

    async def close(self) -> None:
        """Disconnect."""
        await self._engine.close()

    async def counts(self) -> Counts:
        """Return how much is stored. Those that are handled include replies that were sent."""
        subjects = {"pending": ("in", ">"), "handled": ("done", ">"), "failed": ("failed", ">"), "unsent": ("out", ">")}
        found = await asyncio.gather(*(count(self._engine, *one) for one in subjects.values()))
        return Counts(**dict(zip(subjects, found, strict=True)))

    async def failures(self) -> list[Failure]:
        """Return all failures, oldest first."""
        with _answered(self._engine):
            return [failure async for failure in failures(self._engine)]

    async def retry(self, failure_id: str) -> bool:
        """Let a failed message or reply wait again. Returns whether there is such a failure."""
        with _answered(self._engine):
            return await retry(self._engine, failure_id)


@contextmanager
def _answered(engine: Engine) -> Generator[None]:
    try:
        yield
    except (NatsError, APIError) as error:
        raise FleetError(engine.name, f"does not answer: {error}") from error
