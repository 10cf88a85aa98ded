"""What the chat can carry of what comes over REST: XML has rules for names and characters, JSON has not (U-29)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import unprocessable

__all__ = ["require_carried"]

DEEPEST = 50


def require_carried(field: str, value: Any) -> None:
    """Refuse what a stanza can't carry, in texts, in names and in what is nested; lists travel as JSON.

    :raises Refused: 422 under the field's name.
    """
    # Imported here: a sandbox that is used over REST only can do without the stanzas.
    from connectycube.stanzas import BuildError, ExtraParams

    if _nests(value, DEEPEST):
        raise unprocessable(field, "is nested too deep for the chat")
    try:
        ExtraParams(params={"value": value}).to_xml()
    except BuildError as error:
        raise unprocessable(field, f"can't be carried by the chat: {error.problem}") from error


def _nests(value: Any, levels: int) -> bool:
    """Whether there are mappings in mappings, deeper than so many levels."""
    return isinstance(value, Mapping) and (levels < 0 or any(_nests(inner, levels - 1) for inner in value.values()))
