"""Helpers for the tests of all machines."""

from __future__ import annotations

import typing
from collections import deque
from typing import Any

import attrs

from connectycube.chat.machines import connection

FIELDS = {
    "starttls": True,
    "reason": connection.Reason.NETWORK,
    "subscription": "to",
    "ask": False,
    "name": "list",
    "names": frozenset({"list"}),
    "default": None,
    "condition": "conflict",
    "managed": True,
    "resume": True,
    "resume_id": "id",
    "h": 0,
    "item": "stanza",
}


def events_of(module: Any) -> list[type[Any]]:
    return list(typing.get_args(module.Event))


def an_event(kind: type[Any]) -> Any:
    return kind(**{each.name: FIELDS[each.name] for each in attrs.fields(kind) if each.default is attrs.NOTHING})


def variables(machine: Any) -> dict[str, Any]:
    values = {each.name: getattr(machine, each.name) for each in attrs.fields(type(machine))}
    return {name: list(value) if isinstance(value, deque) else value for name, value in values.items()}


def defined(module: Any, state: Any) -> list[type[Any]]:
    """In the order of `Event`, which hypothesis can shrink along."""
    return [kind for kind in events_of(module) if (state, kind) in module.TABLE]
