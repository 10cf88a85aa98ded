"""Measure how soon a chat is online again after its connection was cut, and print one JSON object.

    python -m benchmarks.chat_cycles [--cycles 100] [--lost]

The time runs from the moment when connections are accepted again until `Reconnected`, so it includes the wait before
the next attempt. Each cycle begins with a stable connection, so that wait is the first step of the default backoff:
half a second, less a random part of up to half of it. With `--lost` the server forgets the session during the cut, so
the chat begins a new one instead of resuming it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from typing import Any

from connectycube.chat import Reconnected, Reconnecting
from tests.integration.chats import Person
from tests.integration.ejabberd import Ejabberd
from tests.integration.lines import forget, line
from tests.integration.support import eventually


async def cycles(ejabberd: Ejabberd, count: int, lost: bool) -> dict[str, Any]:
    """Cut the connection and accept it again `count` times, and return the results."""
    loop = asyncio.get_running_loop()
    seconds: list[float] = []
    resumed = 0
    async with line(ejabberd) as proxy:
        person = Person(ejabberd, ejabberd.register(), port=proxy.port, stable_after=0)
        async with person.chat:
            for number in range(1, count + 1):
                await eventually(lambda: person.chat.state.attempt == 0)
                proxy.refuse()
                proxy.cut("fin" if number % 2 else "reset")
                await person.told.all(Reconnecting, number)
                if lost:
                    await forget(ejabberd, person)
                await proxy.accept()
                start = loop.time()
                event = (await person.told.all(Reconnected, number))[-1]
                seconds.append(loop.time() - start)
                resumed += event.resumed
            assert person.chat.online
    return {
        "cycles": count,
        "back": len(seconds),
        "resumed": resumed,
        "attempts": len(person.told.of(Reconnecting)),
        "seconds": {
            "median": round(statistics.median(seconds), 3),
            "p95": round(statistics.quantiles(seconds, n=20)[-1], 3),
            "max": round(max(seconds), 3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Cut and restore a chat's connection many times")
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--lost", action="store_true", help="make the server forget the session each time")
    arguments = parser.parse_args()
    with Ejabberd() as ejabberd:
        print(json.dumps(asyncio.run(cycles(ejabberd, arguments.cycles, arguments.lost)), indent=2))


if __name__ == "__main__":
    main()
