"""What was missed, from the history: read over REST, and returned as the chat would have brought it.

`Chat`, `AsyncChat` and the bots read it in the same way: the dialogs with activity since a time are listed first, and
then their messages a page at a time, oldest first.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from itertools import islice
from typing import Any, Final, cast
from xml.etree.ElementTree import Element

from connectycube.rest import (
    ApiError,
    AsyncConnectyCube,
    ConnectyCube,
    Dialog,
    DialogType,
    Forbidden,
    InvalidArgument,
    Message,
    NotFound,
)
from connectycube.stanzas import Attachment, StanzaError

from .features.messages import TAKEN
from .models import ChatMessage

__all__ = ["History", "in_thread", "messages", "start_of"]

PAGE: Final = 100
"""Entries on a page: the platform's default and maximum."""
EPOCH: Final = dt.datetime.fromtimestamp(0, dt.UTC)
GONE: Final = (Forbidden, NotFound)
"""How a dialog answers that the user has left since it was listed."""

logger = logging.getLogger("connectycube.chat")


def start_of(since: object, now: Callable[[], dt.datetime]) -> dt.datetime:
    """Return the time since which messages are wanted.

    :param now: the time from which a timedelta counts back.
    :raises InvalidArgument: if it is neither an aware datetime nor a timedelta, or is a negative one.
    """
    if isinstance(since, dt.timedelta):
        if since < dt.timedelta():
            raise InvalidArgument("since", f"must not be negative, but is {since}: it counts back from now")
        present = now()
        since = present - min(since, present - EPOCH)
    if not isinstance(since, dt.datetime):
        raise InvalidArgument("since", f"must be a datetime or a timedelta, not {type(since).__name__}")
    if since.utcoffset() is None:
        raise InvalidArgument("since", "must have a time zone, as in datetime.now(UTC)")
    return max(since, EPOCH)


# -- requests


def _dialog_query(since: dt.datetime) -> dict[str, Any]:
    # the only order that is documented. A dialog with a new message moves on to what is still to be listed.
    name = "last_message_date_sent"
    return {"filters": {name: {"gte": since}}, "sort_asc": name, "limit": PAGE}


def _message_query(dialog: Dialog, since: dt.datetime) -> dict[str, Any]:
    filters = {"date_sent": {"gte": since}}
    return {"chat_dialog_id": dialog.id, "filters": filters, "sort_asc": "date_sent", "limit": PAGE,
            "mark_as_read": False}  # fmt: skip


def _is_last(count: int, limit: int | None) -> bool:
    """Return whether a page is too short for another one to follow (U-08)."""
    return count < min(PAGE, limit or PAGE)


def _is_new(date: dt.datetime | None, since: dt.datetime) -> bool:
    """Return whether a date fits. The filter can't tell if a sender wrote milliseconds (CX-07)."""
    return date is None or date >= since.replace(microsecond=0)


def _new(found: list[Message], since: dt.datetime) -> list[Message]:
    return [message for message in found if _is_new(message.date_sent, since)]


def messages(cube: ConnectyCube, since: dt.datetime, skip_sender: int | None = None) -> Iterator[list[ChatMessage]]:
    """Return the messages since a time, a page at a time. A page may be empty.

    :param skip_sender: a user whose messages are left out.
    :raises ConnectyCubeError: if a request fails.
    """
    dialogs = list(cube.dialogs.list(**_dialog_query(since)))
    for dialog in dialogs:
        if not _is_new(dialog.last_message_date_sent, since):
            continue
        try:
            page = cube.messages.list(**_message_query(dialog, since))
            found = iter(page.items if _is_last(len(page), page.limit) else page)
            while some := list(islice(found, PAGE)):
                yield _chat_messages(_new(some, since), dialog, skip_sender)
        except GONE as error:
            _skip(dialog, error)


async def in_thread(pages: Iterator[list[ChatMessage]]) -> AsyncGenerator[ChatMessage, None]:
    """Return the messages of pages that another thread reads, one page after another."""
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        for message in page:
            yield message


