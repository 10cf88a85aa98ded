"""`connectycube-bots`: what failed, once more, and how much there is in a bot's store."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from attrs import asdict

from .errors import StoreError
from .sqlite import SqliteStore

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="connectycube-bots", description="Look into the store of a bot.")
    commands = parser.add_subparsers(dest="command", required=True)
    failed = commands.add_parser("failed", help="list messages that could not be handled, and replies not sent")
    failed.add_argument("store", metavar="STORE", help="path of the store")
    retry = commands.add_parser("retry", help="let a bot handle or send them again")
    retry.add_argument("store", metavar="STORE", help="path of the store")
    retry.add_argument("ids", metavar="ID", nargs="*", help="as listed by `failed`; default: all")
    stats = commands.add_parser("stats", help="count what is in the store")
    stats.add_argument("store", metavar="STORE", help="path of the store")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1


async def _run(options: argparse.Namespace) -> int:
    store = SqliteStore(options.store, shared=True)
    await store.open()
    try:
        if options.command == "failed":
            await _failed(store)
        elif options.command == "stats":
            for name, value in asdict(await store.counts()).items():
                print(f"{name} {value}")
        else:
            return await _retry(store, options.ids)
    finally:
        await store.close()
    return 0


async def _failed(store: SqliteStore) -> None:
    for failure in await store.failures(1_000_000):
        text = json.loads(failure.content).get("body") or ""
        print(f"{failure.id}  {failure.failed_at:%Y-%m-%d %H:%M:%S}  {failure.kind}  {failure.error}  {text[:60]!r}")


async def _retry(store: SqliteStore, ids: list[str]) -> int:
    status = 0
    for failure_id in ids or [failure.id for failure in await store.failures(1_000_000)]:
        if await store.retry(failure_id) is None:
            print(f"there is no failure {failure_id}: see `connectycube-bots failed`", file=sys.stderr)
            status = 1
        else:
            print(f"{failure_id} waits to be handled again")
    return status


if __name__ == "__main__":
    sys.exit(main())
