"""Runs the rivals against a server, each in a process of its own."""

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

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PARAMS = {"save_to_history": "1", "dialog_id": "66f1a7c2e4b0d93a51c8e201", "date_sent": "1735689600"}
"""Parameters as a message has that is to be kept."""

Figures = dict[str, Any]


async def slixmpp_messages(server: Ejabberd, count: int, *, tls: bool = False, params: bool = False) -> Figures:
    """Raw slixmpp sends messages to a reader on another connection; each is acknowledged, window 5."""
    sender, reader = server.register(), server.register()
    job = {"jid": sender.jid, "password": sender.password, "to": reader.jid, "params": PARAMS if params else None}
    return await to_reader(server, reader, count, slixmpp_job(server, "messages", tls=tls, messages=count, **job))


async def slixmpp_memory(server: Ejabberd, connections: int, *, tls: bool = True) -> Figures:
    """How much a process of raw slixmpp grows with each connection."""
    return await figures(*slixmpp_job(server, "memory", tls=tls, users=crowd(server, connections + 1)))


async def slixmpp_logins(server: Ejabberd, count: int, *, tls: bool = True, mechanism: str | None = "PLAIN") -> Figures:
    """What a login of raw slixmpp takes of the processor; the platform has PLAIN, `None` lets slixmpp choose."""
    job = slixmpp_job(server, "logins", tls=tls, users=crowd(server, count + 1), mechanism=mechanism)
    return await figures(*job)


async def js_messages(server: Ejabberd, count: int, *, params: bool = False) -> Figures:
    """The official JavaScript SDK sends messages to a reader; its callback tells that each is acknowledged."""
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


def slixmpp_job(server: Ejabberd, name: str, *, tls: bool, **job: Any) -> tuple[list[str], dict[str, Any]]:
    port = server.ports.tls if tls else server.ports.starttls
    given = {"job": name, "host": "127.0.0.1", "port": port, "tls": tls, "ca_file": str(server.ca_file)}
    given |= {"mechanism": "PLAIN"} | job
    return [sys.executable, "-m", f"{__package__}.slix"], given


def crowd(server: Ejabberd, count: int) -> list[tuple[str, str]]:
    users = [server.register() for _ in range(count)]
    return [(user.jid, user.password) for user in users]


async def to_reader(server: Ejabberd, reader: User, count: int, command: tuple[list[str], dict[str, Any]]) -> Figures:
    """Run a program that sends messages; they must arrive."""
    async with Bare(server.ports.starttls) as bare:
        await bare.login(reader)
        async with asyncio.TaskGroup() as group:
            measured = group.create_task(figures(*command))
            group.create_task(bare.drain(b"</message>", count))
    return measured.result()


async def figures(command: list[str], job: dict[str, Any]) -> Figures:
    """What a program prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(json.dumps(job).encode())
    if process.returncode:
        raise RuntimeError(f"{command[-1]} failed")
    found: Figures = json.loads(output)
    return found
