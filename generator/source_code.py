"""Texts of a spec as Python source: literals, names, docstrings."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Any


def literal(value: Any) -> str:
    """A value of a spec as Python source; a text can't end the literal it stands in."""
    return repr(value)


def snake(name: str) -> str:
    """A class name, or a name of the wire, in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def constant(name: str) -> str:
    """The name of a class or of a method in capitals."""
    return snake(name).rstrip("_").upper()


def words(text: str) -> str:
    """A text of a spec on one line, fit for a comment or a docstring."""
    text = "".join(char if unicodedata.category(char)[0] != "C" or char.isspace() else "" for char in text)
    text = " ".join(text.split())
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def paragraph(text: str, indent: int, hanging: str = "") -> str:
    """A text wrapped into lines that start at an indent."""
    lines = textwrap.wrap(
        words(text), 118 - indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


def docstring(parts: list[str], indent: int) -> str:
    """A docstring of paragraphs; a line that starts with ':' is a field and stands close to its neighbours."""
    pad = " " * indent
    text = ""
    previous_field = False
    for number, part in enumerate(part for part in parts if part.strip()):
        is_field = part.startswith(":")
        block = paragraph(part, indent, "    " if is_field else "")
        if number:
            text += "\n" if is_field and previous_field else "\n\n"
            text += pad
        text += block
        previous_field = is_field
    if text.endswith(('"', "\\")) and "\n" not in text:
        text += " "
    return f'"""{text}\n{pad}"""' if "\n" in text else f'"""{text}"""'
