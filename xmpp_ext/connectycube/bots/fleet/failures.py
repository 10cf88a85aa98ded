"""What failed in a fleet, and how it is retried."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from msgspec.structs import replace
from nats.js.errors import NotFoundError

from ..store import MOST_FAILURES, Failure, note_failure
from .engine import Engine
from .layout import token
from .records import FailedItem, decode_failed, encode_record

__all__ = ["Failures", "failures", "retry"]

FURTHEST: Final = 10 * MOST_FAILURES
"""How far back a bot looks for the latest failures, in the numbers of the stream."""


def _failure(sequence: int, item: FailedItem) -> Failure:
    """Return a failure as `bot.failed()` does.

    :param sequence: its place in the stream, which becomes its id.
    """
    if (message := item.inbound) is not None:
        kind, account, dialog, content = "message", message.account, message.dialog, message.message
    else:
        reply = item.outbound
        assert reply is not None
        kind, account, dialog, content = "reply", reply.account, reply.dialog, reply.content
    return Failure(
        id=str(sequence),
        kind=kind,
        dialog=dialog,
        error=item.error,
        failed_at=item.failed_at,
        content=bytes(content),
        account=account,
    )


async def failures(engine: Engine, after: int = 0) -> AsyncGenerator[Failure]:
    """Return all failures, oldest first.

    :param after: the id of the failure before the first one.
    """
    stream, subject, sequence = engine.layout.stream("failed"), engine.layout.subject("failed", ">"), after
    while True:
        try:
            found = await engine.js.get_msg(stream, sequence + 1, subject, next=True)
        except NotFoundError:
            return
        sequence = found.seq or 0
        yield _failure(sequence, decode_failed(found.data or b""))


async def retry(engine: Engine, failure_id: str) -> bool:
    """Let a failed message or reply wait again.

    :returns: whether there is such a failure.
    """
    layout, js = engine.layout, engine.js
    if not failure_id.isdecimal() or failure_id == "0":
        return False
    found = await engine.find(layout.stream("failed"), sequence=int(failure_id))
    if found is None:
        return False
    item = decode_failed(found)
    if (message := item.inbound) is not None:
        key, account, retried = message.key, message.account, message.retried + 1
        record: bytes = encode_record(replace(message, retried=retried))
        subject = layout.waiting(account, message.dialog, key)
        attempts = layout.stream("attempts")
        await js.purge_stream(f"KV_{attempts}", subject=f"$KV.{attempts}.{token(account)}.{token(key)}")
    else:
        reply = item.outbound
        assert reply is not None
        key, account, retried = reply.id, reply.account, reply.retried + 1
        record = encode_record(replace(reply, retried=retried))
        subject = layout.of("out", account, key)
    # If the process ends in between, the failure is still there, and the engine recognizes the copy.
    await js.purge_stream(layout.stream("done"), subject=layout.of("done", account, key))
    await engine.publish(subject, record, f"{account}:{key}:{retried}")
    await js.delete_msg(layout.stream("failed"), int(failure_id))
    return True


class Failures:
    """What failed, as `bot.failed()` knows it.

    :ivar latest: the latest failures by id, oldest first.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen = (0, 0)
        """How many there were, and the number of the last one."""
        self.latest: dict[str, Failure] = {}

    async def look(self) -> None:
        """Learn what has failed, and what is retried, anywhere in the fleet."""
        await self._engine.insist("read what failed", self._look)

    async def _look(self) -> None:
        engine = self._engine
        state = (await engine.js.stream_info(engine.layout.stream("failed"))).state
        (count, last), seen = self._seen, (state.messages, state.last_seq)
        if seen == self._seen:
            return
        if seen[0] - count != seen[1] - last:  # Some are gone.
            last = max(0, seen[1] - FURTHEST)
            self.latest.clear()
        async for failure in failures(engine, last):
            note_failure(self.latest, failure)
        self._seen = seen

    async def retry(self, failure_id: str) -> None:
        """Let a failed message or reply wait again."""
        await self._engine.insist("retry what failed", lambda: retry(self._engine, failure_id))
