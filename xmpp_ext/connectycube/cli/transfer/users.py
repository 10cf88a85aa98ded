"""The file that maps user ids in an export to user ids in the target."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .state import TransferError

__all__ = ["read_users"]


def read_users(path: Path) -> dict[int, int]:
    """Read a CSV file with an old and a new id per line, or a JSON object with old ids as keys and new ids as values.

    :raises TransferError: if it can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_json = path.suffix.lower() == ".json"
        # As pairs, so that a repeated id shows.
        rows = json.loads(text, object_pairs_hook=list) if is_json else csv.reader(text.splitlines())
        pairs: Iterable[Any] = filter(None, rows)
        users: dict[int, int] = {}
        for number, pair in enumerate(pairs):
            if number == 0 and not is_json and not any(map(str.isdecimal, map(str.strip, pair))):
                continue  # The names of the columns.
            try:
                old, new = (int(str(one)) for one in pair)
            except (ValueError, TypeError) as error:
                raise TransferError(f"{path}: {pair!r} is not an old and a new user id, as in 81001,92001") from error
            if users.setdefault(old, new) != new:
                raise TransferError(f"{path}: user {old} has two new ids, {users[old]} and {new}")
    except (OSError, ValueError, TypeError, RecursionError, csv.Error) as error:
        raise TransferError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
    return users
