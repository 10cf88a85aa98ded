"""Messages and replies as the store keeps them: JSON, keys and ids."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict

import msgspec
from attrs import field, frozen

from connectycube.chat import Attachment, ChatMessage, Contact
from connectycube.rest import Dialog, DialogType, File, InvalidArgument, User

__all__ = [
    "Content",
    "SendOptions",
    "content_of",
    "decode_content",
    "decode_message",
    "dialog_of",
    "encode",
    "key_of",
    "place_of",
    "reply_id",
]


class SendOptions(TypedDict, total=False):
    """The further arguments of `send` and `reply`, which mean what they mean to a chat.

    :ivar attachments: files from `cube.files.upload`, `Attachment` objects, or mappings with the same fields.
    :ivar save_to_history: keep the message in the dialog's history, by default true.
    :ivar markable: request delivered and read marks, by default true.
    :ivar extra: further parameters: strings, numbers, booleans or nested mappings.
    :ivar destroy_after: seconds after reading until the message disappears; it is then not kept in the history.
    :ivar silent: do not send push notifications to offline users.
    """

    attachments: Sequence[Attachment | File | Mapping[str, Any]]
    save_to_history: bool
    markable: bool
    extra: Mapping[str, Any] | None
    destroy_after: int | None
    silent: bool


@frozen(kw_only=True)
class Content:
    """A message to send.

    :ivar to: a user's or dialog's id; `None` for an answer in a private dialog or group.
    :ivar type: where an answer goes: `chat` or `groupchat`.
    :ivar sender_id: the user who is answered.
    :ivar dialog_id: the dialog, if it is known.
    """

    to: int | str | None = None
    type: Literal["chat", "groupchat"] = "chat"
    sender_id: int | None = None
    dialog_id: str | None = None
    body: str | None = None
    attachments: tuple[Attachment, ...] = ()
    save_to_history: bool = True
    markable: bool = True
    extra: dict[str, Any] = field(factory=dict)
    destroy_after: int | None = None
    silent: bool = False

    @property
    def dialog(self) -> str:
        """What the store calls the dialog: its id, or the other user's."""
        if self.to is not None:
            return str(self.to)
        return str(self.dialog_id if self.type == "groupchat" else self.sender_id)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that `chat.send` and `chat.reply` share."""
        return {name: getattr(self, name) for name in SendOptions.__annotations__}

    @property
    def answered(self) -> ChatMessage:
        """A message that `chat.reply` answers in the right place."""
        return ChatMessage(
            id=None,
            body="",
            sender_id=self.sender_id,
            recipient_id=None,
            dialog_id=self.dialog_id,
            type=self.type,
        )


def _plain(value: object) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"{type(value).__name__} can't be stored as JSON")


_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)
_messages: Final = msgspec.json.Decoder(ChatMessage)
_contents: Final = msgspec.json.Decoder(Content)
decode_message: Final = _messages.decode
decode_content: Final = _contents.decode


def encode(value: ChatMessage | Content) -> bytes:
    """Return a message or reply as JSON.

    :raises InvalidArgument: if `extra` or an attachment holds what JSON can't express.
    """
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

    Senders choose ids and may choose another's, so a key also has the dialog and the sender. A message without an id
    can't be recognized.
    """
    message_id = os.urandom(12).hex() if message.id is None else message.id.lower()
    return f"{dialog_of(message)}:{_sender(message)}:{message_id}"


def _sender(message: ChatMessage) -> str:
    return str(message.sender_id or message.sender_jid or "unknown")


def reply_id(user_id: int, key: str, scope: str, number: int) -> str:
    """Return the id of a reply. It depends on the message that is answered, so that running a handler again is safe.

    :param user_id: the bot's user.
    :param key: the key of the message.
    :param scope: which handler replies.
    :param number: how many replies came before this one.
    """
    return sha256(f"{user_id} {key} {scope} {number}".encode("utf-8", "replace")).hexdigest()[:24]


# -- arguments of `reply` and `send`


def content_of(place: Mapping[str, Any], body: str | None, options: SendOptions) -> Content:
    """Check the arguments of a call, as far as that is possible without the chat.

    :param place: the fields that say where it goes.
    :raises InvalidArgument: if one can't be used.
    """
    attachments, extra = options.get("attachments") or (), options.get("extra")
    if body is not None and not isinstance(body, str):
        raise InvalidArgument("body", f"must be a string, not {type(body).__name__}")
    if not body and not attachments:
        raise InvalidArgument("body", "is empty: pass a text or attachments")
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidArgument("extra", f"must be a mapping, not {type(extra).__name__}")
    if wrong := sorted(set(options) - SendOptions.__annotations__.keys()):
        raise InvalidArgument(wrong[0], "is not an argument of send or reply")
    given: dict[str, Any] = {**options, "extra": dict(extra or {})}
    given["attachments"] = tuple(_attachment(one) for one in attachments)
    return Content(**place, body=body, **given)


def place_of(to: object, user_id: int | None) -> dict[str, Any]:
    """Return the fields of a `Content` that say where it goes.

    :param user_id: the bot's user, if it is known.
    :raises InvalidArgument: if it is neither a user nor a dialog.
    """
    if isinstance(to, Dialog) and to.type == DialogType.PRIVATE:
        others = [one for one in to.occupants_ids if one != user_id]
        if len(others) != 1:
            raise InvalidArgument("to", "is a private Dialog whose other occupant is not known: pass the user's id")
        return {"to": others[0], "dialog_id": to.id}
    found = to.id if isinstance(to, (User, Dialog)) else to.user_id if isinstance(to, Contact) else to
    if isinstance(found, bool) or not isinstance(found, (int, str)) or not found:
        raise InvalidArgument("to", f"must be a user, a dialog or the id of one, not {type(to).__name__}")
    return {"to": found}


def _attachment(entry: object) -> Attachment:
    if isinstance(entry, File):
        kind = (entry.content_type or "").partition("/")[0]
        return Attachment(
            type=kind if kind in ("image", "video", "audio") else "file",
            id=entry.uid,
            uid=entry.uid,
            name=entry.name,
            size=entry.size,
            content_type=entry.content_type,
        )
    try:
        return Attachment(**entry) if isinstance(entry, Mapping) else _checked(entry)
    except TypeError as error:
        raise InvalidArgument("attachments", f"can't be used: {error}") from error


def _checked(entry: object) -> Attachment:
    if not isinstance(entry, Attachment):
        raise InvalidArgument("attachments", f"must hold files, Attachments or mappings, not {type(entry).__name__}")
    return entry
