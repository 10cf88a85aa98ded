"""What raw slixmpp takes: a job as JSON on stdin, its figures as JSON on stdout.

It runs in a process of its own, for which memory and time of the processor are counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import slixmpp

STREAM_MANAGEMENT = ("xep_0198",)
"""All that messages with acknowledgements need. Others slow down what is sent: some look at each stanza in a task."""

USUAL = ("xep_0030", "xep_0045", "xep_0085", "xep_0198", "xep_0199", "xep_0280", "xep_0333")


def client(job: dict[str, Any], jid: str, password: str, plugins: tuple[str, ...]) -> slixmpp.ClientXMPP:
    """A client with the TLS context that slixmpp makes for each."""
    mechanisms = {"use_mech": job["mechanism"], "unencrypted_plain": True, "unencrypted_scram": True}
    made = slixmpp.ClientXMPP(jid, password, plugin_config={"feature_mechanisms": mechanisms})
    made.enable_direct_tls, made.enable_plaintext, made.enable_starttls = job["tls"], not job["tls"], False
    made.ca_certs = Path(job["ca_file"])
    for name in plugins:
        made.register_plugin(name, {"window": 5} if name == "xep_0198" else None)
    return made


async def login(job: dict[str, Any], jid: str, password: str, plugins: tuple[str, ...] = USUAL) -> slixmpp.ClientXMPP:
    """A client that is present and has stream management."""
    made = client(job, jid, password, plugins)
    happened = asyncio.gather(*(made.wait_until(event) for event in ("sm_enabled", "session_start")))
    made.connect(job["host"], job["port"])
    await happened
    present = asyncio.ensure_future(made.wait_until("presence_available"))
    made.send_presence()
    await present
    return made


async def leave(clients: list[slixmpp.ClientXMPP]) -> None:
    for each in clients:
        await each.disconnect()
        if (filters := each._run_out_filters) is not None:
            filters.cancel()
            await asyncio.gather(filters, return_exceptions=True)


async def messages(job: dict[str, Any]) -> dict[str, Any]:
    """Send messages in one go, until the server has acknowledged the last one."""
    count = job["messages"]
    made = await login(job, job["jid"], job["password"], STREAM_MANAGEMENT)
    management = made.plugin["xep_0198"]
    before = management.seq
    acked = 0
    done = asyncio.Event()

    def on_ack(stanza: Any) -> None:
        nonlocal acked
        acked += isinstance(stanza, slixmpp.Message)
        if acked == count:
            done.set()
        elif management.seq - before == count and asked[-1] != count:
            # A request goes out before the stanza that makes it due, so that the last ones need one more.
            asked.append(count)
            management.request_ack()

    asked = [0]
    made.add_event_handler("stanza_acked", on_ack)
    to = slixmpp.JID(job["to"])
    cpu, start = time.process_time(), time.perf_counter()
    for number in range(count):
        message = made.make_message(to, f"message {number}", mtype="chat")
        if job["params"] is not None:
            extra = ET.SubElement(message.xml, "{jabber:client}extraParams")
            for name, value in job["params"].items():
                ET.SubElement(extra, f"{{jabber:client}}{name}").text = value
        message.send()
    await done.wait()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    await leave([made])
    return {"messages": count, "seconds": seconds, "cpu_seconds": cpu_seconds}


async def memory(job: dict[str, Any]) -> dict[str, Any]:
    """How much the process grows with its connections, after the first one."""
    users = job["users"]
    clients = [await login(job, *users[0])]
    before = resident()
    for user in users[1:]:
        clients.append(await login(job, *user))
    grown = resident() - before
    await leave(clients)
    return {"connections": len(users) - 1, "bytes_per_connection": grown / (len(users) - 1)}


async def logins(job: dict[str, Any]) -> dict[str, Any]:
    """What a login takes of the processor, after the first one."""
    users = job["users"]
    clients = [await login(job, *users[0])]
    cpu, start = time.process_time(), time.perf_counter()
    for user in users[1:]:
        clients.append(await login(job, *user))
    cpu_seconds, seconds = time.process_time() - cpu, time.perf_counter() - start
    await leave(clients)
    return {"logins": len(users) - 1, "seconds": seconds, "cpu_seconds": cpu_seconds}


def resident() -> int:
    """Bytes of this process in memory, once garbage is collected."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


JOBS: dict[str, Callable[[dict[str, Any]], Any]] = {"messages": messages, "memory": memory, "logins": logins}

if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(asyncio.run(JOBS[given["job"]](given))))
