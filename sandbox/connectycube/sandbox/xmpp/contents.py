"""Conversion of messages between the history and the wire (facts 3.2, 3.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from connectycube.stanzas import Attachment, ChatMessage, ExtraParams, GroupMessage

from ..domain.chat import Accepted
from ..domain.message_model import Draft
from ..ids import is_object_id
from .kinds import Message, destroyed

__all__ = ["attachment_of", "completed", "draft_of", "extra_of", "saved"]

_NAMES = {"content_type": "content-type"}
_NUMBERS = ("size", "width", "height", "duration")
_DEGREES = ("latitude", "longitude")
_FIELDS = frozenset(
    "save_to_history dialog_id date_sent moduleIdentifier message_id silent markable attachment".split()
)
"""Children of `extraParams` that are not free parameters."""
_ATTACHMENT = [str(one.name) for one in attrs.fields(Attachment) if not one.name.startswith("unknown")]


def saved(message: Message) -> bool:
    """Return whether to save a message: if its sender asks for it and it is not self-destructing (K-12, K-16, U-53)."""
    extra = message.extra if isinstance(message, (ChatMessage, GroupMessage)) else None
    return extra is not None and bool(extra.save_to_history) and not destroyed(message)


def draft_of(message: Message, sender_id: int) -> Draft:
    """Return a message with content as the history stores it."""
    assert isinstance(message, (ChatMessage, GroupMessage))
    extra = message.extra or ExtraParams()
    candidates = (message.id, extra.message_id)
    return Draft(
        sender_id=sender_id,
        body=message.body,
        id=next((one.lower() for one in candidates if one is not None and is_object_id(one.lower())), None),
        date_sent=extra.date_sent,
        attachments=[_to_json(one) for one in extra.attachments],
        extra={name: _text(value) for name, value in extra.params.items()},
        markable=message.markable is not None or bool(extra.markable),
        silent=bool(extra.silent),
    )


def _text(value: Any) -> str:
    """Return a parameter as text, which for a nested one is JSON (U-28)."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _to_json(attachment: Attachment) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _ATTACHMENT:
        value = getattr(attachment, name)
        if name in _DEGREES and (isinstance(value, bool) or not isinstance(value, (int, float))):
            continue  # In a stanza it may be anything, in the history only a number.
        if value is not None:
            found[_NAMES.get(name, name)] = value if name in (*_NUMBERS, *_DEGREES) else _text(value)
    return found | {key: value for key, value in attachment.unknown_attributes if key[0] != "{"}


def completed(message: Message, accepted: Accepted) -> Message:
    """Add what the server tells the receivers: the dialog and when the message was sent (K-12, U-27, CX-08)."""
    assert isinstance(message, (ChatMessage, GroupMessage))
    extra = attrs.evolve(message.extra or ExtraParams(), dialog_id=accepted.dialog_id, date_sent=accepted.date_sent)
    if message.id is None:
        return attrs.evolve(message, id=accepted.message_id, extra=extra)
    if message.id.lower() != accepted.message_id:
        # Receivers use it if the stanza's own id is not in the platform's format (3.3).
        extra.message_id = accepted.message_id
    return attrs.evolve(message, extra=extra)


def attachment_of(fields: Mapping[str, Any]) -> Attachment:
    """Return an attachment from the history for the wire (K-14)."""
    known: dict[str, Any] = {}
    others: list[tuple[str, str]] = []
    for key, value in fields.items():
        name = key.replace("-", "_")
        if value is None:
            continue
        if name in _NUMBERS:
            if str(value).isdecimal():
                known[name] = int(value)
        elif name == "data":
            known[name] = value
        elif name in _ATTACHMENT:
            known[name] = _text(value)
        else:
            others.append((key, _text(value)))
    return Attachment(**known, unknown_attributes=tuple(others))


def extra_of(
    *,
    dialog_id: str,
    date_sent: int | None = None,
    attachments: Sequence[Mapping[str, Any]] = (),
    params: Mapping[str, Any] | None = None,
) -> ExtraParams:
    """Return the parameters of a message that came over REST."""
    return attrs.evolve(
        parameters(params or {}),
        dialog_id=dialog_id,
        date_sent=date_sent,
        message_id=None,
        save_to_history=True if date_sent is not None else None,
        attachments=tuple(attachment_of(one) for one in attachments),
    )


def parameters(given: Mapping[str, Any]) -> ExtraParams:
    """Return an application's own parameters. Those that have a field in `ExtraParams` go there, if they fit."""
    found = ExtraParams(params={name: value for name, value in given.items() if name not in _FIELDS})
    for name in ("dialog_id", "message_id"):
        if isinstance(given.get(name), str):
            setattr(found, name, given[name])
    for name in ("save_to_history", "silent"):
        if given.get(name) is not None:
            setattr(found, name, str(given[name]).lower() in ("1", "true"))
    if str(given.get("date_sent")).isdecimal():
        found.date_sent = int(given["date_sent"])
    return found
