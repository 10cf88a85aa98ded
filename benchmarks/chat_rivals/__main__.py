"""Print each rival's results as a line of JSON: `python -m benchmarks.chat_rivals [NAME ...]`."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tests.integration.ejabberd import Ejabberd

from . import rivals

MEASURES: dict[str, Callable[[Ejabberd], Awaitable[dict[str, Any]]]] = {
    "slixmpp-messages": partial(rivals.slixmpp_messages, count=5_000),
    "slixmpp-messages-params": partial(rivals.slixmpp_messages, count=5_000, params=True),
    "slixmpp-messages-tls": partial(rivals.slixmpp_messages, count=5_000, tls=True),
    "js-messages": partial(rivals.js_messages, count=5_000),
    "js-messages-params": partial(rivals.js_messages, count=5_000, params=True),
    "slixmpp-memory": partial(rivals.slixmpp_logins, count=200),
    "slixmpp-memory-plain": partial(rivals.slixmpp_logins, count=200, tls=False),
    "slixmpp-logins": partial(rivals.slixmpp_logins, count=50),
    "slixmpp-logins-scram": partial(rivals.slixmpp_logins, count=50, mechanism=None),
}


async def main(names: list[str], rounds: int) -> None:
    with Ejabberd() as server:
        for _ in range(rounds):
            for name in names:
                print(json.dumps({"rival": name, **await MEASURES[name](server)}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat_rivals", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES), choices=[*MEASURES, []])
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(main(given.names or list(MEASURES), given.rounds))
