"""What goes out: from the arguments of a call to the parts of a stanza, checked."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from connectycube.rest import Dialog, DialogType, File, InvalidArgument
from connectycube.stanzas import Attachment

from .._ids import is_object_id
from .._settings import Settings

__all__ = ["Target", "To", "attachments_of", "checked_id", "extra_params", "now", "target_of"]

To: TypeAlias = int | str | Dialog
"""Where a message goes: a user's id, the id of a group or public dialog, or a `Dialog`."""

FIELDS: Final = frozenset(
    field.name for field in attrs.fields(Attachment) if field.name not in ("unknown", "unknown_attributes")
)
TAKEN: Final = frozenset(
    ["save_to_history", "dialog_id", "date_sent", "moduleIdentifier", "message_id", "silent", "markable", "attachment"]
)
"""Parameters that the client or the server sets (3.3 of the facts)."""
CLASHES: Final = frozenset(["body", "delay"])
"""Names that other SDKs take for something else (U-29)."""

_is_name = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*").fullmatch


def now() -> int:
    """Unix seconds: what `date_sent` has (CX-07)."""
    return int(time.time())


@attrs.frozen
class Target:
    """Where a stanza goes.

    :ivar jid: the address.
    :ivar type: `chat` or `groupchat`.
    :ivar user_id: the recipient in a private dialog.
    :ivar dialog_id: the dialog, if it is known.
    """

    jid: str
    type: Literal["chat", "groupchat"]
    user_id: int | None
    dialog_id: str | None


def target_of(to: object, settings: Settings, own_id: int) -> Target:
    """Where `to` is.

    :raises InvalidArgument: if it is no user and no dialog.
    """
    if isinstance(to, int) and not isinstance(to, bool):
        return Target(settings.user(to), "chat", to, None)
    if isinstance(to, str):
        if is_object_id(to) is None:
            raise InvalidArgument("to", f"{to[:40]!r} is no id of a dialog: 24 hexadecimal digits are needed")
        return Target(settings.room(to), "groupchat", None, to.lower())
    if isinstance(to, Dialog):
        return _of_dialog(to, settings, own_id)
    raise InvalidArgument("to", f"must be a user's id, a dialog's id or a Dialog, not {type(to).__name__}")


def _of_dialog(dialog: Dialog, settings: Settings, own_id: int) -> Target:
    if dialog.id is None:
        raise InvalidArgument("to", "is a Dialog without an id")
    if dialog.type != DialogType.PRIVATE:
        return Target(settings.room(dialog.id), "groupchat", None, dialog.id)
    others = [user_id for user_id in dialog.occupants_ids if user_id != own_id]
    if len(others) != 1:
        raise InvalidArgument("to", "is a private Dialog whose other occupant is not known: give the user's id")
    return Target(settings.user(others[0]), "chat", others[0], dialog.id)


def checked_id(message_id: object) -> str:
    """The id of a message.

    :raises InvalidArgument: if it is none.
    """
    if not isinstance(message_id, str) or is_object_id(message_id) is None:
        raise InvalidArgument("message_id", f"must be 24 hexadecimal digits, not {str(message_id)[:40]!r}")
    return message_id


def extra_params(extra: object) -> dict[str, Any]:
    """The free parameters of a message, without those that are `None`.

    :raises InvalidArgument: if a name is none of XML's, or has a meaning of its own.
    """
    if not isinstance(extra, Mapping):
        raise InvalidArgument("extra", f"must be a mapping, not {type(extra).__name__}")
    for name in extra:
        if not isinstance(name, str) or _is_name(name) is None:
            raise InvalidArgument("extra", f"{name!r} is no name of a parameter: letters, digits, _ . - are allowed")
        if name in TAKEN or name in CLASHES:
            raise InvalidArgument("extra", f"{name!r} has a meaning of its own: see the arguments of the call")
    return {name: value for name, value in extra.items() if value is not None}


def attachments_of(attachments: Sequence[object]) -> tuple[Attachment, ...]:
    """Files and the like as a message has them (K-14). A file has both `id` and `uid` (CX-17).

    :raises InvalidArgument: if one is none.
    """
    if isinstance(attachments, (str, bytes, Mapping)) or not isinstance(attachments, Sequence):
        raise InvalidArgument("attachments", "must be a list")
    return tuple(_attachment(entry) for entry in attachments)


def _attachment(entry: object) -> Attachment:
    if isinstance(entry, File):
        if entry.uid is None:
            raise InvalidArgument("attachments", "has a file without a uid")
        kind = (entry.content_type or "").partition("/")[0]
        return Attachment(
            # CX-18: the kinds of the docs; what is none of them is a file.
            type=kind if kind in ("image", "video", "audio") else "file",
            id=entry.uid,
            uid=entry.uid,
            name=entry.name,
            size=entry.size,
            content_type=entry.content_type,
        )
    if isinstance(entry, Mapping):
        wrong = sorted(str(name) for name in entry if name not in FIELDS)
        if wrong:
            raise InvalidArgument(
                "attachments", f"has unknown fields: {', '.join(wrong)}; known are {', '.join(sorted(FIELDS))}"
            )
        entry = Attachment(**entry)
    if not isinstance(entry, Attachment):
        raise InvalidArgument("attachments", f"must hold files, Attachments or mappings, not {type(entry).__name__}")
    if entry.uid is not None and entry.id is None:
        return attrs.evolve(entry, id=entry.uid)
    return entry
