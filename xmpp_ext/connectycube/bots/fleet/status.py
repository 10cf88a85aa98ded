"""What a fleet is doing: who is there, who holds what, what waits and what failed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import Final

import msgspec
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from connectycube._extras import missing_extra

from .bucket import EngineBucket
from .engine import Engine, FleetError
from .leases import Holder, decode_holder
from .view import count

try:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    raise missing_extra("fleet", error) from error

__all__ = ["Member", "Partition", "Status", "read_status", "show", "shown"]

PAUSE: Final = 2.0
"""Seconds between two looks at a fleet."""
ROWS: Final = 50
"""Accounts that are listed; there may be thousands."""
WIDTH: Final = 200
"""Characters of a line that goes to a file or a pipe."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the fleet.

    :ivar holds: how many accounts or partitions it holds.
    """

    role: str
    id: str
    host: str
    pid: int
    since: float
    holds: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a gateway holds."""

    name: str
    gateway: str
    since: float
    problem: str | None


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the dialogs.

    :ivar worker: the id of the worker that holds it.
    :ivar waiting: messages that are not handled yet.
    :ivar oldest: seconds that the first of them has been waiting.
    """

    number: int
    worker: str | None
    waiting: int
    oldest: float


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet at one moment. Times are Unix times.

    :ivar waiting: messages that are not handled yet.
    :ivar held: messages that follow a history that is being read.
    :ivar unsent: replies that the chat's server does not have yet.
    :ivar failed: messages and replies that failed permanently.
    :ivar notes: what needs attention.
    """

    members: list[Member]
    accounts: list[Account]
    partitions: list[Partition]
    waiting: int
    held: int
    unsent: int
    failed: int
    notes: list[str]


async def read_status(engine: Engine) -> Status:
    """Return what a fleet is doing.

    :raises FleetError: if the engine does not answer.
    """
    layout = engine.layout
    try:
        leases = await _leases(engine)
        partitions = await asyncio.gather(
            *(_partition(engine, number, leases.get(f"partition.{number}")) for number in range(layout.partitions))
        )
        held, unsent, failed = await asyncio.gather(
            count(engine, "in", "held.>"), count(engine, "out", "out.>"), count(engine, "failed", "failed.>")
        )
    except (NatsError, APIError) as error:
        raise FleetError(engine.name, f"does not answer: {error}") from error
    kinds = {"gateway": "account", "worker": "partition"}
    holds = Counter((key.partition(".")[0], lease.holder) for key, lease in leases.items())
    members = [
        Member(
            role=one.name,
            id=one.holder,
            host=one.host,
            pid=one.pid,
            since=one.since,
            holds=holds[kinds.get(one.name, ""), one.holder],
        )
        for key, one in sorted(leases.items())
        if key.startswith("member.")
    ]
    accounts = [
        Account(name=one.name, gateway=one.holder, since=one.since, problem=one.problem)
        for key, one in leases.items()
        if key.startswith("account.")
    ]
    return Status(
        members=members,
        accounts=sorted(accounts, key=lambda one: (one.problem is None, one.name)),
        partitions=list(partitions),
        waiting=sum(one.waiting for one in partitions),
        held=held,
        unsent=unsent,
        failed=failed,
        notes=_notes(leases),
    )


async def _leases(engine: Engine) -> dict[str, Holder]:
    """Return all leases that have not expired, by key."""
    found: dict[str, Holder] = {}
    async with contextlib.aclosing(EngineBucket(engine).watch()) as changes:
        async for change in changes:
            if change is None:
                return found
            if change.value is not None:
                found[change.key] = decode_holder(change.value)
    raise FleetError(engine.name, "can't say who holds what: the connection was lost")


async def _partition(engine: Engine, number: int, holder: Holder | None) -> Partition:
    subject = f"in.{number}.>"
    waiting, oldest = await count(engine, "in", subject), 0.0
    if waiting:
        try:
            first = await engine.js.get_msg(
                engine.layout.stream("in"), 1, engine.layout.subject(subject), direct=True, next=True
            )
        except NotFoundError:
            pass  # It has just been handled.
        else:
            assert first.time is not None
            oldest = max(0.0, time.time() - first.time.timestamp())
    return Partition(number=number, worker=None if holder is None else holder.holder, waiting=waiting, oldest=oldest)


def _notes(leases: dict[str, Holder]) -> list[str]:
    members = [one for key, one in leases.items() if key.startswith("member.")]
    notes = [f"there is no {role}" for role in ("gateway", "worker") if role not in {one.name for one in members}]
    if len({one.names for one in members if one.name == "gateway"}) > 1:
        notes.append("the gateways have different accounts: start all of them with the same --accounts")
    return notes


# -- for people


async def show(
    engine: Engine, *, watch: bool, as_json: bool, console: Console | None = None, pause: float = PAUSE
) -> None:
    """Print what a fleet is doing.

    :param watch: go on until this is cancelled: in place on a terminal, otherwise one below the other.
    :param as_json: print lines of JSON.
    :param pause: seconds between two looks.
    :raises FleetError: if the engine does not answer, unless `watch` is set: then it may come back.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = WIDTH
    await engine.open(create=False)
    live = Live(console=console, auto_refresh=False) if watch and console.is_terminal and not as_json else None
    try:
        with live or contextlib.nullcontext():
            while True:
                try:
                    found = await read_status(engine)
                    view: Group | Text = Text(msgspec.json.encode(found).decode()) if as_json else shown(found)
                except FleetError as error:
                    if not watch:
                        raise
                    view = Text(str(error), style="red")
                if live is not None:
                    live.update(view, refresh=True)
                else:
                    console.print(view, soft_wrap=as_json)
                if not watch:
                    return
                await asyncio.sleep(pause)
    finally:
        await engine.close()


def shown(status: Status) -> Group:
    """Return a status as tables for a terminal."""
    now = time.time()
    members = _table("role", "id", "host", "pid", "up", "holds")
    for one in status.members:
        members.add_row(one.role, one.id, one.host, str(one.pid), _age(now - one.since), str(one.holds))
    accounts = _table("account", "gateway", "since", "problem")
    for account in status.accounts[:ROWS]:
        row = (account.name, account.gateway, _age(now - account.since), account.problem or "")
        accounts.add_row(*map(Text, row), style="red" if account.problem else None)
    if len(status.accounts) > ROWS:
        accounts.add_row(f"and {len(status.accounts) - ROWS} more: --json lists all")
    partitions = _table("worker", "partitions", "waiting", "oldest")
    by_worker: dict[str, list[Partition]] = {}
    for part in status.partitions:
        by_worker.setdefault(part.worker or "", []).append(part)
    for worker, parts in sorted(by_worker.items()):
        waiting = sum(part.waiting for part in parts)
        oldest = _age(max(part.oldest for part in parts)) if waiting else ""
        numbers = _ranges([part.number for part in parts])
        partitions.add_row(worker or "none", numbers, str(waiting), oldest, style=None if worker else "red")
    sums = f"waiting {status.waiting}  held {status.held}  unsent {status.unsent}  failed {status.failed}"
    notes = [Text(note, style="yellow") for note in status.notes]
    return Group(members, "", accounts, "", partitions, "", Text(sums), *notes)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in ("pid", "holds", "waiting", "oldest") else "left")
    return table


def _ranges(numbers: list[int]) -> str:
    """Return ascending numbers as text, such as `0-3, 5`."""
    firsts = [one for one in numbers if one - 1 not in numbers]
    lasts = [one for one in numbers if one + 1 not in numbers]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(firsts, lasts, strict=True))


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(0, seconds):.0f}s"
