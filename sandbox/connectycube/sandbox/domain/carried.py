"""What the chat can carry of what comes over REST: XML has rules for names and characters, JSON has not (U-29)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from ..errors import unprocessable

__all__ = ["require_carried"]

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
DEEPEST = 50


def require_carried(field: str, value: Any, depth: int = 0) -> None:
    """Refuse what a stanza can't carry, in texts, in names and in what is nested; lists travel as JSON.

    :raises Refused: 422 under the field's name.
    """
    if isinstance(value, str) and _ILLEGAL.search(value):
        raise unprocessable(field, "holds a character that the chat can't carry")
    if isinstance(value, Mapping):
        if depth > DEEPEST:
            raise unprocessable(field, "is nested too deep for the chat")
        for name, inner in value.items():
            if not _is_name(name):
                raise unprocessable(field, "holds a name that the chat can't carry")
            require_carried(field, inner, depth + 1)


def _is_name(text: str) -> bool:
    try:
        return ET.fromstring(f"<{text}/>").tag == text
    except ET.ParseError:
        return False
