"""Messages and what belongs to them: the half of `Chat` that sends. Its words are those of `_messages`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast, overload

from connectycube import stanzas as st
from connectycube.rest import File

from ..client import AsyncChat
from ..features.messages import To
from ..models import ChatMessage, SentMessage
from .thread import LoopThread

__all__ = ["BlockingMessages"]


class BlockingMessages:
    """Sends messages, marks, edits, removals, typing and system messages."""

    _chat: AsyncChat
    _loop: LoopThread

    def send(
        self,
        to: To,
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
        """Send a message and wait until the server has it (F-044, F-048, F-051).

        While the connection is being made again, it waits for that. The receivers drop it if it comes twice.

        :param to: a user's id, the id of a group or public dialog, or a `Dialog`.
        :param body: the text.
        :param attachments: files of `cube.files.upload`, `Attachment` objects or their fields (F-074, F-076).
        :param save_to_history: keep it in the dialog's history.
        :param markable: ask for a mark when it is delivered and read (F-053).
        :param extra: further parameters (X-23): texts, numbers, truth values, nested mappings.
        :param destroy_after: seconds after which it is to vanish once it is read; it is not kept in the history then
            (F-070).
        :param silent: no push notification to those who are offline (F-083).
        :param message_id: its id, 24 hexadecimal digits; default: a new one.
        :raises InvalidArgument: if an argument is wrong, or there is neither text nor attachment.
        :raises RecipientBlocked: if the recipient blocks the user.
        :raises MessageRefused: if the server refuses it for another reason.
        :raises MessageNotSent: if there is no connection, or no acknowledgement in time.
        """
        return self._loop.call(
            self._chat.send,
            to,
            body,
            attachments=attachments,
            save_to_history=save_to_history,
            markable=markable,
            extra=extra,
            destroy_after=destroy_after,
            silent=silent,
            message_id=message_id,
        )

    def edit_message(
        self, to: To, message_id: str, body: str, *, last: bool = True, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Replace the text of a message, for all (F-064).

        :param to: where it was sent: user id, dialog id or `Dialog`.
        :param message_id: its id.
        :param body: the new text.
        :param last: it is the dialog's last message (U-32).
        :param extra: further parameters.
        :raises InvalidArgument: if an argument is wrong.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        self._loop.call(self._chat.edit_message, to, message_id, body, last=last, extra=extra)

    def delete_message(self, to: To, message_id: str) -> None:
        """Remove a message, for all who are online (F-068); `cube.messages.delete` removes it from the history.

        :param to: where it was sent: user id, dialog id or `Dialog`.
        :param message_id: its id.
        :raises InvalidArgument: if an argument is wrong.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        self._loop.call(self._chat.delete_message, to, message_id)

    @overload
    def mark_delivered(self, message: ChatMessage, /) -> None: ...

    @overload
    def mark_delivered(self, message: str, /, *, sender_id: int, dialog_id: str | None = None) -> None: ...

    def mark_delivered(
        self, message: ChatMessage | str, /, *, sender_id: int | None = None, dialog_id: str | None = None
    ) -> None:
        """Tell the sender that a message has arrived (F-055). `mark_delivered` of the constructor does it by itself.

        :param message: the message, or its id.
        :param sender_id: who sent it, with an id.
        :param dialog_id: its dialog, with an id.
        :raises InvalidArgument: if an argument is wrong, or the message has no id or sender.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        mark = cast("Callable[..., Awaitable[None]]", self._chat.mark_delivered)
        self._loop.call(mark, message, sender_id=sender_id, dialog_id=dialog_id)

    @overload
    def mark_read(self, message: ChatMessage, /) -> None: ...

    @overload
    def mark_read(self, message: str, /, *, sender_id: int, dialog_id: str | None = None) -> None: ...

    def mark_read(
        self, message: ChatMessage | str, /, *, sender_id: int | None = None, dialog_id: str | None = None
    ) -> None:
        """Tell the sender that a message has been read (F-058).

        :param message: the message, or its id.
        :param sender_id: who sent it, with an id.
        :param dialog_id: its dialog, with an id.
        :raises InvalidArgument: if an argument is wrong, or the message has no id or sender.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        mark = cast("Callable[..., Awaitable[None]]", self._chat.mark_read)
        self._loop.call(mark, message, sender_id=sender_id, dialog_id=dialog_id)

    def start_typing(self, to: To) -> None:
        """Show that the user types (F-060). Nobody waits for it; it is gone where the connection is.

        :param to: user id, dialog id or `Dialog`.
        :raises InvalidArgument: if it is none.
        :raises NotConnected: if there is no connection.
        """
        self._loop.call(self._chat.start_typing, to)

    def stop_typing(self, to: To) -> None:
        """Show that the user has stopped typing (F-061); clients do so after 30 seconds without input.

        :param to: user id, dialog id or `Dialog`.
        :raises InvalidArgument: if it is none.
        :raises NotConnected: if there is no connection.
        """
        self._loop.call(self._chat.stop_typing, to)

    def send_system(
        self, to: int | Sequence[int], params: Mapping[str, Any] | None = None, *, body: str | None = None
    ) -> None:
        """Send a system message: not shown, not stored, for apps to talk to each other (K-25, X-27).

        :param to: a user's id, or several: each gets a message of their own (U-48).
        :param params: its parameters.
        :param body: a text.
        :raises InvalidArgument: if an argument is wrong.
        :raises MessageNotSent: if the server does not acknowledge one of them; the others are sent all the same.
        """
        self._loop.call(self._chat.send_system, to, params, body=body)
