"""Seeds: users, dialogs, messages and contacts to start a sandbox with.

```yaml
users:
  - {login: mary, password: correct-horse-9, full_name: Mary S.}
  - {login: ada, password: battery-staple-4}
dialogs:
  - {name: Climbing, type: group, owner: mary, occupants: [ada], admins: []}
  - {type: private, owner: mary, occupants: [ada]}
messages:
  - {dialog: Climbing, from: mary, message: "Who drives?"}
  - {to: ada, from: mary, message: Bring the rope, read_by: [ada]}
contacts:
  - [mary, ada]
```

Entries refer to users by login and to dialogs by name. JSON has the same form.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .core import Core
from .domain.accounts import NUMBERS, TEXTS, UNIQUE
from .domain.contacts import ContactState
from .domain.message_model import Draft
from .errors import Refused

__all__ = ["Seed", "SeedError", "read_seed"]

Seed = Mapping[str, Any]
TYPES = {"broadcast": 1, "group": 2, "private": 3, "public": 4}
PARTS = ("users", "dialogs", "messages", "contacts")
FIELDS = {
    "users": {*UNIQUE, *TEXTS, *NUMBERS, "password", "tag_list", "provider", "provider_key"},
    "dialogs": set("name type owner occupants admins description photo extensions permissions".split()),
    "messages": set("dialog to from message date_sent attachments extra read_by".split()),
}
"""The keys that an entry may have. Others would have no effect, so they are treated as typing errors."""
MOST_SHOWN = 200
"""Most characters in an error, because an entry may be long."""
MALFORMED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, sqlite3.Error)
"""What values of the wrong type raise."""


class SeedError(ValueError):
    """The seed is invalid."""


def read_seed(source: str | Path | Seed) -> Seed:
    """Return the content of a YAML or JSON file, or of a mapping.

    :raises SeedError: if it can't be read.
    """
    if isinstance(source, Mapping):
        found: Any = source
    else:
        import yaml

        try:
            found = yaml.safe_load(Path(source).read_text("utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise SeedError(f"{source} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, Mapping) or set(found) - set(PARTS):
        raise SeedError(f"a seed has the parts {', '.join(PARTS)}")
    for part in found:
        if not isinstance(found[part], Sequence) or isinstance(found[part], str):
            raise SeedError(f"{part} is not a list")
    return found


def plant(core: Core, seed: Seed) -> None:
    """Add a seed to a store, completely or not at all.

    :raises SeedError: if an entry is invalid; the message says which.
    """
    planter = _Planter(core)
    with core.db.transaction():
        for part in PARTS:
            for index, entry in enumerate(seed.get(part, ())):
                try:
                    unknown = set(entry) - FIELDS.get(part, set(entry))
                    if unknown:
                        raise SeedError(f"{', '.join(map(str, unknown))} is unknown")
                    getattr(planter, part)(entry)
                except (Refused, SeedError) as error:
                    raise SeedError(f"{part}[{index}]: {_short(error)}") from error
                except MALFORMED as error:
                    raise SeedError(f"{part}[{index}] is malformed: {type(error).__name__} {_short(error)}") from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


class _Planter:
    """Adds entries. Each public method takes those of one part."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._dialogs: dict[str, str] = {}

    def _user(self, login: str) -> int:
        user = self._core.accounts.find_by("login", login)
        if user is None:
            raise SeedError(f"there is no user {login}")
        return user.id

    def users(self, entry: Mapping[str, Any]) -> None:
        self._core.accounts.create({"password": "password", **entry})

    def dialogs(self, entry: Mapping[str, Any]) -> None:
        given = dict(entry)
        owner = self._user(given.pop("owner"))
        kind = given.pop("type", "group")
        fields = {
            **given,
            "type": TYPES.get(kind, kind),
            "occupants_ids": [self._user(one) for one in given.pop("occupants", ())],
            "admins_ids": [self._user(one) for one in given.pop("admins", ())],
        }
        dialog = self._core.dialogs.create(owner, fields)
        if dialog.name is not None:
            self._dialogs[dialog.name] = dialog.id

    def messages(self, entry: Mapping[str, Any]) -> None:
        sender = self._user(entry["from"])
        if "to" in entry:
            dialog = self._core.dialogs.private(sender, self._user(entry["to"]))
        elif entry["dialog"] in self._dialogs:
            dialog = self._core.dialogs.get(self._dialogs[entry["dialog"]])
        else:
            raise SeedError(f"there is no dialog {entry['dialog']}")
        draft = Draft(
            sender_id=sender,
            body=entry.get("message"),
            date_sent=entry.get("date_sent"),
            attachments=entry.get("attachments", ()),
            extra=entry.get("extra", {}),
        )
        message = self._core.messages.create(dialog, draft, send_to_chat=False)
        for reader in entry.get("read_by", ()):
            self._core.messages.mark([message.id], self._user(reader), read=True)

    def contacts(self, entry: Sequence[str]) -> None:
        first, second = (self._user(one) for one in entry)
        for user_id, contact_id in ((first, second), (second, first)):
            state = ContactState(contact_id=contact_id, subscription="both", listed=True)
            self._core.contacts.put(user_id, state)
