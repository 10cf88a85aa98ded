"""What a bot reports about its work."""

from __future__ import annotations

from attrs import define

__all__ = ["Stats"]


@define(kw_only=True)
class Stats:
    """What a bot has done since the process started, and what waits.

    :ivar received: messages that were stored, copies excluded.
    :ivar duplicates: copies of messages that were stored before.
    :ivar backfilled: messages that were found in the history; they also count as received.
    :ivar handled: messages that were handled.
    :ivar retried: attempts that failed and were, or will be, repeated.
    :ivar failed: messages and replies that failed for good.
    :ivar sent: replies that the server has.
    :ivar blocked: how often the event loop was blocked for a second or more.
    :ivar running: handlers at work.
    :ivar waiting: messages that wait for a handler, as far as they are in memory.
    :ivar unsent: replies that wait for the server.
    """

    received: int = 0
    duplicates: int = 0
    backfilled: int = 0
    handled: int = 0
    retried: int = 0
    failed: int = 0
    sent: int = 0
    blocked: int = 0
    running: int = 0
    waiting: int = 0
    unsent: int = 0
