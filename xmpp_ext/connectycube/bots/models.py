"""A bot's statistics."""

from __future__ import annotations

from attrs import define

__all__ = ["Stats"]


@define(kw_only=True)
class Stats:
    """What a bot has done since the process started, and what is waiting.

    :ivar received: messages stored, excluding copies.
    :ivar duplicates: copies of messages that were already stored.
    :ivar backfilled: messages read from the history, also counted as received.
    :ivar handled: messages handled.
    :ivar retried: failed attempts after which the handler is called again.
    :ivar failed: messages and replies that failed permanently.
    :ivar sent: replies that the server has acknowledged.
    :ivar blocked: times that the event loop was blocked for a second or more.
    :ivar running: messages being handled.
    :ivar waiting: messages that are waiting for a handler.
    :ivar unsent: replies that are waiting to be sent.
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
