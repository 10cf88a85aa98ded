"""`connectycube export` of a large account while messages arrive: memory, time, and that nothing is lost.

```shell
.venv/bin/python -m benchmarks.transfer
```
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.report import Table
from connectycube.sandbox import Sandbox, Settings
from connectycube.sandbox.core import Core
from connectycube.sandbox.domain.message_model import Draft

PASSWORD = "correct-horse-9"
LIMIT_MB = 150
GROWTH_MB = 16


COMMAND = """
import re, sys, time
from pathlib import Path
from connectycube.cli.app import main
status = main(sys.argv[1:])
# The resource usage that the system reports of a child counts its parent's memory, too.
print(time.process_time(), re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(status)
"""


@frozen
class Run:
    """What an export took."""

    seconds: float
    cpu: float
    megabytes: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogs", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=100_000)
    options = parser.parse_args()
    table = Table()
    large, again, counts = measure(options.dialogs, options.messages)
    table.row("messages before the export", f"{counts['before']:,}")
    table.row("messages that arrived during it", f"{counts['after'] - counts['before']:,}")
    table.row("messages lost of those before it", str(counts["lost"]), "0", counts["lost"] == 0)
    table.row("messages stored twice", str(counts["twice"]), "0", counts["twice"] == 0)
    table.row("messages missing after the second run", str(counts["missing"]), "0", counts["missing"] == 0)
    table.row("first run", f"{large.seconds:.1f} s")
    table.row("the same, CPU", f"{large.cpu:.1f} s")
    table.row("second run, with what arrived", f"{again.seconds:.1f} s")
    table.row("largest memory, first run", f"{large.megabytes:.0f} MB", f"{LIMIT_MB} MB", large.megabytes < LIMIT_MB)
    small, _, _ = measure(options.dialogs // 10, options.messages // 10)
    growth = large.megabytes - small.megabytes
    table.row(
        "increase compared with a tenth of the messages", f"{growth:.1f} MB", f"{GROWTH_MB} MB", growth < GROWTH_MB
    )
    return table.status


def measure(dialogs: int, messages: int) -> tuple[Run, Run, dict[str, int]]:
    """Export an account twice, the first time while messages arrive."""
    with Sandbox(Settings(check_answers=False)) as sandbox, tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "export"
        user_id = sandbox.create_user("mary", PASSWORD).id
        ids = sandbox.call(seed, sandbox.core, user_id, dialogs, messages)
        before = known(sandbox)
        done = threading.Event()
        writer = threading.Thread(target=write, args=(sandbox, user_id, ids, done))
        writer.start()
        first = export(sandbox, folder)
        done.set()
        writer.join()
        found = exported(folder)
        lost, twice = len(before - set(found)), len(found) - len(set(found))
        second = export(sandbox, folder)
        found, after = exported(folder), known(sandbox)
        twice += len(found) - len(set(found))
        counts = {"before": len(before), "after": len(after), "lost": lost, "twice": twice}
        return first, second, {**counts, "missing": len(after - set(found))}


def seed(core: Core, user_id: int, dialogs: int, messages: int) -> list[str]:
    """Store dialogs of 1 to 199 messages, as many in all as wanted."""
    found = []
    with core.db.transaction():
        for number in range(dialogs):
            dialog = core.dialogs.create(user_id, {"type": 2, "name": f"Dialog {number}", "occupants_ids": []})
            found.append(dialog.id)
            count = min(messages, 1 + number * 37 % 199) if number < dialogs - 1 else messages
            messages -= count
            for place in range(count):
                core.messages.store(
                    dialog,
                    Draft(
                        sender_id=user_id,
                        body=f"message {place} " + "of usual length " * 5,
                        date_sent=1_770_000_000 + place,
                    ),
                )
        core.db.run("UPDATE messages SET created_at = date_sent, updated_at = date_sent")
    return found


def write(sandbox: Sandbox, user_id: int, dialogs: list[str], done: threading.Event) -> None:
    """Add messages to all dialogs in turn, 20 a second, until the export is done."""

    def add(number: int) -> None:
        dialog = sandbox.core.dialogs.get(dialogs[number * 7 % len(dialogs)])
        sandbox.core.messages.store(dialog, Draft(sender_id=user_id, body="new"))

    number = 0
    while not done.wait(0.05):
        sandbox.call(add, number)
        number += 1


def export(sandbox: Sandbox, folder: Path) -> Run:
    """Run the command, and return what it took."""
    environment = os.environ | {
        "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
        "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
        "CONNECTYCUBE_BASE_URL": sandbox.api_url,
        "CONNECTYCUBE_LOGIN": "mary",
        "CONNECTYCUBE_PASSWORD": PASSWORD,
    }
    started = time.monotonic()
    command = [sys.executable, "-c", COMMAND, "export", str(folder)]
    process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    cpu, kilobytes = process.stdout.splitlines()[-1].split()
    return Run(time.monotonic() - started, float(cpu), float(kilobytes) / 1024)


def known(sandbox: Sandbox) -> set[str]:
    """The ids of all messages on the server."""
    return set(sandbox.call(sandbox.core.db.column, "SELECT id FROM messages"))


def exported(folder: Path) -> list[str]:
    """The ids of all messages in the folder."""
    found: list[str] = []
    for path in (folder / "messages").iterdir():
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_bytes().splitlines()]
        found += [row["_id"] for row in rows]
    return found


if __name__ == "__main__":
    sys.exit(main())
