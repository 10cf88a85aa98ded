"""Run our chat and its rivals against a server, each in its own process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.integration.bare import Bare
from tests.integration.ejabberd import Ejabberd
from tests.integration.server import APP_ID, HOST, User
from tests.interop.javascript import program

from .process import Figures, Job

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PARAMS = {"save_to_history": "1", "dialog_id": "66f1a7c2e4b0d93a51c8e201", "date_sent": "1735689600"}
"""The parameters of a message that the server keeps."""

OURS = "benchmarks.chat_client"
SLIXMPP = "benchmarks.chat_rivals.slix"

Command = tuple[list[str], Job]


async def our_messages(server: Ejabberd, count: int) -> Figures:
    """Send messages with our chat to a reader on another connection."""
    reader = server.register()
    return await to_reader(server, reader, count, command(server, OURS, "messages", to=reader.id, messages=count))


async def our_logins(server: Ejabberd, count: int) -> Figures:
    """Measure the memory and the CPU time of our logins over TLS."""
    return await figures(*command(server, OURS, "logins", count + 1, tls=True))


async def slixmpp_messages(server: Ejabberd, count: int, *, tls: bool = False, params: bool = False) -> Figures:
    """Send messages with raw slixmpp to a reader on another connection; each is acknowledged, window 5."""
    reader = server.register()
    more: Any = {"to": reader.jid, "messages": count, "params": PARAMS if params else None}
    return await to_reader(server, reader, count, command(server, SLIXMPP, "messages", tls=tls, **more))


async def slixmpp_logins(server: Ejabberd, count: int, *, tls: bool = True, mechanism: str | None = "PLAIN") -> Figures:
    """Measure the memory and the CPU time of raw slixmpp's logins.

    The platform offers PLAIN; with `None` slixmpp chooses from what the server offers.
    """
    return await figures(*command(server, SLIXMPP, "logins", count + 1, tls=tls, mechanism=mechanism))


async def js_messages(server: Ejabberd, count: int, *, params: bool = False) -> Figures:
    """Send messages with the official JavaScript SDK, whose callback reports each acknowledgement."""
    sender, reader = server.register(), server.register()
    job = {
        "app_id": APP_ID,
        "host": HOST,
        "port": server.ports.http,
        "user_id": sender.id,
        "password": sender.password,
        "to_id": reader.id,
        "messages": count,
        "params": PARAMS if params else None,
    }
    return await to_reader(server, reader, count, (["node", str(program(HERE / "send.mjs"))], job))


def command(server: Ejabberd, module: str, name: str, count: int = 1, *, tls: bool = False, **more: Any) -> Command:
    """Return the command line and the job of a measuring process with new users."""
    users = [server.register() for _ in range(count)]
    job = {
        "job": name,
        "app_id": APP_ID,
        "host": HOST,
        "port": server.ports.tls if tls else server.ports.starttls,
        "tls": tls,
        "ca_file": str(server.ca_file),
        "users": [{"id": user.id, "jid": user.jid, "password": user.password} for user in users],
        "mechanism": "PLAIN",
    }
    return [sys.executable, "-m", module], job | more


async def to_reader(server: Ejabberd, reader: User, count: int, command: Command) -> Figures:
    """Run a program that sends messages, all of which must arrive."""
    async with Bare(server.ports.starttls) as bare:
        await bare.login(reader)
        async with asyncio.TaskGroup() as group:
            measured = group.create_task(figures(*command))
            group.create_task(bare.drain(b"</message>", count))
    return measured.result()


async def figures(command: list[str], job: Job) -> Figures:
    """Run a program and return the results that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(json.dumps(job).encode())
    if process.returncode:
        raise RuntimeError(f"{command[-1]} failed")
    found: Figures = json.loads(output)
    return found
