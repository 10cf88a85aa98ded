"""The methods of a chat for messages, and what goes along with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, overload

from connectycube import stanzas as st
from connectycube.rest import File, SystemNotice

from ..models import ChatMessage, SentMessage
from .arguments import DialogId, MessageId, UserId
from .messages import Messages, To

__all__ = ["MessageCalls"]


class MessageCalls:
    """The methods of a chat for messages."""

    _messages: Messages

    async def send(
        self,
        to: To,
        body: str | None = None,
        *,
        dialog_id: DialogId | None = None,
        attachments: Sequence[st.Attachment | File | Mapping[str, Any]] = (),
        save_to_history: bool = True,
        markable: bool = True,
        extra: Mapping[str, Any] | None = None,
        destroy_after: int | None = None,
        silent: bool = False,
        message_id: str | None = None,
    ) -> SentMessage:
        """Send a message and wait until the server has it.

        While the chat reconnects, the message waits. Receivers drop duplicates.

        A private message carries the id of its dialog, without which other clients send no delivered mark. With a
        cube, the chat looks it up; the dialog is created if there is none. If the REST API does not respond within 5
        seconds, the message is sent without it.

        :param to: a user's id, the user, a dialog's id, or a `Dialog`. Without a cube, a dialog's id is taken as that
            of a group or public dialog.
        :param body: the text.
        :param dialog_id: the id of the private dialog, if `to` is a user; default: looked up.
        :param attachments: files from `cube.files.upload`, `Attachment` objects, or mappings with the same fields.
        :param save_to_history: keep the message in the dialog's history.
        :param markable: request delivered and read marks.
        :param extra: further parameters: strings, numbers, booleans or nested mappings.
        :param destroy_after: seconds after reading until the message disappears; it is then not kept in the history.
        :param silent: do not send push notifications to offline users.
        :param message_id: the message's id, 24 hexadecimal digits; default: a new one.
        :raises InvalidArgument: if an argument is invalid, or there is neither text nor an attachment.
        :raises RecipientBlocked: if the recipient blocks the user.
        :raises MessageRefused: if the server refuses the message for another reason.
        :raises MessageNotSent: if there is no connection, or no acknowledgement in time.
        """
        return await self._messages.send(
            partial(self._messages.find, to, dialog_id),
            body,
            message_id,
            attachments=attachments,
            save_to_history=save_to_history,
            markable=markable,
            extra=extra,
            destroy_after=destroy_after,
            silent=silent,
        )

    async def reply(
        self,
        message: ChatMessage,
        body: str | None = None,
        *,
        attachments: Sequence[st.Attachment | File | Mapping[str, Any]] = (),
        save_to_history: bool = True,
        markable: bool = True,
        extra: Mapping[str, Any] | None = None,
        destroy_after: int | None = None,
        silent: bool = False,
        message_id: str | None = None,
    ) -> SentMessage:
        """Reply to a message where it was written: in its group, or privately to its sender.

        A reply to the user's own message goes to its recipient.

        :param message: the message to reply to, such as `event.message`.
        :param body: the text.
        :param attachments: files from `cube.files.upload`, `Attachment` objects, or mappings with the same fields.
        :param save_to_history: keep the message in the dialog's history.
        :param markable: request delivered and read marks.
        :param extra: further parameters: strings, numbers, booleans or nested mappings.
        :param destroy_after: seconds after reading until the message disappears; it is then not kept in the history.
        :param silent: do not send push notifications to offline users.
        :param message_id: the message's id, 24 hexadecimal digits; default: a new one.
        :raises InvalidArgument: if an argument is invalid, or there is nobody to reply to.
        :raises RecipientBlocked: if the recipient blocks the user.
        :raises MessageRefused: if the server refuses the message for another reason.
        :raises MessageNotSent: if there is no connection, or no acknowledgement in time.
        """
        return await self._messages.send(
            partial(self._messages.place_of, message),
            body,
            message_id,
            attachments=attachments,
            save_to_history=save_to_history,
            markable=markable,
            extra=extra,
            destroy_after=destroy_after,
            silent=silent,
        )

    async def edit_message(
        self, to: To, message_id: MessageId, body: str, *, last: bool = True, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Replace the text of a message for everyone.

        :param to: where it was sent: a user, a dialog, or the id of one.
        :param message_id: the message's id, or an object that has it, such as a `ChatMessage` or a `Message`.
        :param body: the new text.
        :param last: whether it is the dialog's last message.
        :param extra: further parameters.
        :raises InvalidArgument: if an argument is invalid.
        :raises MessageNotSent: if the server does not acknowledge the change.
        """
        await self._messages.edit(to, message_id, body, last, extra)

    async def delete_message(self, to: To, message_id: MessageId) -> None:
        """Delete a message for everyone online. `cube.messages.delete` deletes it from the history.

        :param to: where it was sent: a user, a dialog, or the id of one.
        :param message_id: the message's id, or an object that has it, such as a `ChatMessage` or a `Message`.
        :raises InvalidArgument: if an argument is invalid.
        :raises MessageNotSent: if the server does not acknowledge the removal.
        """
        await self._messages.delete(to, message_id)

    @overload
    async def mark_delivered(self, message: ChatMessage, /) -> None: ...

    @overload
    async def mark_delivered(
        self, message: str, /, *, sender_id: UserId, dialog_id: DialogId | None = None
    ) -> None: ...

    async def mark_delivered(
        self, message: ChatMessage | str, /, *, sender_id: UserId | None = None, dialog_id: DialogId | None = None
    ) -> None:
        """Tell the sender that a message was delivered. The constructor's `mark_delivered` automates this.

        :param message: the message, or its id.
        :param sender_id: its sender, if `message` is an id.
        :param dialog_id: its dialog, if `message` is an id.
        :raises InvalidArgument: if an argument is invalid.
        :raises MessageNotSent: if the server does not acknowledge the mark.
        """
        await self._messages.mark_delivered(message, sender_id, dialog_id)

    @overload
    async def mark_read(self, message: ChatMessage, /) -> None: ...

    @overload
    async def mark_read(self, message: str, /, *, sender_id: UserId, dialog_id: DialogId | None = None) -> None: ...

    async def mark_read(
        self, message: ChatMessage | str, /, *, sender_id: UserId | None = None, dialog_id: DialogId | None = None
    ) -> None:
        """Tell the sender that a message was read.

        :param message: the message, or its id.
        :param sender_id: its sender, if `message` is an id.
        :param dialog_id: its dialog, if `message` is an id.
        :raises InvalidArgument: if an argument is invalid.
        :raises MessageNotSent: if the server does not acknowledge the mark.
        """
        await self._messages.mark_read(message, sender_id, dialog_id)

    async def start_typing(self, to: To) -> None:
        """Show that the user is typing. This is not acknowledged, and is lost with the connection.

        :param to: a user, a dialog, or the id of one.
        :raises InvalidArgument: if `to` is neither a user nor a dialog.
        :raises NotConnected: if there is no connection.
        """
        await self._messages.start_typing(to)

    async def stop_typing(self, to: To) -> None:
        """Show that the user has stopped typing. Clients do so after 30 seconds without input.

        :param to: a user, a dialog, or the id of one.
        :raises InvalidArgument: if `to` is neither a user nor a dialog.
        :raises NotConnected: if there is no connection.
        """
        await self._messages.stop_typing(to)

    async def send_system(
        self,
        to: Iterable[UserId] | UserId,
        params: Mapping[str, Any] | SystemNotice | None = None,
        *,
        body: str | None = None,
    ) -> None:
        """Send a system message, used by apps to communicate. It is neither displayed nor stored.

        :param to: a user, or several, by their ids or as objects that have them; each gets a separate message.
        :param params: the message's parameters, or a notice that the official clients understand.
        :param body: the text; a notice has its own.
        :raises InvalidArgument: if an argument is invalid.
        :raises MessageNotSent: if the server does not acknowledge one of the messages; the others are still sent.
        """
        await self._messages.send_system(to, params, body)
