"""What our chat takes: a job as JSON on stdin, its figures as JSON on stdout.

It runs in a process of its own, as those of the rivals do, for which memory and time of the processor are counted.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

from connectycube.chat import AsyncChat

from .chat_rivals.slix import resident


def client(job: dict[str, Any], context: ssl.SSLContext, user: list[Any]) -> AsyncChat:
    """A chat as a user sets it up; all of a process share the TLS context, as they do by default."""
    tls = job["tls"]
    return AsyncChat(
        app_id=job["app_id"],
        user_id=user[0],
        password=user[1],
        host=job["host"],
        port=job["port"],
        tls="direct" if tls else "none",
        ssl_context=context if tls else None,
        allow_insecure=not tls,
    )


async def messages(job: dict[str, Any], context: ssl.SSLContext) -> dict[str, Any]:
    """Send messages in one go, until each caller has got the server's acknowledgement."""
    count = job["messages"]
    async with client(job, context, job["users"][0]) as chat:
        cpu, start = time.process_time(), time.perf_counter()
        await asyncio.gather(*(chat.send(job["to"], f"message {number}") for number in range(count)))
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    return {"messages": count, "seconds": seconds, "cpu_seconds": cpu_seconds}


async def memory(job: dict[str, Any], context: ssl.SSLContext) -> dict[str, Any]:
    """How much the process grows with its connections, after the first one."""
    chats = [client(job, context, user) for user in job["users"]]
    await chats[0].connect()
    before = resident()
    for chat in chats[1:]:
        await chat.connect()
    grown = resident() - before
    for chat in chats:
        await chat.disconnect()
    return {"connections": len(chats) - 1, "bytes_per_connection": grown / (len(chats) - 1)}


async def logins(job: dict[str, Any], context: ssl.SSLContext) -> dict[str, Any]:
    """What a login takes of the processor, after the first one."""
    chats = [client(job, context, user) for user in job["users"]]
    await chats[0].connect()
    cpu, start = time.process_time(), time.perf_counter()
    for chat in chats[1:]:
        await chat.connect()
    cpu_seconds, seconds = time.process_time() - cpu, time.perf_counter() - start
    for chat in chats:
        await chat.disconnect()
    return {"logins": len(chats) - 1, "seconds": seconds, "cpu_seconds": cpu_seconds}


JOBS: dict[str, Callable[..., Any]] = {"messages": messages, "memory": memory, "logins": logins}

if __name__ == "__main__":
    given = json.load(sys.stdin)
    trusted = ssl.create_default_context(cafile=given["ca_file"])
    print(json.dumps(asyncio.run(JOBS[given["job"]](given, trusted))))
