"""`connectycube-bots`: lists and retries failures, and counts what is in a bot's store."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from attrs import asdict

from .sqlite import SqliteStore
from .store import StoreError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="connectycube-bots", description="Inspect a bot's store.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("failed", "list messages and replies that failed"),
        ("retry", "retry failed messages and replies"),
        ("stats", "count what is in the store"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("store", metavar="STORE", help="path of the store")
        if name == "retry":
            command.add_argument("ids", metavar="ID", nargs="*", help="as listed by `failed`; default: all")
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
    for failure in await store.failures():
        text = json.loads(failure.content).get("body") or ""
        print(f"{failure.id}  {failure.failed_at:%Y-%m-%d %H:%M:%S}  {failure.kind}  {failure.error}  {text[:60]!r}")


async def _retry(store: SqliteStore, ids: list[str]) -> int:
    status = 0
    for failure_id in ids or [failure.id for failure in await store.failures()]:
        if not await store.retry(failure_id):
            print(f"there is no failure {failure_id}: see `connectycube-bots failed`", file=sys.stderr)
            status = 1
        else:
            print(f"{failure_id} will be retried")
    return status


if __name__ == "__main__":
    sys.exit(main())
