"""The file that says who a user of the source is in the target."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from .state import TransferError

__all__ = ["read_users"]


def read_users(path: Path) -> dict[int, int]:
    """Read a CSV file with the old and the new id in each line, or a JSON object of new ids by old ones.

    :raises TransferError: if it can't be read.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".json":
                found: Any = json.load(file)
                pairs = [(None, pair) for pair in found.items()] if isinstance(found, dict) else [(1, found)]
            else:
                lines = csv.reader(file)
                pairs = [(lines.line_num, line) for line in lines if line]
    except (OSError, ValueError, csv.Error) as error:
        raise TransferError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
    users: dict[int, int] = {}
    for number, pair in pairs:
        try:
            old, new = map(int, pair)
        except (ValueError, TypeError) as error:
            if number == 1 and isinstance(pair, list) and not any(str(one).strip().isdigit() for one in pair):
                continue  # The names of the columns.
            where = f"{path}, line {number}" if number else str(path)
            raise TransferError(f"{where}: {pair!r} is not an old and a new user id, such as 81001,92001") from error
        users[old] = new
    return users
