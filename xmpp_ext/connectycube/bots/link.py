"""`Link`: an account of the bot, as its handlers reach it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

from attrs import frozen

from connectycube.chat import AsyncChat, SentMessage
from connectycube.rest import AsyncConnectyCube, ConfigurationError

from .content import Content
from .outbox import Outbox, Report

__all__ = ["LINK", "Link", "OwnLink", "checked_cube"]


class Link(Protocol):
    """An account of the bot, which may be connected from another process."""

    @property
    def user_id(self) -> int:
        """The account's user id."""
        ...

    @property
    def chat(self) -> AsyncChat:
        """The account's chat, or what stands in for it."""
        ...

    @property
    def cube(self) -> AsyncConnectyCube:
        """The account's REST client. Raises `ConfigurationError` if it has none."""
        ...

    async def put(self, message_id: str, content: Content, report: Report | None = None) -> SentMessage:
        """Store a message, which is then sent. If its id was stored before, that one counts."""
        ...

    async def edit(
        self, place: int | str, message_id: str, body: str, last: bool, extra: Mapping[str, Any] | None
    ) -> None:
        """Replace the text of a message, as soon as the server has the message."""
        ...


LINK: Final[ContextVar[Link | None]] = ContextVar("LINK", default=None)
"""The account that received the message which is being handled."""


@frozen(eq=False)
class OwnLink:
    """The account of a bot that is connected from this process."""

    chat: AsyncChat
    own_cube: AsyncConnectyCube | None
    outbox: Outbox

    @property
    def user_id(self) -> int:
        return self.chat.user_id

    @property
    def cube(self) -> AsyncConnectyCube:
        return checked_cube(self.own_cube)

    async def put(self, message_id: str, content: Content, report: Report | None = None) -> SentMessage:
        return await self.outbox.put(message_id, content, report)

    async def edit(
        self, place: int | str, message_id: str, body: str, last: bool, extra: Mapping[str, Any] | None
    ) -> None:
        await self.outbox.left(message_id)
        await self.chat.edit_message(place, message_id, body, last=last, extra=extra)


def checked_cube(cube: AsyncConnectyCube | None) -> AsyncConnectyCube:
    """Return a REST client; raise `ConfigurationError` if it is missing."""
    if cube is None:
        raise ConfigurationError("the bot has no REST client: pass one as Bot(cube), or set CONNECTYCUBE_AUTH_KEY")
    return cube
