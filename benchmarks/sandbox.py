"""Measure the sandbox's start and a minute of chat between 200 users: `python -m benchmarks.sandbox`.

The start lasts from a new process to the response to its first call, `POST /session`. The chat connects real clients in
two processes with the sandbox's command in a third; a receipt takes from the call of `send` in one client to the event
in another.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectycube.chat import AsyncChat, MessageReceived
from connectycube.rest import AsyncConnectyCube

from .report import Table

STARTS = 7
USERS, GROUPS, PROCESSES = 200, 20, 2
SECONDS = 60.0
WARM = 10.0
"""Seconds after which memory should no longer grow."""
PASSWORD = "correct-horse-9"
IN_CODE = """
import http.client, json, time
from connectycube.sandbox import Sandbox
with Sandbox() as sandbox:
    connection = http.client.HTTPConnection(sandbox.api_url.removeprefix("http://"))
    body = json.dumps({"application_id": sandbox.app_id, "auth_key": sandbox.auth_key})
    headers = {"Content-Type": "application/json", "CB-AuthKey": sandbox.auth_key}
    connection.request("POST", "/session", body, headers)
    assert connection.getresponse().status == 201
    print(time.process_time(), flush=True)
"""


def row(table: Table, measure: str, value: float, unit: str, most: float | None = None) -> None:
    """Add a row whose figure has a unit and may be limited."""
    text = f"{value:,.2f}" if unit == "s" else f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    bar = "" if most is None else f"{most:g} {unit}".strip()
    table.row(measure, f"{text} {unit}".strip(), bar, most is None or value <= most)


# -- the start


@contextmanager
def bytecode() -> Iterator[dict[str, str]]:
    """Yield an environment in which Python caches bytecode, as it does by default."""
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield {**environment, "PYTHONPYCACHEPREFIX": folder}


def start_in_code(environment: dict[str, str]) -> tuple[float, float]:
    """Return the wall and CPU seconds of a new interpreter until its first call is answered."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", IN_CODE], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        cpu = float(process.stdout.readline())
        return time.perf_counter() - begun, cpu


def start_command(environment: dict[str, str]) -> tuple[float, float]:
    """Return the same for the command, which this process calls."""
    begun = time.perf_counter()
    with command(environment) as (process, found):
        first_call(found["api_url"], found["app_id"], found["auth_key"])
        return time.perf_counter() - begun, cpu_seconds(process.pid)


