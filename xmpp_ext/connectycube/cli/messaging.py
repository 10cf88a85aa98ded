"""`connectycube send` and `connectycube tail`."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import attrs
from cyclopts import Parameter

from connectycube.chat import AsyncChat, ChatMessage, MessageReceived, MessageSentElsewhere, Reconnected, Reconnecting

from .common import CommandFailed, Options, UsageError, flag
from .output import Printer, clean

if TYPE_CHECKING:
    from connectycube.rest import AsyncConnectyCube

__all__ = ["send", "tail"]


@asynccontextmanager
async def account(options: Options, **settings: Any) -> AsyncGenerator[tuple[AsyncConnectyCube, AsyncChat]]:
    """Log in, and return the clients, not yet connected to the chat.

    :raises UsageError: if the account has no user.
    """
    async with options.cube() as cube:
        session = await cube.sessions.get()
        if session.user_id is None:
            raise UsageError("the chat needs a user: set CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD, or --profile")
        yield cube, AsyncChat(cube, user_id=session.user_id, mark_delivered="never", **settings)


async def recipient(cube: AsyncConnectyCube, to: str) -> int | str:
    """Return a user id, or the id of a dialog.

    :raises CommandFailed: if there is no such user.
    """
    if to.isascii() and to.isdecimal():
        return int(to)
    if re.fullmatch("[0-9a-f]{24}", to):
        return to
    async for user in cube.users.list(filters={"login": to}):
        return user.id
    raise CommandFailed(f"{to!r} is neither a login nor the id of a user or dialog")


async def send(
    to: str,
    text: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    silent: Annotated[bool, flag("Don't notify the recipients' devices.")] = False,
    options: Options | None = None,
) -> None:
    """Send a message, and wait until the server has it.

    Prints the message's id.

    :param to: A user id, a dialog id, or a login.
    :param text: The text, or - to read it from standard input.
    """
    options = options or Options()
    if text == "-":
        try:
            text = sys.stdin.read().rstrip("\n")
        except UnicodeDecodeError as error:
            raise UsageError(f"standard input is not valid {error.encoding}") from error
    # Unavailable, so that the server keeps messages for the user's devices instead of delivering them here.
    async with account(options, initial_presence=False, roster=False) as (cube, chat):
        target = await recipient(cube, to)
        async with chat:
            sent = await chat.send(target, text, silent=silent)
    Printer(options).print(attrs.asdict(sent) if options.json else sent.id)


async def tail(
    *,
    dialog: str | None = None,
    limit: int | None = None,
    options: Options | None = None,
) -> None:
    """Print messages as they arrive, until Ctrl-C.

    Reconnects when the connection is lost. Messages are not marked as delivered or read.

    :param dialog: Id of a dialog; print only its messages.
    :param limit: Number of messages after which to exit.
    """
    options = options or Options()
    if limit is not None and limit < 1:
        raise UsageError("--limit must be at least 1")
    printer = Printer(options)
    async with account(options) as (_, chat):
        events = chat.events(MessageReceived, MessageSentElsewhere, Reconnecting, Reconnected)
        async with chat:
            options.errors.print("waiting for messages; press Ctrl-C to stop", style="dim")
            async for event in events:
                if isinstance(event, Reconnecting):
                    options.errors.print(f"reconnecting in {event.delay:.1f} s: {clean(str(event.error))}", style="dim")
                elif isinstance(event, Reconnected):
                    missed = "" if event.resumed else "; messages may have been missed"
                    options.errors.print(f"connected again{missed}", style="dim")
                elif dialog in (None, event.message.dialog_id):
                    printer.print(record(event.message) if options.json else line(event.message))
                    limit = limit and limit - 1
                    if limit == 0:
                        return


def record(message: ChatMessage) -> dict[str, Any]:
    """Return a message for scripts."""
    fields = attrs.asdict(message, filter=lambda field, _: field.name != "sender_jid")
    return {**fields, "extra": dict(message.extra)}


def line(message: ChatMessage) -> str:
    """Return a message for people."""
    time = f"{message.date_sent.astimezone():%H:%M:%S}" if message.date_sent else "--:--:--"
    kinds = "".join(f" [{attachment.type or 'attachment'}]" for attachment in message.attachments)
    return clean(f"{time}  {message.dialog_id or '-':24}  {message.sender_id or '?'}: {message.body}{kinds}")
