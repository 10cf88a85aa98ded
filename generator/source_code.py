"""Texts of a spec as Python source: literals, names, docstrings."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Any


def literal(value: Any) -> str:
    """Write a value of a spec as a Python literal; no text can end it early."""
    return repr(value)


def snake(name: str) -> str:
    """Convert a class name or a wire name to snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def constant(name: str) -> str:
    """Convert the name of a class or a method to capitals."""
    return snake(name).rstrip("_").upper()


def words(text: str) -> str:
    """Put a text on one line, safe in a comment or a docstring."""
    if not text.isprintable():
        text = "".join(char for char in text if unicodedata.category(char)[0] != "C" or char.isspace())
    text = " ".join(text.split())
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


ROW = r"(?:CR|CX|[FXRKUN])-\d{2,3}"
FACT = rf"(?:{ROW}|(?<=facts )\d\.\d)"
FACTS = rf"(?:facts )?{FACT}(?:, (?:{FACT}|\d\.\d))*"


def without_facts(text: str) -> str:
    """Leave out references to the wire facts, which would tell nothing to the readers of a docstring."""
    return re.sub(rf" \({FACTS}\)|(?:^|, ){FACTS}", "", text)


def paragraph(text: str, indent: int, hanging: str = "") -> str:
    """Wrap a text into indented lines."""
    lines = textwrap.wrap(
        words(text), 118 - indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


def docstring(parts: list[str], indent: int) -> str:
    """Write a docstring of paragraphs. Those that start with ':' are fields, with no blank lines between them."""
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
