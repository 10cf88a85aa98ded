"""The JSON form in which REST answers with users, dialogs, messages and the rest of the domain.

A `viewer` is the user who asks; `None` stands for the admin API, which sees more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ..clock import iso
from ..core import Core
from ..domain.accounts import NUMBERS, TEXTS, User
from ..domain.deletion import Deleted
from ..domain.dialog_model import Dialog, DialogType
from ..domain.files import StoredFile
from ..domain.meetings import Meeting
from ..domain.message_model import Message
from ..domain.recordings import Recording
from ..domain.records import Record
from ..domain.sessions import Session

__all__ = [
    "admin_recording",
    "deleted",
    "dialog",
    "dialogs",
    "file",
    "meeting",
    "messages",
    "record",
    "recording",
    "recordings_done",
    "session",
    "subscription",
    "user",
    "whiteboard",
]


def user(found: User) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "id": found.id,
        "login": found.login,
        "email": found.email,
        **{name: getattr(found, name) for name in (*TEXTS, *NUMBERS)},
        "user_tags": ",".join(found.tags) or None,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "last_request_at": iso(found.last_request_at),
    }
    if found.is_guest:
        wire["is_guest"] = True
    return wire


def user_in_session(found: User) -> dict[str, Any]:
    """Add the second id that users have in answers about sessions."""
    return {"_id": found.object_id, **user(found)}


def session(core: Core, found: Session) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "id": found.id,
        "user_id": found.user_id,
        "application_id": core.settings.app_id,
        "token": found.token,
        "ts": int(found.created_at),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
    }
    if found.user_id is not None:
        wire["user"] = user_in_session(core.accounts.get(found.user_id))
    return wire


def dialogs(core: Core, found: Iterable[Dialog], viewer: int | None) -> list[dict[str, Any]]:
    return [dialog(core, one, viewer) for one in found]


def dialog(core: Core, found: Dialog, viewer: int | None) -> dict[str, Any]:
    open_to_all = found.type in (DialogType.PUBLIC, DialogType.BROADCAST)
    members = core.dialogs.members(found.id)
    wire: dict[str, Any] = {
        "_id": found.id,
        "user_id": found.user_id,
        "type": int(found.type),
        "name": _dialog_name(core, found, viewer),
        "description": found.description,
        "photo": found.photo,
        "occupants_ids": [] if open_to_all else members,
        "admins_ids": core.dialogs.admins(found.id),
        "pinned_messages_ids": list(found.pinned),
        "xmpp_room_jid": None if found.private else core.addresses.room(found.id),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "last_message": found.last_message,
        "last_message_date_sent": found.last_message_date_sent,
        "last_message_id": found.last_message_id,
        "last_message_user_id": found.last_message_user_id,
        "last_message_status": core.messages.last_status(found, viewer),
        "unread_messages_count": None if viewer is None else core.messages.unread(found, viewer),
        "extensions": found.extensions,
        "permissions": None if found.allow_preview is None else {"allow_preview": found.allow_preview},
    }
    if open_to_all:
        readers = members if found.type is DialogType.PUBLIC else core.dialogs.readers(found)
        wire["occupants_count"] = len(readers)
    if viewer is None:
        wire |= {
            "is_muted": found.is_muted,
            "silent_ids": core.dialogs.viewers(found.id, "silent"),
            "deleted_ids": core.dialogs.viewers(found.id, "deleted"),
        }
    return wire


def _dialog_name(core: Core, found: Dialog, viewer: int | None) -> str | None:
    if not found.private or viewer is None:
        return found.name
    # Each user sees a private dialog under the other's name.
    other = core.dialogs.opponent(found, viewer)
    opponent = None if other is None else core.accounts.find(other)
    return None if opponent is None else opponent.title


def messages(core: Core, found: Sequence[Message], viewer: int | None) -> list[dict[str, Any]]:
    with_marks = {one: core.dialogs.get(one).has_marks for one in {message.dialog_id for message in found}}
    return [_message(core, one, viewer, has_marks=with_marks[one.dialog_id]) for one in found]


def _message(core: Core, found: Message, viewer: int | None, *, has_marks: bool) -> dict[str, Any]:
    marks = core.messages.marks(found.id)
    read = [mark["user_id"] for mark in marks if mark["read"]]
    delivered = [mark["user_id"] for mark in marks if mark["delivered"]]
    seen = [one for one in read if one != found.sender_id]
    if not has_marks:
        read = delivered = [found.sender_id]
    wire: dict[str, Any] = {
        **found.extra,
        "_id": found.id,
        "chat_dialog_id": found.dialog_id,
        "message": found.body,
        "date_sent": found.date_sent,
        "sender_id": found.sender_id,
        "recipient_id": found.recipient_id,
        "attachments": list(found.attachments),
        "read_ids": read,
        "delivered_ids": delivered,
        "read": int(bool(seen)),
        "views_count": 0 if has_marks else len(seen),
        "reactions": _reactions(core, found.id, viewer),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
    }
    if viewer is None:
        wire["edited_at"] = iso(found.edited_at)
        wire["deleted_for_ids"] = [mark["user_id"] for mark in marks if mark["deleted"]]
    return wire


def _reactions(core: Core, message_id: str, viewer: int | None) -> dict[str, Any] | None:
    found = core.messages.reactions(message_id)
    if not found:
        return None
    own = [reaction for reaction, users in found.items() if viewer in users]
    return {"own": own, "total": {reaction: len(users) for reaction, users in found.items()}}


def deleted(found: Deleted) -> dict[str, Any]:
    return {
        "SuccessfullyDeleted": {"ids": found.done},
        "NotFound": {"ids": found.not_found},
        "WrongPermissions": {"ids": found.wrong_permissions},
    }


def file(found: StoredFile) -> dict[str, Any]:
    return {
        "id": found.id,
        "uid": found.uid,
        "content_type": found.content_type,
        "name": found.name,
        "size": found.size,
        "public": found.public,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "blob_status": None if found.completed_at is None else "complete",
        "set_completed_at": iso(found.completed_at),
        "last_read_access_ts": iso(found.read_at),
    }


def meeting(found: Meeting) -> dict[str, Any]:
    return {
        "_id": found.id,
        "name": found.name,
        "start_date": found.start_date,
        "end_date": found.end_date,
        "attendees": list(found.attendees),
        "record": found.record,
        "chat_dialog_id": found.chat_dialog_id,
        "host_id": found.host_id,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "public": found.public,
        "scheduled": found.scheduled,
        "notify": found.notify,
        "notify_before": found.notify_before,
        "timezone": found.timezone,
    }


def recording(core: Core, found: Recording, base_url: str) -> dict[str, Any]:
    """Return a recording as members of the meeting get it."""
    stored = core.recordings.file(found)
    return {
        "_id": found.id,
        "room_id": found.meeting_id,
        "participants_ids": list(found.participants),
        "participants_count": len(found.participants),
        "duration": found.duration,
        "size": round((stored.size or 0) / 1_000_000, 2),
        "download_url": core.files.download_address(stored, base_url, core.settings.limits.recording_seconds),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.created_at),
    }


def admin_recording(core: Core, found: Recording, base_url: str) -> dict[str, Any]:
    """Return a recording as the admin API has it, in milliseconds and bytes."""
    stored = core.recordings.file(found)
    return {
        **recording(core, found, base_url),
        "duration": round(found.duration * 1000),
        "size": stored.size,
        "file_uid": stored.uid,
    }


def recordings_done(core: Core, found: Meeting, base_url: str) -> dict[str, Any]:
    """Return what the recording webhook is called with (N-04)."""
    host = core.accounts.find(found.host_id)
    return {
        "meeting": meeting(found),
        "hostUser": None if host is None else user_in_session(host),
        "callRecords": [
            {**recording(core, one, base_url), "file_uid": core.recordings.file(one).uid}
            for one in core.recordings.list(found.id)
        ],
    }


def record(found: Record) -> dict[str, Any]:
    return {**found.values(), "permissions": found.permissions}


def whiteboard(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "_id": row["id"],
        "name": row["name"],
        "chat_dialog_id": row["dialog_id"],
        "user_id": row["user_id"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def subscription(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "notification_channel": {"name": row["channel"]},
        "device": {"udid": row["udid"], "platform": {"name": row["platform"]}},
    }
