"""Let two people use the platform on a local sandbox, and show each step: `make demo`.

This needs no account and no network. With KEEP=1, the sandbox and its page stay up afterwards.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from connectycube.chat import (
    AsyncChat,
    EventStream,
    MessageDelivered,
    MessageRead,
    MessageReceived,
    OccupantJoined,
    PrivacyListChanged,
    RecipientBlocked,
    Reconnected,
    Reconnecting,
    TypingStarted,
    TypingStopped,
)
from connectycube.chat.events import Event
from connectycube.rest import AsyncConnectyCube, DialogType
from connectycube.sandbox import Sandbox

E = TypeVar("E", bound=Event)

COLORS = {"Mary": "cyan", "Omar": "magenta", "": "dim"}
PASSWORD = "correct-horse-9"


class Transcript:
    """Prints one line for each step."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.start = time.monotonic()
        self.lines = 0

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")

    def line(self, who: str, text: str) -> None:
        self.lines += 1
        color = COLORS[who]
        seconds = time.monotonic() - self.start
        self.console.print(f"[dim]{seconds:6.2f}[/dim]  [{color}]{who:5}[/{color}] ", end="")
        self.console.print(text, markup=False)


class Person:
    """A user with a REST client, a chat, and an iterator over its events."""

    def __init__(self, name: str, sandbox: Sandbox, say: Transcript) -> None:
        self.name = name
        self.say = say
        self.sandbox = sandbox
        self.cube = AsyncConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url)
        self.chat: AsyncChat
        self.news: EventStream[Event]
        self.id = 0

    async def enter(self) -> None:
        """Log in over REST and connect the chat with the session's token."""
        await self.cube.users.create(login=self.name.lower(), password=PASSWORD, full_name=self.name)
        session = await self.cube.login(login=self.name.lower(), password=PASSWORD)
        self.chat = AsyncChat(
            self.cube,
            host=self.sandbox.chat_host,
            port=self.sandbox.chat_tls_port,
            ssl_context=self.sandbox.ssl_context,
        )
        self.news = self.chat.events()
        await self.chat.connect()
        self.id = session.user_id or 0
        self.tell(f"is logged in as user {self.id} and online")

    async def leave(self) -> None:
        await self.chat.disconnect()
        await self.cube.aclose()

    def tell(self, text: str) -> None:
        self.say.line(self.name, text)

    async def sees(self, kind: type[E]) -> E:
        """Return the next event of a type, skipping others."""
        async with asyncio.timeout(10):
            async for event in self.news:
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"{self.name} got no {kind.__name__}")


async def private_chat(mary: Person, omar: Person) -> None:
    """Send a message with a typing notification, and show its marks."""
    await mary.chat.start_typing(omar.id)
    await omar.sees(TypingStarted)
    omar.tell("sees that Mary is typing ...")
    await mary.chat.stop_typing(omar.id)
    await omar.sees(TypingStopped)
    dialog = await mary.cube.dialogs.create(type=DialogType.PRIVATE, occupants_ids=[omar.id])
    sent = await mary.chat.send(dialog, "Are you coming on Sunday?")
    mary.tell("Are you coming on Sunday?   (the server has it)")
    message = (await omar.sees(MessageReceived)).message
    omar.tell(f"received: {message.body}")
    assert (await mary.sees(MessageDelivered)).message_id == sent.id
    mary.tell("sees the message marked as delivered")
    await omar.chat.mark_read(message)
    assert (await mary.sees(MessageRead)).message_id == sent.id
    mary.tell("sees the message marked as read")
    await omar.chat.send(dialog, "Sure, I have the ropes.")
    reply = (await mary.sees(MessageReceived)).message
    mary.tell(f"received: {reply.body}")


