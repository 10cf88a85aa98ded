"""Everything that a fleet keeps in NATS JetStream: names, subjects, retention and limits.

| name | holds | subjects or keys | until |
| --- | --- | --- | --- |
| `P-in` | messages that wait to be handled | `P.in.PARTITION.ACCOUNT.KEY` | handled |
| `P-in` | live messages, while a history is being read | `P.held.ACCOUNT.KEY` | moved to the former |
| `P-out` | replies that wait to be sent | `P.out.ACCOUNT.ID` | sent |
| `P-done` | keys of handled messages, ids of sent replies | `P.done.ACCOUNT.KEY` | 2 days |
| `P-failed` | messages and replies that failed | `P.failed.ACCOUNT.KEY` | 30 days |
| bucket `P-leases` | who holds what, and who is there | `account.ACCOUNT`, `partition.N`, `member.ROLE.ID` | the TTL |
| bucket `P-attempts` | how often a handler was called | `ACCOUNT.KEY` | 2 days |
| bucket `P-checkpoints` | up to when nothing is missing | `ACCOUNT` | |
| bucket `P-checkpoints` | which account a user has | `user.USER_ID` | |

`P` is the prefix. Two subjects are not stored: `P.do.ACCOUNT` asks the gateway that holds an account, and
`P.told.WORKER` tells a worker that a reply of its was refused.

What waits has a subject of its own, which can be used once at a time: so the engine refuses a second copy of a message
however long the first one waits. In addition, it drops copies by their `Nats-Msg-Id` for ten minutes.
"""

from __future__ import annotations

import re
import zlib
from hashlib import sha256
from typing import Any, Final

from attrs import frozen
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

__all__ = ["SAFE", "VERSION", "Layout", "token"]

VERSION: Final = "1"
"""Version of what is kept: part of each stream's metadata."""
DAY: Final = 86_400.0
SAFE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
COPIES: Final = 600.0
"""Seconds in which the engine recognizes a copy by its id alone."""

MOST_ACCOUNTS: Final = 1_000_000
"""Each account has a consumer of its own replies. From 2.15 on, the engine allows 1,000 unless a stream says more."""


def token(text: str) -> str:
    """Return a text as part of a subject or a key: itself if that is possible, otherwise a digest."""
    return text if SAFE.fullmatch(text) else f"={sha256(text.encode('utf-8', 'replace')).hexdigest()[:32]}"


@frozen
class Layout:
    """The names in one fleet.

    :ivar prefix: what all of them begin with.
    :ivar partitions: how many parts the messages are divided into; a part is handled by one worker at a time.
    :ivar ttl: seconds after which a lease that is not renewed ends.
    :ivar replicas: how many servers of a cluster keep each stream.
    """

    prefix: str = "connectycube"
    partitions: int = 32
    ttl: float = 10.0
    replicas: int = 1

    def stream(self, name: str) -> str:
        """Return the name of a stream or bucket: `in`, `out`, `done`, `failed`, `leases`, `attempts`, `checkpoints`."""
        return f"{self.prefix}-{name}"

    def subject(self, *parts: str) -> str:
        """Return a subject of these parts, which must be tokens or wildcards."""
        return ".".join((self.prefix, *parts))

    def partition(self, account: str, dialog: str) -> int:
        """Return the partition of a dialog."""
        return zlib.crc32(f"{account} {dialog}".encode("utf-8", "replace")) % self.partitions

    def waiting(self, account: str, dialog: str, key: str) -> str:
        """Return the subject of a message that waits to be handled."""
        return self.subject("in", str(self.partition(account, dialog)), token(account), token(key))

    def of(self, kind: str, account: str, key: str) -> str:
        """Return the subject of something `held`, `out`, `done` or `failed`."""
        return self.subject(kind, token(account), token(key))

    @property
    def metadata(self) -> dict[str, str]:
        """What the streams say about themselves. All members of a fleet must agree on it."""
        return {"connectycube-version": VERSION, "connectycube-partitions": str(self.partitions)}

    def streams(self) -> list[StreamConfig]:
        """Return what must exist."""
        # What waits is refused when the disk is full rather than dropped, and so is a second copy.
        waiting: dict[str, Any] = {
            "retention": RetentionPolicy.WORK_QUEUE,
            "discard": DiscardPolicy.NEW,
            "discard_new_per_subject": True,
            "duplicate_window": COPIES,
        }
        return [
            self._stream("in", ["in.>", "held.>"], **waiting),
            self._stream("out", ["out.>"], max_consumers=MOST_ACCOUNTS, **waiting),
            self._stream("done", ["done.>"], max_age=2 * DAY),
            self._stream("failed", ["failed.>"], max_age=30 * DAY),
            self._bucket("leases", self.ttl),
            self._bucket("attempts", 2 * DAY),
            self._bucket("checkpoints", None),
        ]

    def _stream(self, name: str, subjects: list[str], **options: Any) -> StreamConfig:
        return StreamConfig(
            name=self.stream(name),
            subjects=[self.subject(one) for one in subjects],
            max_msgs_per_subject=1,
            storage=StorageType.FILE,
            num_replicas=self.replicas,
            allow_direct=True,
            metadata=self.metadata,
            **options,
        )

    def _bucket(self, name: str, ttl: float | None) -> StreamConfig:
        """Return a key-value bucket, which is a stream with such subjects and settings."""
        bucket = self.stream(name)
        return StreamConfig(
            name=f"KV_{bucket}",
            subjects=[f"$KV.{bucket}.>"],
            max_msgs_per_subject=1,
            max_age=ttl,
            storage=StorageType.FILE,
            num_replicas=self.replicas,
            allow_direct=True,
            allow_rollup_hdrs=True,
            allow_msg_ttl=True,
            deny_delete=True,
            discard=DiscardPolicy.NEW,
            duplicate_window=min(ttl or 120.0, 120.0),
            # Those who watch the bucket learn of the end of a lease.
            subject_delete_marker_ttl=ttl if name == "leases" else None,
            metadata=self.metadata,
        )
