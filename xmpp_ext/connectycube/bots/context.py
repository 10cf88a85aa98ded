"""`Context`: the message that a handler receives, and ways to respond to it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Unpack

from connectycube.chat import AsyncChat, ChatError, ChatMessage, MessageRefused, SendOptions, SentMessage
from connectycube.rest import AsyncConnectyCube, InvalidArgument

from .content import To, content_of, decode_message, reply_id
from .link import Link
from .store import Entry

if TYPE_CHECKING:
    from . import Bot

__all__ = ["Context"]

Refused: TypeAlias = Callable[["Context", Exception, str], None]
"""Gets the error of a reply that the server refuses, and the reply's id."""

TYPING_INTERVAL: Final = 20.0
"""Seconds after which clients are reminded that the bot is typing: they stop showing it after 30."""


class Context:
    """A message, and ways to respond to it.

    :ivar message: the message.
    :ivar args: the converted arguments of a command; empty for other messages.
    :ivar match: the result of the pattern or predicate of `@bot.message`; `None` for commands.
    :ivar bot: the bot.
    :ivar chat: the bot's chat.
    :ivar from_history: whether the message was missed and then read from the history.
    :ivar redelivered: whether a handler may have been called for it before, in this process or an earlier one.
    """

    def __init__(self, bot: Bot, link: Link, entry: Entry, redelivered: bool, report: Refused) -> None:
        self._link = link
        self._report = report
        self._key = entry.key
        self._scope = "handler"
        self._count = 0
        self.message: ChatMessage = decode_message(entry.message)
        self.args: tuple[Any, ...] = ()
        self.match: Any = None
        self.bot: Bot = bot
        self.chat: AsyncChat = link.chat
        self.from_history: bool = entry.from_history
        self.redelivered: bool = redelivered

    def _within(self, scope: str) -> Context:
        """Return a copy whose replies have ids of their own."""
        found = copy.copy(self)
        found._scope, found._count = scope, 0
        return found

    def __repr__(self) -> str:
        return f"<Context {self.message.id} from {self.sender_id}>"

    @property
    def text(self) -> str:
        """The text of the message; empty if it has none."""
        return self.message.body

    @property
    def sender_id(self) -> int | None:
        """The author's user id; `None` if the author is not a user of the application."""
        return self.message.sender_id

    @property
    def dialog_id(self) -> str | None:
        """The dialog's id, if known. In a private dialog, it is the sender's claim."""
        return self.message.dialog_id

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client.

        :raises ConfigurationError: if the bot has none.
        """
        return self._link.cube

    # -- replies

    async def reply(self, body: str | None = None, **options: Unpack[SendOptions]) -> SentMessage:
        """Reply in the message's group, or privately to its sender.

        Returns once the reply is stored. The bot keeps sending it until the server has it, even across restarts. If
        the handler runs again, its replies keep their ids, and recipients see each only once. Refused replies are
        reported to `@bot.error` and kept in `bot.failed()`.

        :param body: the text.
        :param options: as for `chat.send`: `attachments`, `extra`, `save_to_history`, `markable`, `destroy_after`,
            `silent`.
        :raises InvalidArgument: if an argument is invalid, or the sender is not a user of the application.
        :raises StoreError: if the bot stops before the reply is stored.
        """
        return await self._put(self.message, body, options)

    async def edit(
        self, reply: SentMessage, body: str, *, last: bool = True, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Replace the text of a reply, as soon as the server has the reply.

        Returns once the server has the edit. The edit itself is not stored: if the bot is killed before, the handler
        runs again and can repeat it.

        :param reply: what `reply` returned.
        :param body: the new text.
        :param last: whether the reply is the dialog's last message.
        :param extra: further parameters.
        :raises InvalidArgument: if an argument is invalid.
        :raises MessageNotSent: if the chat ends first, or the server refuses the edit.
        """
        await self._link.edit(self._place, reply.id, body, last, extra)

    async def send(self, to: To, body: str | None = None, **options: Unpack[SendOptions]) -> SentMessage:
        """Send a message to another user or dialog, stored and sent like a reply.

        :param to: a user, a dialog, or the id of one.
        :param body: the text.
        :param options: as for `reply`.
        :raises InvalidArgument: if an argument is invalid.
        :raises StoreError: if the bot stops before the message is stored.
        """
        return await self._put(to, body, options)

    async def _put(self, to: To | ChatMessage, body: str | None, options: SendOptions) -> SentMessage:
        content = content_of(body, options, to=to, user_id=self._link.user_id)
        message_id = reply_id(self._link.user_id, self._key, self._scope, self._count)
        self._count += 1
        # What an error handler sends must not be reported to it again.
        report = partial(self._report, self) if self._scope == "handler" else None
        return await self._link.put(message_id, content, report)

    # -- along with replies

    @asynccontextmanager
    async def typing(self) -> AsyncGenerator[None]:
        """Show that the bot is typing: `async with ctx.typing():`. Ignored while disconnected."""
        place = self._place

        async def show() -> None:
            with contextlib.suppress(ChatError):
                await self.chat.start_typing(place)

        async def keep_showing() -> None:
            while True:
                await asyncio.sleep(TYPING_INTERVAL)
                await show()

        await show()
        task = asyncio.get_running_loop().create_task(keep_showing(), name="connectycube typing")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            with contextlib.suppress(ChatError):
                await self.chat.stop_typing(place)

    @property
    def _place(self) -> int | str:
        message = self.message
        found = message.dialog_id if message.type == "groupchat" else message.sender_id
        if found is None:
            raise InvalidArgument("message", "can't be answered: its sender is not a user of this application")
        return found

    async def mark_read(self) -> None:
        """Mark the message as read. Ignored if the sender has blocked the bot.

        :raises InvalidArgument: if the message has no id or no sender.
        :raises MessageNotSent: if there is no connection.
        """
        with contextlib.suppress(MessageRefused):
            await self.chat.mark_read(self.message)

    async def react(self, reaction: str, *, remove: bool = False) -> None:
        """React to the message.

        :param reaction: the reaction, such as an emoji.
        :param remove: withdraw the reaction instead.
        :raises ConfigurationError: if the bot has no REST client.
        :raises InvalidArgument: if the message has no id.
        :raises ApiError: if the server refuses.
        """
        if self.message.id is None:
            raise InvalidArgument("message", "can't get a reaction: it has no id")
        changes = {"remove" if remove else "add": reaction}
        await self.cube.messages.update_reactions(self.message.id, **changes)