async def group(mary: Person, omar: Person) -> str:
    """Talk in a group, and read its history over REST."""
    dialog = await mary.cube.dialogs.create(type=DialogType.GROUP, name="Climbing", occupants_ids=[omar.id])
    mary.tell(f"creates the group {dialog.name!r}")
    await mary.chat.join(dialog)
    await omar.chat.join(dialog)
    joined = await mary.sees(OccupantJoined)
    mary.tell(f"sees user {joined.user_id} join the room")
    for person, text in ((mary, "Who drives?"), (omar, "I do."), (mary, "Then I'll bring the coffee.")):
        await person.chat.send(dialog, text)
        person.tell(text)
    await omar.sees(MessageReceived)
    history = [message.message async for message in await omar.cube.messages.list(chat_dialog_id=dialog.id)]
    omar.tell(f"reads the history over REST: {history}")
    return dialog.id


async def upload(mary: Person, omar: Person, dialog_id: str) -> None:
    """Upload a file with a progress bar, and send a message that refers to it."""
    content = os.urandom(3_000_000)
    columns = (TextColumn("               {task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=mary.say.console) as bar:
        task = bar.add_task("route.gpx", total=len(content))
        file = await mary.cube.files.upload(
            io.BytesIO(content),
            name="route.gpx",
            content_type="application/gpx+xml",
            progress=lambda sent, total: bar.update(task, completed=sent, total=total),
        )
    await mary.chat.send(dialog_id, "The route", attachments=[file])
    mary.tell(f"sends the file {file.name}")
    message = (await omar.sees(MessageReceived)).message
    while not message.attachments:
        message = (await omar.sees(MessageReceived)).message
    received = await omar.cube.files.download(message.attachments[0].uid or "")
    assert received == content
    omar.tell(f"downloads {message.attachments[0].name}: {len(received):,} bytes, intact")


async def block(mary: Person, omar: Person) -> None:
    """Let Omar block Mary: she gets an error, he gets nothing."""
    await omar.chat.privacy.block(mary.id)
    await omar.sees(PrivacyListChanged)
    omar.tell(f"blocks Mary; blocked now: {list(await omar.chat.privacy.blocked())}")
    try:
        await mary.chat.send(omar.id, "Hello?")
        mary.tell("Hello?   (refused after the server had accepted it)")
    except RecipientBlocked as error:
        mary.tell(f"Hello?   (refused: {error.condition})")
    await omar.chat.privacy.unblock(mary.id)
    omar.tell("unblocks Mary")


async def reconnect(mary: Person, omar: Person, sandbox: Sandbox, dialog_id: str) -> None:
    """Cut Omar's connection; messages sent meanwhile are not lost."""
    sandbox.drop_connections(omar.id)
    lost = await omar.sees(Reconnecting)
    omar.tell(f"loses the connection, retries in {lost.delay:.1f} s")
    await mary.chat.send(dialog_id, "Are you there?")
    mary.tell("Are you there?   (Omar is offline)")
    back = await omar.sees(Reconnected)
    omar.tell(f"is online again, {'in the old session' if back.resumed else 'in a new session'}")
    message = (await omar.sees(MessageReceived)).message
    while message.body != "Are you there?":
        message = (await omar.sees(MessageReceived)).message
    omar.tell(f"received: {message.body}")


async def show() -> None:
    say = Transcript()
    async with Sandbox() as sandbox:
        say.heading("The sandbox is up")
        say.line("", f"REST and web page {sandbox.api_url}")
        say.line("", f"chat {sandbox.chat_host}, port {sandbox.chat_tls_port} with TLS")
        mary, omar = Person("Mary", sandbox, say), Person("Omar", sandbox, say)
        say.heading("Login")
        await mary.enter()
        await omar.enter()
        say.heading("A private chat, with typing and marks")
        await private_chat(mary, omar)
        say.heading("A group")
        dialog_id = await group(mary, omar)
        say.heading("A file")
        await upload(mary, omar, dialog_id)
        say.heading("A block")
        await block(mary, omar)
        say.heading("A lost connection")
        await reconnect(mary, omar, sandbox, dialog_id)
        await mary.leave()
        await omar.leave()
        say.heading(f"Done: {say.lines} steps, no account, no network")
        if os.environ.get("KEEP", "") not in ("", "0"):
            say.console.print(f"The page stays up at {sandbox.api_url}; press Ctrl-C to stop")
            await asyncio.Event().wait()


def main() -> int:
    try:
        asyncio.run(show())
    except KeyboardInterrupt:
        return 0 if os.environ.get("KEEP") else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
