"""Messages and replies as the store keeps them: JSON, keys and ids."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
from attrs import field, frozen

from connectycube.chat import Attachment, ChatMessage, Contact, SendOptions, attachments_of
from connectycube.rest import Dialog, DialogType, InvalidArgument, User

__all__ = [
    "Content",
    "To",
    "content_of",
    "decode_content",
    "decode_message",
    "dialog_of",
    "encode",
    "key_of",
    "reply_id",
]

To: TypeAlias = int | str | User | Contact | Dialog
"""Where a message goes: a user or a dialog, or the id of one."""


@frozen(kw_only=True)
class Content:
    """A message to send.

    :ivar to: a user's or dialog's id; `None` for a reply.
    :ivar answered: what tells where the answered message was written.
    :ivar dialog_id: the private dialog with the user, if it is known.
    :ivar options: further arguments of `chat.send` and `chat.reply`.
    """

    to: int | str | None = None
    answered: ChatMessage | None = None
    dialog_id: str | None = None
    body: str | None = None
    attachments: tuple[Attachment, ...] = ()
    options: dict[str, Any] = field(factory=dict)

    @property
    def dialog(self) -> str:
        """What the store calls the dialog: its id, or the other user's."""
        return str(self.to) if self.answered is None else dialog_of(self.answered)


def content_of(body: str | None, options: SendOptions, *, to: To | ChatMessage, user_id: int) -> Content:
    """Check the arguments of `send` or `reply` (then, `to` is the answered message), as far as the bot can."""
    extra = options.get("extra")
    if body is not None and not isinstance(body, str):
        raise InvalidArgument("body", f"must be a string, not {type(body).__name__}")
    if not body and not options.get("attachments"):
        raise InvalidArgument("body", "is empty: pass a text or attachments")
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidArgument("extra", f"must be a mapping, not {type(extra).__name__}")
    if wrong := sorted(set(options) - SendOptions.__annotations__.keys()):
        raise InvalidArgument(wrong[0], "is not an argument of send or reply")
    attachments = attachments_of(options.get("attachments") or ())
    others = {name: value for name, value in options.items() if name != "attachments"}
    return Content(body=body, attachments=attachments, options=others, **_place_of(to, user_id))


def _place_of(to: object, user_id: int) -> dict[str, Any]:
    if isinstance(to, ChatMessage):
        if to.sender_id is None and to.type == "chat":
            raise InvalidArgument("message", "can't be answered: its sender is not a user of this application")
        place = ChatMessage(
            id=None, body="", sender_id=to.sender_id, recipient_id=None, dialog_id=to.dialog_id, type=to.type
        )
        return {"answered": place, "dialog_id": to.dialog_id}
    if isinstance(to, Dialog) and to.type == DialogType.PRIVATE:
        others = [one for one in to.occupants_ids if one != user_id]
        if len(others) != 1:
            raise InvalidArgument("to", "is a private Dialog whose other occupant is not known: pass the user's id")
        return {"to": others[0], "dialog_id": to.id}
    found = to.id if isinstance(to, (User, Dialog)) else to.user_id if isinstance(to, Contact) else to
    if isinstance(found, bool) or not isinstance(found, (int, str)) or not found:
        raise InvalidArgument("to", f"must be a user, a dialog or the id of one, not {type(to).__name__}")
    return {"to": found}


def _plain(value: object) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"{type(value).__name__} can't be stored as JSON")


_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)
decode_message: Final = msgspec.json.Decoder(ChatMessage).decode
decode_content: Final = msgspec.json.Decoder(Content).decode


def encode(value: ChatMessage | Content) -> bytes:
    """Return a message or reply as JSON."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidArgument("extra or attachments", f"can't be stored: {error}") from error


# -- keys and ids


def dialog_of(message: ChatMessage) -> str:
    """Return what is common to the messages of a dialog: its id, or in a private one who wrote to the bot.

    The dialog id of a private message is the sender's claim, so it does not count.
    """
    if message.type == "groupchat" and message.dialog_id is not None:
        return message.dialog_id
    return _sender(message)


def key_of(message: ChatMessage) -> str:
    """Return what all copies of a message have in common, and no other message.

    Senders choose ids and may choose another's, so a key also has the dialog and the sender. Copies of a message
    without an id have the same content and time, if the server or the sender gave a time.
    """
    if message.id is not None:
        message_id = message.id.lower()
    elif message.date_sent is not None:
        content = (message.date_sent, message.body, message.attachments, dict(message.extra), message.destroy_after)
        message_id = f"without-id-{_digest(repr(content))}"
    else:
        message_id = os.urandom(12).hex()
    return f"{dialog_of(message)}:{_sender(message)}:{message_id}"


def _sender(message: ChatMessage) -> str:
    return str(message.sender_id or message.sender_jid or "unknown")


def reply_id(user_id: int, key: str, scope: str, number: int) -> str:
    """Return the id of a reply to the message with a key, the same when a handler (the scope) runs again."""
    return _digest(f"{user_id} {key} {scope} {number}")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