class History:
    """The history, dialog by dialog.

    :ivar now: the time of the server that dates messages, as far as it is known.
    """

    def __init__(self, cube: AsyncConnectyCube, now: Callable[[], dt.datetime]) -> None:
        self._cube = cube
        self.now = now

    async def dialogs(self, since: dt.datetime) -> list[Dialog]:
        """Return the dialogs whose last message is not older than `since`, from the longest silent to the latest."""
        found = self._cube.dialogs.list(**_dialog_query(since))
        return [dialog async for dialog in found if _is_new(dialog.last_message_date_sent, since)]

    async def pages(self, dialog: Dialog, since: dt.datetime) -> AsyncGenerator[list[Message], None]:
        """Return the messages of a dialog since a time, oldest first and a page at a time. A page may be empty."""
        try:
            page = await self._cube.messages.list(**_message_query(dialog, since))
            if _is_last(len(page), page.limit):
                yield _new(page.items, since)
                return
            some: list[Message] = []
            async with aclosing(cast(AsyncGenerator[Message, None], aiter(page))) as found:
                async for message in found:
                    some.append(message)
                    if len(some) == PAGE:
                        yield _new(some, since)
                        some = []
            yield _new(some, since)
        except GONE as error:
            _skip(dialog, error)

    async def messages(self, since: dt.datetime, skip_sender: int | None = None) -> AsyncGenerator[ChatMessage, None]:
        """Return the messages since a time, one at a time.

        :param skip_sender: a user whose messages are left out.
        :raises ConnectyCubeError: if a request fails.
        """
        for dialog in await self.dialogs(since):
            async with aclosing(self.pages(dialog, since)) as pages:
                async for page in pages:
                    for message in _chat_messages(page, dialog, skip_sender):
                        yield message

    @staticmethod
    def message(message: Message, dialog: Dialog) -> ChatMessage:
        """Return a message of the history as the chat would have brought it."""
        is_private = dialog.type == DialogType.PRIVATE
        recipient_id = None
        if is_private:
            others = (user_id for user_id in dialog.occupants_ids if user_id != message.sender_id)
            recipient_id = message.recipient_id or next(others, None)
        extra = {name: value for name, value in message.extra.items() if name not in TAKEN}
        return ChatMessage(
            id=message.id,
            body=message.message or "",
            sender_id=message.sender_id,
            recipient_id=recipient_id,
            dialog_id=dialog.id,
            type="chat" if is_private else "groupchat",
            date_sent=message.date_sent,
            attachments=tuple(filter(None, (_attachment(one.to_dict()) for one in message.attachments))),
            extra=_param(extra),
            markable=True,  # The history does not tell, and the official clients want marks for all of their messages.
        )


def _skip(dialog: Dialog, error: ApiError) -> None:
    """Log that a dialog can't be read any more.

    :raises ApiError: if a gateway says so in a page of its own: the platform answers in JSON.
    """
    if isinstance(error.body, str):
        raise error
    logger.info("dialog %s is left out, since its messages can't be read any more: %s", dialog.id, error)


# -- from the history's form to the chat's


def _chat_messages(found: list[Message], dialog: Dialog, skip_sender: int | None) -> list[ChatMessage]:
    wanted = (message for message in found if skip_sender is None or message.sender_id != skip_sender)
    return [History.message(message, dialog) for message in wanted]


def _param(value: Any) -> Any:
    """Return a parameter as it arrives in the chat: as text, or if it is nested as a mapping."""
    if isinstance(value, Mapping):
        return {name: _param(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, bool):
        return "1" if value else "0"
    return _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _attachment(fields: Mapping[str, Any]) -> Attachment | None:
    """Read an attachment as if it came in a stanza. One that can't be read is left out, as it is there."""
    attributes = {name: _text(value) for name, value in fields.items() if value is not None}
    try:
        return Attachment.from_element(Element(Attachment.tag, attributes))
    except StanzaError as error:
        logger.debug("an attachment of the history is left out: %s", error)
        return None
