"""Measure our chat, in the same way as its rivals."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache

from connectycube.chat import AsyncChat

from .chat_rivals.process import Figures, Job, Stopwatch, User, serve

trusted = cache(ssl.create_default_context)
"""All chats of a process share a TLS context, as they do by default."""


def client(job: Job, user: User) -> AsyncChat:
    """Set up a chat as a user does."""
    tls = job["tls"]
    return AsyncChat(
        app_id=job["app_id"],
        user_id=user["id"],
        password=user["password"],
        host=job["host"],
        port=job["port"],
        tls="direct" if tls else "none",
        ssl_context=trusted(cafile=job["ca_file"]) if tls else None,
        allow_insecure=not tls,
    )


async def login(job: Job, user: User) -> AsyncChat:
    chat = client(job, user)
    await chat.connect()
    return chat


async def leave(chats: list[AsyncChat]) -> None:
    for chat in chats:
        await chat.disconnect()


async def messages(job: Job) -> Figures:
    """Send all messages at once; each caller waits for the server's acknowledgement of its own."""
    async with client(job, job["users"][0]) as chat:
        watch = Stopwatch()
        await asyncio.gather(*(chat.send(job["to"], f"message {number}") for number in range(job["messages"])))
        return watch.figures()


if __name__ == "__main__":
    serve(messages, login, leave)
