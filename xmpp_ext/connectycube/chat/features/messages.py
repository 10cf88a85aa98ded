"""Outgoing messages: from the arguments of a call to a checked stanza, and on to its acknowledgement."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import attrs

from connectycube import stanzas as st
from connectycube.rest import Dialog, DialogType, File, InvalidArgument, SystemNotice, User

from .. import events
from .._ids import Recent, bare, is_object_id
from .._tracing import sending
from ..connection.outbox import Outgoing, xml_of
from ..connection.traffic import Traffic
from ..errors import ChatError, MessageNotSent, MessageRefused, NotConnected, RecipientBlocked
from ..models import ChatMessage, Contact, SentMessage
from .arguments import DialogId, MessageId, UserId, dialog_id_of, message_id_of, user_id_of
from .dialogs import PrivateDialogs
from .server_time import ServerTime

__all__ = ["Messages", "Target", "To", "attachments_of"]

logger = logging.getLogger("connectycube.chat")

To: TypeAlias = UserId | DialogId
"""Where a message goes: a user or a dialog, or the id of one."""

REPEATS: Final = 4096
"""How many messages are remembered in each direction, to recognize copies, repeats and authors."""  # U-36
FIELDS: Final = frozenset(
    field.name for field in attrs.fields(st.Attachment) if field.name not in ("unknown", "unknown_attributes")
)
TAKEN: Final = frozenset(
    ["save_to_history", "dialog_id", "date_sent", "moduleIdentifier", "message_id", "silent", "markable", "attachment"]
)
"""Parameters that the client or the server sets (section 3.3 of the facts)."""
CLASHES: Final = frozenset(["body", "delay"])
"""Names that other SDKs interpret as something else."""  # U-29

_is_name = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*").fullmatch


@attrs.frozen
class Target:
    """Where a stanza goes.

    :ivar jid: the address.
    :ivar type: `chat` or `groupchat`.
    :ivar user_id: the recipient in a private dialog.
    :ivar dialog_id: the dialog, if known.
    """

    jid: str
    type: Literal["chat", "groupchat"]
    user_id: int | None
    dialog_id: str | None


class Messages:
    """Sends messages, marks, edits, removals, typing notifications and system messages.

    :ivar own: where the messages sent from here went, by id. A group sends them back to their sender.
    :ivar heard: who sent the messages received, and a hash of their content, by dialog (or other user) and id.
    """

    def __init__(self, traffic: Traffic, time: ServerTime) -> None:
        self._traffic = traffic
        self._time = time
        self._bounced: ChatError | None = None
        """The error of the message that came back last, which is reported where that was noticed."""
        self._ids = traffic.ids
        self._addresses = traffic.settings.addresses
        self._dialogs = PrivateDialogs(traffic.credentials, traffic.settings.resolve_dialogs)
        self.own: Recent[str, str] = Recent(REPEATS)
        self.heard: Recent[tuple[int | str | None, str], tuple[int | str | None, int | None]] = Recent(REPEATS)

    async def find(self, to: object, dialog_id: DialogId | None = None) -> Target:
        """Return where `to` is, and look up what it doesn't say: the dialog of a user, or the user of a dialog.

        :param dialog_id: the private dialog, if it is known.
        :raises InvalidArgument: if it is neither a user nor a dialog.
        """
        target = self._target(to)
        if dialog_id is not None:
            if target.user_id is None:
                raise InvalidArgument("dialog_id", "is for a message to a user: `to` is a dialog itself")
            return attrs.evolve(target, dialog_id=dialog_id_of(dialog_id))
        if target.user_id is not None:
            return await self._with_dialog(target, target.user_id)
        if isinstance(to, str) and target.dialog_id is not None:
            user_id = await self._dialogs.user_in(target.dialog_id)
            if user_id is not None:
                return Target(self._addresses.user(user_id), "chat", user_id, target.dialog_id)
        return target

    async def place_of(self, message: object) -> Target:
        """Return where the answer to a message goes.

        :raises InvalidArgument: if that is not known.
        """
        if not isinstance(message, ChatMessage):
            raise InvalidArgument("message", f"must be a ChatMessage like event.message, not {type(message).__name__}")
        if message.type == "groupchat" and message.dialog_id is not None:
            return Target(self._addresses.room(message.dialog_id), "groupchat", None, message.dialog_id)
        is_own = message.sender_id == self._traffic.credentials.user_id
        user_id = message.recipient_id if is_own else message.sender_id
        if user_id is None or message.type == "groupchat":
            raise InvalidArgument("message", "has nobody who could be answered: it went to no user of this application")
        # The sender names the dialog, and may name any: one that was looked up comes first.
        named = message.dialog_id if message.dialog_id and is_object_id(message.dialog_id) else None
        dialog_id = self._dialogs.known_dialog(user_id) or named
        return await self._with_dialog(Target(self._addresses.user(user_id), "chat", user_id, dialog_id), user_id)

    async def _with_dialog(self, target: Target, user_id: int) -> Target:
        return attrs.evolve(target, dialog_id=target.dialog_id or await self._dialogs.of(user_id))

    def _target(self, to: object) -> Target:
        """Return where `to` is, as far as it says.

        :raises InvalidArgument: if it is neither a user nor a dialog.
        """
        if isinstance(to, str):
            if is_object_id(to) is None:
                raise InvalidArgument("to", f"{to[:40]!r} is not a dialog id: 24 hexadecimal digits are needed")
            return Target(self._addresses.room(to), "groupchat", None, to.lower())
        if isinstance(to, Dialog):
            return self._dialog_target(to)
        if isinstance(to, (int, User, Contact)):
            user_id = user_id_of(to, "to")
            return Target(self._addresses.user(user_id), "chat", user_id, None)
        raise InvalidArgument("to", f"must be a user, a dialog or the id of one, not {type(to).__name__}")

    def _dialog_target(self, dialog: Dialog) -> Target:
        if dialog.type != DialogType.PRIVATE:
            return Target(self._addresses.room(dialog.id), "groupchat", None, dialog.id)
        own_id = self._traffic.credentials.user_id
        others = [user_id for user_id in dialog.occupants_ids if user_id != own_id]
        if len(others) != 1:
            raise InvalidArgument("to", "is a private Dialog whose other occupant is not known: pass the user's id")
        self._dialogs.put(others[0], dialog.id)
        return Target(self._addresses.user(others[0]), "chat", others[0], dialog.id)

    def room(self, dialog: object) -> str:
        """Return the id of a dialog that has a room.

        :raises InvalidArgument: if it has none.
        """
        target = self._target(dialog)
        if target.dialog_id is None or target.user_id or self._dialogs.known_user(target.dialog_id):
            raise InvalidArgument("dialog", "has no room: only group and public dialogs have one")
        return target.dialog_id

    # -- for the client

    async def send(
        self,
        place: Callable[[], Awaitable[Target]],
        body: str | None,
        message_id: str | None,
        *,
        attachments: Sequence[st.Attachment | File | Mapping[str, Any]],
        save_to_history: bool,
        markable: bool,
        extra: Mapping[str, Any] | None,
        destroy_after: int | None,
        silent: bool,
    ) -> SentMessage:
        """Send a message of a user and wait for its acknowledgement.

        :param place: finds where it goes; called once the arguments are checked, since that may create a dialog.
        """
        if not body and not attachments:
            raise InvalidArgument("body", "is empty: pass a text or attachments")
        if body is not None and not isinstance(body, str):
            raise InvalidArgument("body", f"must be a string, not {type(body).__name__}")
        message_id = self._ids.message() if message_id is None else message_id_of(message_id)
        files, free = attachments_of(attachments) if attachments else (), _extra_params(extra)
        with sending(message_id, self._traffic.settings.dial) as span:
            target, seconds = await place(), self._time.now()
            if span is not None:
                span.set_attribute("messaging.destination.name", target.dialog_id or str(target.user_id))
            date_sent = dt.datetime.fromtimestamp(seconds, dt.UTC)
            sent = SentMessage(id=message_id, dialog_id=target.dialog_id, date_sent=date_sent)
            params = st.ExtraParams(
                # F-070: a message that destroys itself is not kept.
                save_to_history=True if save_to_history and destroy_after is None else None,
                dialog_id=target.dialog_id,
                date_sent=seconds,  # CX-07
                silent=True if silent else None,
                attachments=files,
                params=free,
            )
            destroy = None if destroy_after is None else st.SelfDestroy(after=destroy_after)
            mark = st.Markable() if markable else None
            stanza: st.ChatMessage | st.GroupMessage
            if target.user_id is None:
                stanza = st.GroupMessage(
                    id=message_id, to=target.jid, body=body, markable=mark, destroy=destroy, extra=params
                )
            else:
                stanza = st.ChatMessage(
                    id=message_id, to=target.jid, type="chat", body=body, markable=mark, destroy=destroy, extra=params
                )
            await self.send_and_wait(stanza, message_id, sent, target.user_id)
            return sent

    async def edit(self, to: To, message_id: MessageId, body: str, last: bool, extra: Mapping[str, Any] | None) -> None:
        """Replace the text of a message."""
        if not isinstance(body, str) or not body:
            raise InvalidArgument("body", "must be a non-empty string")
        message_id, params = message_id_of(message_id), _extra_params(extra)
        target = await self.find(to)
        edit_id = self._ids.message()
        edit = st.EditMessage(
            id=edit_id,
            to=target.jid,
            type=target.type,
            body=body,
            replace=st.Replace(id=message_id, last=last),
            extra=st.ExtraParams(dialog_id=target.dialog_id, params=params),
        )
        await self.send_and_wait(edit, edit_id)

    async def delete(self, to: To, message_id: MessageId) -> None:
        """Remove a message."""
        message_id, target = message_id_of(message_id), await self.find(to)
        removal_id = self._ids.message()
        removal = st.RemovalMessage(
            id=removal_id,
            to=target.jid,
            type=target.type,
            remove=st.Remove(id=message_id),
            extra=st.ExtraParams(dialog_id=target.dialog_id),
        )
        self.changed(target.dialog_id if target.user_id is None else target.user_id, message_id)
        await self.send_and_wait(removal, removal_id)

    async def mark_delivered(
        self, message: ChatMessage | str, sender_id: UserId | None, dialog_id: DialogId | None
    ) -> None:
        """Mark a message as delivered."""
        mark_id, mark = self._delivered_mark(*_marked(message, sender_id, dialog_id))
        await self.send_and_wait(mark, mark_id)

    async def mark_read(self, message: ChatMessage | str, sender_id: UserId | None, dialog_id: DialogId | None) -> None:
        """Mark a message as read."""
        message_id, sender, dialog = _marked(message, sender_id, dialog_id)
        mark_id, to = self._ids.message(), self._addresses.user(sender)
        displayed = st.Displayed(id=message_id)
        mark = st.ReadMark(id=mark_id, to=to, type="chat", displayed=displayed, extra=_dialog_params(dialog))
        await self.send_and_wait(mark, mark_id)

    async def start_typing(self, to: To) -> None:
        """Show that the user is typing."""
        target = await self.find(to)
        typing = st.TypingMessage(id=self._ids.message(), to=target.jid, type=target.type, composing=st.Composing())
        self._traffic.post(typing)

    async def stop_typing(self, to: To) -> None:
        """Show that the user has stopped typing."""
        target = await self.find(to)
        paused = st.PausedMessage(id=self._ids.message(), to=target.jid, type=target.type, paused=st.Paused())
        self._traffic.post(paused)

    async def send_system(
        self, to: Iterable[UserId] | UserId, params: Mapping[str, Any] | SystemNotice | None, body: str | None
    ) -> None:
        """Send a system message to one or more users, each as a message of its own."""
        if isinstance(params, SystemNotice):
            if body is not None:
                raise InvalidArgument("body", "can't be combined with a SystemNotice, which has its own")
            body, params = params.body, params.params
        users: Iterable[object] = to if isinstance(to, Iterable) and not isinstance(to, (str, bytes)) else [to]
        messages = []
        # U-48: several recipients in one stanza are not documented, and other SDKs send one to each.
        for user in users:
            message = st.SystemMessage(
                id=self._ids.message(),
                to=self._addresses.user(user_id_of(user, "to")),
                body=body,
                # CX-13: receivers recognize a system message by its module.
                extra=st.ExtraParams(module_identifier="SystemNotifications", params=_extra_params(params)),
            )
            xml_of(message)  # Check all of them before the first one is sent.
            messages.append(message)
        waiting = (self.send_and_wait(message, message.id or "") for message in messages)
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    # -- for inbound stanzas

    def changed(self, place: int | str | None, message_id: str) -> int | str | None:
        """Forget the content of a message that is edited or removed: if it is sent once more, that is news.

        :returns: who sent it, if known.
        """
        known = self.heard.get((place, message_id))
        if known is None:
            return None
        self.heard.put((place, message_id), (known[0], None))
        return known[0]

    def post_delivered(self, message_id: str, sender_id: int, dialog_id: str) -> None:
        """Mark a message as delivered without waiting. The mark survives the loss of the session."""
        mark_id, mark = self._delivered_mark(message_id, sender_id, dialog_id)
        self.own.put(mark_id, mark.to or "")
        self._traffic.submit(Outgoing(xml_of(mark), mark_id))

    def refused(self, stanza: st.MessageError | st.PresenceError | st.RoomJoinError) -> None:
        """Process a message that came back as an error.

        Anyone can send one, so it counts only from where the message went, or from the server.
        """
        message_id = stanza.id or ""
        to = self.own.get(message_id)
        if to is None or not self._may_refuse(stanza.from_ or "", to):
            logger.debug("an error for message %.40s from %.100s is ignored", message_id, stanza.from_)
            return
        user_id, dialog_id, _ = self._addresses.sender(to)
        fault = stanza.error
        # K-27, U-33: a private message to a user who blocks the sender comes back like this. In a room it does not.
        blocked = fault is not None and fault.condition == "service-unavailable" and dialog_id is None
        error = (RecipientBlocked if blocked else MessageRefused)(message_id, fault)
        self._bounced = error
        self._traffic.outbox.refuse(message_id, error)
        if blocked:
            self._traffic.bus.emit(events.MessageBlocked(message_id=message_id, user_id=user_id))
        else:
            self._emit_failed(error, user_id, dialog_id)

    def _may_refuse(self, sender: str, to: str) -> bool:
        """Return whether an error can be about a message to this address.

        A room's occupants can write to the user through it, so only the room itself counts.
        """
        if sender == to or sender in self._traffic.requests.own or sender == self._addresses.muc_host:
            return True
        return self._addresses.room_of(to) is None and bare(sender) == to

    # -- parts of sending

    def _delivered_mark(self, message_id: str, sender_id: int, dialog_id: str | None) -> tuple[str, st.DeliveredMark]:
        """Build a delivered mark and its id. It is always of type chat, and goes to the sender."""
        # K-20, CX-03
        mark_id, to = self._ids.message(), self._addresses.user(sender_id)
        received = st.Received(id=message_id)
        extra = _dialog_params(dialog_id)
        return mark_id, st.DeliveredMark(id=mark_id, to=to, type="chat", received=received, extra=extra)

    async def send_and_wait(
        self, stanza: Any, message_id: str, sent: SentMessage | None = None, user_id: int | None = None
    ) -> None:
        """Send what must arrive, and wait until the server has it, across as many sessions as it takes.

        :param sent: what to emit as sent or failed; `None` for what is not a message of the user.
        :param user_id: its recipient in a private dialog.
        :raises MessageNotSent: if it can't be sent, is refused or takes too long.
        :raises InvalidArgument: if a message with this id is on its way already.
        """
        xml = xml_of(stanza)
        self.own.put(message_id, stanza.to or "")
        traffic = self._traffic
        try:
            future: asyncio.Future[None] = traffic.loop.create_future()
            item = Outgoing(xml, message_id, partial(self._settled, future, message_id, sent, user_id))
            traffic.submit(item)
        except NotConnected as error:
            raise MessageNotSent(message_id, str(error)) from None
        try:
            await future
        finally:
            if not future.done() or future.cancelled():
                traffic.outbox.discard(item)

    def _settled(
        self,
        future: asyncio.Future[None],
        message_id: str,
        sent: SentMessage | None,
        user_id: int | None,
        error: ChatError | None,
    ) -> None:
        """Resume the caller that waits for a message, if it still does, and emit what became of it."""
        if isinstance(error, NotConnected):
            error = MessageNotSent(message_id, str(error))
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)
                if sent is not None:
                    self._traffic.bus.emit(events.MessageSent(message=sent))
        if sent is not None and isinstance(error, MessageNotSent) and error is not self._bounced:
            self._emit_failed(error, user_id, sent.dialog_id)

    def _emit_failed(self, error: MessageNotSent, user_id: int | None, dialog_id: str | None) -> None:
        failed = events.MessageFailed(message_id=error.message_id, user_id=user_id, dialog_id=dialog_id, error=error)
        self._traffic.bus.emit(failed)


# -- parts of stanzas


def _marked(
    message: ChatMessage | str, sender_id: UserId | None, dialog_id: DialogId | None
) -> tuple[str, int, str | None]:
    """Return the id, sender and dialog of a message to mark."""
    if not isinstance(message, ChatMessage):
        return (
            message_id_of(message, "message"),
            user_id_of(sender_id, "sender_id"),
            None if dialog_id is None else dialog_id_of(dialog_id),
        )
    if message.id is None or message.sender_id is None:
        raise InvalidArgument("message", "can't be marked: it has no id or no sender")
    return message.id, message.sender_id, message.dialog_id


def _dialog_params(dialog_id: str | None) -> st.ExtraParams | None:
    return None if dialog_id is None else st.ExtraParams(dialog_id=dialog_id)


def _extra_params(extra: object) -> dict[str, Any]:
    """Return the free parameters of a message, without those that are `None`.

    :raises InvalidArgument: if a name is not valid in XML, or has a meaning of its own.
    """
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise InvalidArgument("extra", f"must be a mapping, not {type(extra).__name__}")
    for name in extra:
        if not isinstance(name, str) or _is_name(name) is None:
            raise InvalidArgument(
                "extra", f"has the invalid parameter name {name!r}: letters, digits, _ . - are allowed"
            )
        if name in TAKEN or name in CLASHES:
            raise InvalidArgument("extra", f"{name!r} has a meaning of its own: see the arguments of the call")
    return {name: value for name, value in extra.items() if value is not None}


def attachments_of(attachments: Sequence[object]) -> tuple[st.Attachment, ...]:
    """Return attachments as a message carries them.

    :param attachments: files from `cube.files.upload`, `Attachment` objects, or mappings with the same fields.
    :raises InvalidArgument: if one is invalid.
    """
    if isinstance(attachments, (str, bytes, Mapping)) or not isinstance(attachments, Sequence):
        raise InvalidArgument("attachments", "must be a list")
    return tuple(_attachment(entry) for entry in attachments)  # K-14


def _attachment(entry: object) -> st.Attachment:
    if isinstance(entry, File):
        kind = (entry.content_type or "").partition("/")[0]
        return st.Attachment(
            # CX-18: these are the documented kinds; any other is sent as a file.
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
        entry = st.Attachment(**entry)
    if not isinstance(entry, st.Attachment):
        raise InvalidArgument("attachments", f"must hold files, Attachments or mappings, not {type(entry).__name__}")
    if entry.uid is not None and entry.id is None:
        # CX-17: some clients read `id`, others `uid`.
        return attrs.evolve(entry, id=entry.uid)
    return entry
