"""The memory and the file of a bot that answers a million messages in weeks of simulated time.

The bot is a real one with a real chat and store. Its peer is a process that only sends messages and counts answers; its
clocks advance whenever everything is answered; its file is on a disk in memory, if there is one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import time_machine

from connectycube.bots import Bot, Context

from ..report import Table
from ..sandbox import megabytes
from .world import Killable

USER_ID, APP_ID = 81001, 7001
DAYS = 40
BATCH = 500
FAILING = 5_000
"""One message in so many can't be handled."""
SAMPLES = 10
SETTLED = 2
"""The first samples, before anything is old enough to be removed."""


class FedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be advanced."""

    offset = 0.0

    def time(self) -> float:
        return super().time() + self.offset


def sample(messages: int, file: Path) -> dict[str, float]:
    """Return what the bot takes at some point, in MB."""
    gc.collect()
    size = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))
    return {
        "messages": messages,
        "memory": megabytes(os.getpid()),
        "file": size / 2**20,
        "objects": len(gc.get_objects()),
    }


def disk() -> str | None:
    """Return a folder in memory, where a flush costs nothing."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


async def life(loop: FedLoop, clock: time_machine.Traveller, messages: int, days: float) -> list[dict[str, float]]:
    """Let a bot answer, and return what it takes in between."""
    jid = f"{USER_ID}-{APP_ID}@localhost/bot"
    peer = Killable(sys.executable, "-m", "benchmarks.bots.peer", jid, f"{APP_ID}", f"{messages}", f"{BATCH}")
    await peer.start()
    step = days * 86_400 * BATCH / messages
    samples: list[dict[str, float]] = []
    done = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-", dir=disk()) as folder:
        file = Path(folder) / "bot.db"
        chat = {
            "user_id": USER_ID, "password": "Secret-4711", "app_id": APP_ID, "host": "localhost",
            "address": "127.0.0.1", "port": int(peer.ready), "tls": "none", "keepalive": None, "allow_insecure": True,
        }  # fmt: skip
        bot = Bot(store=file, chat=chat, attempts=1, handler_timeout=None)

        @bot.message(r"^advance ")
        async def advance(ctx: Context) -> None:
            number = int(ctx.text.split()[1])
            if len(samples) < number * SAMPLES // messages:
                samples.append(sample(number, file))
            clock.shift(step)
            loop.offset += step
            if number == messages:
                done.set()

        @bot.message()
        async def echo(ctx: Context) -> None:
            await ctx.reply(ctx.text)
            if int(ctx.text.split()[1]) % FAILING == 0:
                raise ValueError("refused on purpose")

        try:
            async with bot.running():
                await done.wait()
        finally:
            await peer.kill()
    return samples


def main(messages: int, days: float) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=True) as clock:
        loop = FedLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            print(json.dumps(runner.run(life(loop, clock, messages, days))))


async def measure(table: Table, messages: int, days: float) -> None:
    """Run it in a process of its own, and add its rows."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bots.million", f"{messages}", f"{days}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = await process.communicate()
    samples: list[dict[str, float]] = json.loads(output)
    seconds = time.perf_counter() - begun
    table.row(f"memory: {messages:,} messages in {days:g} simulated days", f"{seconds:.0f} s")
    for one in samples:
        words = f"{one['memory']:.1f} MB, {one['objects']:,} objects, file {one['file']:.1f} MB"
        table.row(f"  after {one['messages']:,}", words)
    settled = samples[SETTLED:]
    for name in ("memory", "file"):
        growth = max(one[name] for one in settled) / settled[0][name] - 1
        table.row(f"  growth of the {name} since {settled[0]['messages']:,}", f"{growth:+.1%}", "10 %", growth <= 0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
