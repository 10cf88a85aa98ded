"""Arguments that identify a user, a message or a dialog: an id, or an object that has it."""

from __future__ import annotations

from typing import TypeAlias

from connectycube.rest import Dialog, InvalidArgument, Message, User

from .._ids import checked_user_id, is_object_id
from ..models import ChatMessage, Contact, SentMessage

__all__ = ["DialogId", "MessageId", "UserId", "dialog_id_of", "message_id_of", "user_id_of"]

UserId: TypeAlias = int | User | Contact
"""A user: the id, or an object that has it."""
MessageId: TypeAlias = str | ChatMessage | SentMessage | Message
"""A message: the id, or an object that has it."""
DialogId: TypeAlias = str | Dialog
"""A dialog: the id, or an object that has it."""


def user_id_of(user: object, name: str = "user_id") -> int:
    """Return the id of a user.

    :param name: the argument to name in an error.
    :raises InvalidArgument: if it is not valid.
    """
    found = user.id if isinstance(user, User) else user.user_id if isinstance(user, Contact) else user
    if isinstance(found, Dialog) or (isinstance(found, str) and is_object_id(found)):
        raise InvalidArgument(name, f"must be a user, but is the id of a dialog or message: {_shown(found)}")
    if not isinstance(found, int):
        raise InvalidArgument(name, f"must be a user's id, a positive whole number, not {_shown(found)}")
    return checked_user_id(found, name)


def message_id_of(message: object, name: str = "message_id") -> str:
    """Return the id of a message.

    :param name: the argument to name in an error.
    :raises InvalidArgument: if it is not valid.
    """
    found = message.id if isinstance(message, (ChatMessage, SentMessage, Message)) else message
    if not isinstance(found, str) or is_object_id(found) is None:
        raise InvalidArgument(name, f"must be 24 hexadecimal digits, not {_shown(found)}")
    return found


def dialog_id_of(dialog: object, name: str = "dialog_id") -> str:
    """Return the id of a dialog, in lower case.

    :param name: the argument to name in an error.
    :raises InvalidArgument: if it is not valid.
    """
    found = dialog.id if isinstance(dialog, Dialog) else dialog
    if not isinstance(found, str) or is_object_id(found) is None:
        raise InvalidArgument(name, f"must be 24 hexadecimal digits, not {_shown(found)}")
    return found.lower()


def _shown(value: object) -> str:
    """Return a value for an error, without the contents of a larger object."""
    return repr(value)[:40] if value is None or isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
