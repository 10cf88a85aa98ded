"""What the streams hold, as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

__all__ = ["FailedItem", "Inbound", "Outbound", "decode_failed", "decode_inbound", "decode_outbound", "encode_record"]


class Inbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that waits to be handled.

    :ivar account: the name of the account that received it.
    :ivar user_id: that account's user id.
    :ivar key: what all of its copies have in common.
    :ivar dialog: messages of an account with the same value are handled in order.
    :ivar message: the `ChatMessage`.
    :ivar from_history: whether it was read from the history.
    :ivar retried: how often it was taken from the failures.
    :ivar trace: the trace it belongs to, as W3C `traceparent`.
    """

    account: str
    user_id: int
    key: str
    dialog: str
    message: msgspec.Raw
    from_history: bool = False
    retried: int = 0
    trace: str | None = None


class Outbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply that waits to be sent.

    :ivar account: the name of the account that sends it.
    :ivar id: its message id.
    :ivar dialog: replies of an account with the same value are sent in order.
    :ivar content: the bot's `Content`.
    :ivar worker: the worker to tell if the server refuses it.
    :ivar retried: how often it was taken from the failures.
    :ivar trace: the trace it belongs to, as W3C `traceparent`.
    """

    account: str
    id: str
    dialog: str
    content: msgspec.Raw
    worker: str | None = None
    retried: int = 0
    trace: str | None = None


class FailedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message or reply that failed; one of the two is there."""

    error: str
    failed_at: dt.datetime
    inbound: Inbound | None = None
    outbound: Outbound | None = None


encode_record: Final = msgspec.json.Encoder().encode
decode_inbound: Final = msgspec.json.Decoder(Inbound).decode
decode_outbound: Final = msgspec.json.Decoder(Outbound).decode
decode_failed: Final = msgspec.json.Decoder(FailedItem).decode
