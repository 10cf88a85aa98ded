"""Measure raw slixmpp."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import slixmpp

from .process import Figures, Job, Stopwatch, User, serve

STREAM_MANAGEMENT = ("xep_0198",)
"""Enough for acknowledged messages. Others slow down sending: some handle each stanza in a task."""

USUAL = ("xep_0030", "xep_0045", "xep_0085", "xep_0198", "xep_0199", "xep_0280", "xep_0333")


def client(job: Job, user: User, plugins: tuple[str, ...]) -> slixmpp.ClientXMPP:
    """Return a client with a TLS context of its own, as slixmpp makes them."""
    mechanisms = {"use_mech": job["mechanism"], "unencrypted_plain": True, "unencrypted_scram": True}
    made = slixmpp.ClientXMPP(user["jid"], user["password"], plugin_config={"feature_mechanisms": mechanisms})
    made.enable_direct_tls, made.enable_plaintext, made.enable_starttls = job["tls"], not job["tls"], False
    made.ca_certs = Path(job["ca_file"])
    for name in plugins:
        made.register_plugin(name, {"window": 5} if name == "xep_0198" else None)
    return made


async def login(job: Job, user: User, plugins: tuple[str, ...] = USUAL) -> slixmpp.ClientXMPP:
    """Return a client that is available and has stream management."""
    made = client(job, user, plugins)
    happened = asyncio.gather(*(made.wait_until(event) for event in ("sm_enabled", "session_start")))
    made.connect("127.0.0.1", job["port"])
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


async def messages(job: Job) -> Figures:
    """Send all messages at once and wait until the server has acknowledged the last one."""
    count = job["messages"]
    made = await login(job, job["users"][0], STREAM_MANAGEMENT)
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
            # slixmpp asks before it sends the stanza that fills the window, so the last messages need another request.
            asked.append(count)
            management.request_ack()

    asked = [0]
    made.add_event_handler("stanza_acked", on_ack)
    to = slixmpp.JID(job["to"])
    watch = Stopwatch()
    for number in range(count):
        message = made.make_message(to, f"message {number}", mtype="chat")
        if job["params"] is not None:
            extra = ET.SubElement(message.xml, "{jabber:client}extraParams")
            for name, value in job["params"].items():
                ET.SubElement(extra, f"{{jabber:client}}{name}").text = value
        message.send()
    await done.wait()
    figures = watch.figures()
    await leave([made])
    return figures


if __name__ == "__main__":
    serve(messages, login, leave)
