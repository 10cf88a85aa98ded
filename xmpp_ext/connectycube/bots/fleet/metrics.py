"""OpenTelemetry metrics of a fleet, where `opentelemetry-api` is installed; otherwise, each costs only a call.

| instrument | unit | counts | attributes |
| --- | --- | --- | --- |
| `connectycube.bots.connections` | | accounts that a gateway has online | |
| `connectycube.bots.waiting` | | messages that a worker has in memory and has not handled yet | |
| `connectycube.bots.lag` | s | time from storing a message to the call of its handler | |
| `connectycube.bots.replies` | | replies that the chat's server has acknowledged | |
| `connectycube.bots.failures` | | messages and replies that failed permanently | `kind` |
| `connectycube.bots.lease.moves` | | leases that changed hands | `kind`, `move` |

The `kind` of a failure is `message` or `reply`, that of a lease `account` or `partition`. A `move` is `taken`,
`released` or `lost`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connectycube.rest import __version__

try:
    from opentelemetry import metrics
except ModuleNotFoundError:
    if TYPE_CHECKING:
        raise  # Type checkers have it, and would complain that the names may be missing.

    class _Silent:
        """Stands for each instrument."""

        def add(self, amount: int, attributes: Mapping[str, str] | None = None) -> None:
            """Count nothing."""

        def record(self, amount: float, attributes: Mapping[str, str] | None = None) -> None:
            """Record nothing."""

    connections = waiting = lag = replies = failures = lease_moves = _Silent()
else:
    # Proxies until the program chooses where metrics go, which may be later.
    _meter = metrics.get_meter("connectycube.bots", __version__)
    connections = _meter.create_up_down_counter(
        "connectycube.bots.connections", "{connection}", "Accounts that this gateway has online"
    )
    waiting = _meter.create_up_down_counter(
        "connectycube.bots.waiting", "{message}", "Messages in this worker's memory that are not handled yet"
    )
    lag = _meter.create_histogram(
        "connectycube.bots.lag", "s", "Time from storing a message to the call of its handler"
    )
    replies = _meter.create_counter(
        "connectycube.bots.replies", "{reply}", "Replies that the chat's server has acknowledged"
    )
    failures = _meter.create_counter(
        "connectycube.bots.failures", "{failure}", "Messages and replies that failed permanently"
    )
    lease_moves = _meter.create_counter("connectycube.bots.lease.moves", "{move}", "Leases that changed hands")

__all__ = ["connections", "failures", "lag", "lease_moves", "replies", "waiting"]