def first_call(url: str, app_id: int, auth_key: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = json.dumps({"application_id": app_id, "auth_key": auth_key})
    connection.request("POST", "/session", body, {"Content-Type": "application/json", "CB-AuthKey": auth_key})
    assert connection.getresponse().status == 201
    connection.close()


@contextmanager
def command(environment: dict[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run the sandbox's command; yield its process and the addresses that it prints."""
    line = [str(Path(sys.executable).with_name("connectycube-sandbox")), "--json", "--port", "0", *arguments]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def busy_seconds() -> float:
    """Return the CPU seconds of all processes, including time that other virtual machines took."""
    user, nice, system, _, _, interrupts, soft, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / float(os.sysconf("SC_CLK_TCK"))


def megabytes(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")) / 1024


def starts(table: Table) -> None:
    with bytecode() as environment:
        for what, measure in (("`Sandbox` in code", start_in_code), ("`connectycube-sandbox`", start_command)):
            measure(environment)
            found = [measure(environment) for _ in range(STARTS)]
            wall, cpu = (sorted(column) for column in zip(*found, strict=True))
            row(table, f"{what}, start to first response, best of {STARTS}", wall[0], "s", 1)
            row(table, f"{what}, the same, median", wall[STARTS // 2], "s")
            row(table, f"{what}, CPU, median", cpu[STARTS // 2], "s")


# -- the chat


def seed() -> str:
    logins = [f"user{number:03}" for number in range(USERS)]
    dialogs = [
        {"name": f"group{group:02}", "type": "group", "owner": own[0], "occupants": own[1:]}
        for group, own in ((group, logins[group::GROUPS]) for group in range(GROUPS))
    ]
    return json.dumps({"users": [{"login": login, "password": PASSWORD} for login in logins], "dialogs": dialogs})


class Client:
    """One of the chat's users."""

    def __init__(self, found: dict[str, Any], number: int, group: str) -> None:
        self.group = group
        self.login = f"user{number:03}"
        self.sent = 0
        self.received = 0
        self.cube = AsyncConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"])
        self.address: dict[str, Any] = {"host": found["chat_host"], "port": found["chat_port"], "tls": "none"}

    async def enter(self, latencies: list[float]) -> None:
        await self.cube.login(login=self.login, password=PASSWORD)
        self.dialog = await anext(one async for one in await self.cube.dialogs.list())
        self.chat = AsyncChat(self.cube, **self.address)
        await self.chat.connect()

        def receive(event: MessageReceived) -> None:
            latencies.append(time.monotonic() - float(event.message.body or ""))
            self.received += 1

        self.chat.on(MessageReceived)(receive)
        await self.chat.join(self.dialog)

    async def talk(self, until: float, every: float) -> None:
        await asyncio.sleep(random.uniform(0, every))
        while time.monotonic() < until:
            begun = time.monotonic()
            await self.chat.send(self.dialog, f"{begun!r}")
            self.sent += 1
            await asyncio.sleep(max(0.0, begun + random.uniform(0.5, 1.5) * every - time.monotonic()))


async def clients(found: dict[str, Any], part: int, every: float) -> None:
    """Run a process of clients, which reads from stdin when to begin and how many messages to expect."""
    latencies: list[float] = []
    own = [
        Client(found, number, f"{number % GROUPS}") for number in range(USERS) if number // GROUPS % PROCESSES == part
    ]
    gate = asyncio.Semaphore(8)

    async def enter(client: Client) -> None:
        async with gate:
            await client.enter(latencies)

    async with asyncio.TaskGroup() as tasks:
        for client in own:
            tasks.create_task(enter(client))
    # The clients' garbage collection must not count as the sandbox's time.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    async with asyncio.TaskGroup() as tasks:
        for client in own:
            tasks.create_task(client.talk(time.monotonic() + SECONDS, every))
    sent: Counter[str] = Counter()
    for client in own:
        sent[client.group] += client.sent
    print(json.dumps(sent), flush=True)
    everything = json.loads(await asyncio.to_thread(sys.stdin.readline))
    wanted = sum(everything[client.group] - client.sent for client in own)
    end = time.monotonic() + 10
    while len(latencies) < wanted and time.monotonic() < end:
        await asyncio.sleep(0.05)
    print(json.dumps({"wanted": wanted, "latencies": latencies}), flush=True)
    await asyncio.gather(*(client.chat.disconnect() for client in own))
    await asyncio.gather(*(client.cube.aclose() for client in own))


def minute(table: Table, every: float) -> None:
    with bytecode() as environment, ExitStack() as stack:
        file = Path(environment["PYTHONPYCACHEPREFIX"], "seed.json")
        file.write_text(seed())
        sandbox, found = stack.enter_context(command(environment, "--seed", str(file)))
        processes: list[subprocess.Popen[str]] = []
        for part in range(PROCESSES):
            line = [sys.executable, "-m", "benchmarks.sandbox", "--client", json.dumps([found, part, every])]
            processes.append(
                stack.enter_context(
                    subprocess.Popen(line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
            )
        for process in processes:
            told(process)
        pids = [sandbox.pid, *(process.pid for process in processes)]
        before, busy = [cpu_seconds(pid) for pid in pids], busy_seconds()
        for process in processes:
            tell(process, "go")
        time.sleep(WARM)
        early = megabytes(sandbox.pid)
        sent: Counter[str] = Counter()
        for process in processes:
            sent.update(json.loads(told(process)))
        late = megabytes(sandbox.pid)
        cpu = [cpu_seconds(pid) - one for pid, one in zip(pids, before, strict=True)]
        others = busy_seconds() - busy - sum(cpu)
        for process in processes:
            tell(process, json.dumps(sent))
        results = [json.loads(told(process)) for process in processes]
    latencies = sorted(one * 1000 for result in results for one in result["latencies"])
    wanted = sum(result["wanted"] for result in results)
    what = f"{USERS} users, {GROUPS} groups, a message from each every {every:g} s"
    row(table, f"{what}: sent", sum(sent.values()), "")
    row(table, "receipts", len(latencies), "")
    row(table, "missing receipts", abs(wanted - len(latencies)), "", 0)
    row(table, "send to receipt, median", latencies[len(latencies) // 2], "ms")
    row(table, "send to receipt, p99", latencies[int(len(latencies) * 0.99)], "ms", 100)
    row(table, "send to receipt, maximum", latencies[-1], "ms")
    row(table, f"memory of the sandbox after {WARM:g} s", early, "MB")
    row(table, "growth of the sandbox's memory until the end", max(0.0, late - early), "MB", early // 10)
    row(table, "CPU of the sandbox, of one core", cpu[0] / SECONDS * 100, "%")
    row(table, "CPU of the clients, of one core", sum(cpu[1:]) / SECONDS * 100, "%")
    row(table, "CPU of everything else on the machine, of one core", others / SECONDS * 100, "%")


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def tell(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    print(text, file=process.stdin, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox", description=__doc__)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two messages of a user")
    parser.add_argument("--only", choices=["start", "chat"])
    parser.add_argument("--client", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        asyncio.run(clients(*json.loads(given.client)))
        return 0
    table = Table()
    if given.only != "chat":
        starts(table)
    if given.only != "start":
        minute(table, given.every)
    return table.status


if __name__ == "__main__":
    sys.exit(main())
