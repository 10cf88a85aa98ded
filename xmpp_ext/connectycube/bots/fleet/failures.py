"""What failed in a fleet, and how it is retried."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec.structs import replace
from nats.js.errors import NotFoundError

from ..store import Failure
from .engine import Engine
from .records import FailedItem, decode_failed, encode_record

__all__ = ["failure_of", "failures", "retry"]


def failure_of(sequence: int, item: FailedItem) -> Failure:
    """Return a failure as `bot.failed()` does.

    :param sequence: its place in the stream, which becomes its id.
    """
    if (message := item.inbound) is not None:
        kind, dialog, content = "message", message.dialog, message.message
    else:
        reply = item.outbound
        assert reply is not None
        kind, dialog, content = "reply", reply.dialog, reply.content
    return Failure(
        id=str(sequence), kind=kind, dialog=dialog, error=item.error, failed_at=item.failed_at, content=bytes(content)
    )


async def failures(engine: Engine) -> AsyncGenerator[Failure]:
    """Return all failures, oldest first."""
    layout, sequence = engine.layout, 0
    while True:
        try:
            found = await engine.js.get_msg(
                layout.stream("failed"), sequence + 1, layout.subject("failed", ">"), direct=True, next=True
            )
        except NotFoundError:
            return
        sequence = found.seq or 0
        yield failure_of(sequence, decode_failed(found.data or b""))


async def retry(engine: Engine, failure_id: str) -> bool:
    """Let a failed message or reply wait again.

    :returns: whether there is such a failure.
    """
    layout = engine.layout
    if not failure_id.isdecimal() or failure_id == "0":
        return False
    try:
        found = await engine.js.get_msg(layout.stream("failed"), int(failure_id), direct=True)
    except NotFoundError:
        return False
    item = decode_failed(found.data or b"")
    # If the process ends in between, the failure is still there, and the engine recognizes the copy.
    if (message := item.inbound) is not None:
        key, account = message.key, message.account
        record: bytes = encode_record(replace(message, retried=message.retried + 1))
        subject, retried = layout.waiting(account, message.dialog, key), message.retried + 1
    else:
        reply = item.outbound
        assert reply is not None
        key, account = reply.id, reply.account
        record = encode_record(replace(reply, retried=reply.retried + 1))
        subject, retried = layout.of("out", account, key), reply.retried + 1
    await engine.js.purge_stream(layout.stream("done"), subject=layout.of("done", account, key))
    await engine.publish(subject, record, f"{account}:{key}:{retried}")
    await engine.js.delete_msg(layout.stream("failed"), int(failure_id))
    return True
