"""Messages and what belongs to them: the half of `AsyncChat` that sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, overload

from connectycube import stanzas as st
from connectycube.rest import File, InvalidArgument

from .._settings import Credentials, Settings
from ..connection.outbox import Outgoing
from ..connection.traffic import Wire, xml_of
from ..errors import MessageNotSent, NotConnected
from ..models import ChatMessage, SentMessage
from .inbound import Inbound, delivered_mark
from .outbound import To, attachments_of, checked_id, extra_params, now, target_of

__all__ = ["Messages"]


class Messages:
    """Sends messages, marks, edits, removals, typing and system messages."""

    _settings: Settings
    _credentials: Credentials
    _wire: Wire
    _inbound: Inbound

    async def send(
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
        target = target_of(to, self._settings, self._credentials.user_id)
        if not body and not attachments:
            raise InvalidArgument("body", "is empty: give a text or attachments")
        if body is not None and not isinstance(body, str):
            raise InvalidArgument("body", f"must be a text, not {type(body).__name__}")
        number = self._wire.ids.message() if message_id is None else checked_id(message_id)
        sent = SentMessage(id=number, dialog_id=target.dialog_id, date_sent=now())
        params = st.ExtraParams(
            save_to_history=True if save_to_history and destroy_after is None else None,
            dialog_id=target.dialog_id,
            date_sent=sent.date_sent,
            silent=True if silent else None,
            attachments=attachments_of(attachments) if attachments else (),
            params={} if extra is None else extra_params(extra),
        )
        destroy = None if destroy_after is None else st.SelfDestroy(after=destroy_after)
        mark = st.Markable() if markable else None
        stanza: st.ChatMessage | st.GroupMessage
        if target.user_id is None:
            stanza = st.GroupMessage(id=number, to=target.jid, body=body, markable=mark, destroy=destroy, extra=params)
        else:
            stanza = st.ChatMessage(
                id=number, to=target.jid, type="chat", body=body, markable=mark, destroy=destroy, extra=params
            )
        await self._deliver(stanza, number, sent, target.user_id)
        return sent

    async def edit_message(
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
        if not isinstance(body, str) or not body:
            raise InvalidArgument("body", "must be a text that is not empty")
        target = target_of(to, self._settings, self._credentials.user_id)
        number = self._wire.ids.message()
        edit = st.EditMessage(
            id=number,
            to=target.jid,
            type=target.type,
            body=body,
            replace=st.Replace(id=checked_id(message_id), last=last),
            extra=st.ExtraParams(dialog_id=target.dialog_id, params={} if extra is None else extra_params(extra)),
        )
        await self._deliver(edit, number)

    async def delete_message(self, to: To, message_id: str) -> None:
        """Remove a message, for all who are online (F-068); `cube.messages.delete` removes it from the history.

        :param to: where it was sent: user id, dialog id or `Dialog`.
        :param message_id: its id.
        :raises InvalidArgument: if an argument is wrong.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        target = target_of(to, self._settings, self._credentials.user_id)
        number = self._wire.ids.message()
        removal = st.RemovalMessage(
            id=number,
            to=target.jid,
            type=target.type,
            remove=st.Remove(id=checked_id(message_id)),
            extra=st.ExtraParams(dialog_id=target.dialog_id),
        )
        await self._deliver(removal, number)

    @overload
    async def mark_delivered(self, message: ChatMessage, /) -> None: ...

    @overload
    async def mark_delivered(self, message: str, /, *, sender_id: int, dialog_id: str | None = None) -> None: ...

    async def mark_delivered(
        self, message: ChatMessage | str, /, *, sender_id: int | None = None, dialog_id: str | None = None
    ) -> None:
        """Tell the sender that a message has arrived (F-055). `mark_delivered` of the constructor does it by itself.

        :param message: the message, or its id.
        :param sender_id: who sent it, with an id.
        :param dialog_id: its dialog, with an id.
        :raises InvalidArgument: if an argument is wrong, or the message has no id or sender.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        message_id, to, dialog = self._marked(message, sender_id, dialog_id)
        number = self._wire.ids.message()
        await self._deliver(delivered_mark(number, to, message_id, dialog), number)

    @overload
    async def mark_read(self, message: ChatMessage, /) -> None: ...

    @overload
    async def mark_read(self, message: str, /, *, sender_id: int, dialog_id: str | None = None) -> None: ...

    async def mark_read(
        self, message: ChatMessage | str, /, *, sender_id: int | None = None, dialog_id: str | None = None
    ) -> None:
        """Tell the sender that a message has been read (F-058).

        :param message: the message, or its id.
        :param sender_id: who sent it, with an id.
        :param dialog_id: its dialog, with an id.
        :raises InvalidArgument: if an argument is wrong, or the message has no id or sender.
        :raises MessageNotSent: if the server does not acknowledge it.
        """
        message_id, to, dialog = self._marked(message, sender_id, dialog_id)
        number = self._wire.ids.message()
        extra = None if dialog is None else st.ExtraParams(dialog_id=dialog)
        mark = st.ReadMark(id=number, to=to, type="chat", displayed=st.Displayed(id=message_id), extra=extra)
        await self._deliver(mark, number)

    def _marked(
        self, message: ChatMessage | str, sender_id: int | None, dialog_id: str | None
    ) -> tuple[str, str, str | None]:
        """Id, sender's address and dialog of a message that is marked."""
        if isinstance(message, ChatMessage):
            found, sender_id, dialog_id = message.id, message.sender_id, message.dialog_id
        else:
            found = checked_id(message)
        if found is None or sender_id is None:
            raise InvalidArgument("message", "has no id or no sender: it can't be marked")
        return found, self._settings.user(sender_id), dialog_id

    async def start_typing(self, to: To) -> None:
        """Show that the user types (F-060). Nobody waits for it; it is gone where the connection is.

        :param to: user id, dialog id or `Dialog`.
        :raises InvalidArgument: if it is none.
        :raises NotConnected: if there is no connection.
        """
        target = target_of(to, self._settings, self._credentials.user_id)
        number = self._wire.ids.message()
        self._wire.post(st.TypingMessage(id=number, to=target.jid, type=target.type, composing=st.Composing()))

    async def stop_typing(self, to: To) -> None:
        """Show that the user has stopped typing (F-061); clients do so after 30 seconds without input.

        :param to: user id, dialog id or `Dialog`.
        :raises InvalidArgument: if it is none.
        :raises NotConnected: if there is no connection.
        """
        target = target_of(to, self._settings, self._credentials.user_id)
        number = self._wire.ids.message()
        self._wire.post(st.PausedMessage(id=number, to=target.jid, type=target.type, paused=st.Paused()))

    async def send_system(
        self, to: int | Sequence[int], params: Mapping[str, Any] | None = None, *, body: str | None = None
    ) -> None:
        """Send a system message: not shown, not stored, for apps to talk to each other (K-25, X-27).

        :param to: a user's id, or several: each gets a message of their own (U-48).
        :param params: its parameters.
        :param body: a text.
        :raises InvalidArgument: if an argument is wrong.
        :raises MessageNotSent: if the server does not acknowledge one of them; the others are sent all the same.
        """
        if not isinstance(to, (int, Sequence)) or isinstance(to, (str, bytes)):
            raise InvalidArgument("to", f"must be a user's id or several, not {type(to).__name__}")
        users = [to] if isinstance(to, int) else list(to)
        messages = []
        for user_id in users:
            message = st.SystemMessage(
                id=self._wire.ids.message(),
                to=self._settings.user(user_id),
                body=body,
                # Without the module no receiver knows what it is (CX-13).
                extra=st.ExtraParams(
                    module_identifier="SystemNotifications", params={} if params is None else extra_params(params)
                ),
            )
            xml_of(message)  # All are checked before the first one is sent.
            messages.append(message)
        waiting = (self._deliver(message, message.id or "") for message in messages)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _deliver(
        self, stanza: st.Stanza, number: str, sent: SentMessage | None = None, user_id: int | None = None
    ) -> None:
        """Send what must arrive, and wait for the server's acknowledgement."""
        item = Outgoing(xml_of(stanza), number, sent, user_id)
        self._inbound.own.add(number)
        try:
            await self._wire.settle(item)
        except NotConnected as error:
            raise MessageNotSent(number, str(error)) from None
