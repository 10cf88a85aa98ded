"""What has no field of its own: free parameters, unknown children and unknown attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

from ._values import from_json
from ._xml import (
    LONG_NAME,
    MAX_DEPTH,
    MAX_SIZE,
    BuildError,
    StanzaError,
    check_depth,
    check_name,
    escape_attribute,
    escape_text,
    is_name,
    local,
    raw,
    raw_attribute,
    read,
)

Params = Mapping[str, Any]
"""Free parameters by name.

Reading gives text, or a mapping for a nested parameter; inside it, a repeated name has a tuple. Writing also takes
numbers, booleans and lists, which become JSON text.
"""


# -- free parameters


def rest_name(namespace: str, known: frozenset[str]) -> Callable[[str], str]:
    """Return a function from a tag to the name of a free parameter, or "" for a tag that can't be one."""
    prefix = f"{{{namespace}}}"

    @lru_cache(maxsize=4096)
    def find(tag: str) -> str:
        name = tag.removeprefix(prefix)
        return name if tag.startswith(prefix) and name not in known and is_name(name) else ""

    def find_any(tag: str) -> str:
        return find(tag) if len(tag) < LONG_NAME else find.__wrapped__(tag)

    return find_any


def to_params(element: ET.Element) -> str | dict[str, Any]:
    """Read a free parameter: its text, or a mapping of its children."""
    if not len(element):
        return element.text or ""
    check_depth(element)
    return _nested(element)


def _nested(element: ET.Element) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(local(child.tag), []).append(_nested(child) if len(child) else child.text or "")
    # A call's candidates all have one name, and all are needed (K-26).
    return {name: values[0] if len(values) == 1 else tuple(values) for name, values in found.items()}


def superseded(element: ET.Element, name_of: Callable[[str], str]) -> list[str]:
    """Return, as XML text, the free parameters that a later one of the same name replaces."""
    found = [child for child in element if name_of(child.tag) and not child.keys()]
    last = {child.tag: child for child in found}
    return [raw(child) for child in found if child is not last[child.tag]]


def write_params(params: Any, what: str, known: frozenset[str] = frozenset(), depth: int = 0) -> str:
    """Write free parameters as elements.

    `None` is left out, and a list is written as JSON text. Inside a nested parameter, a tuple becomes an element for
    each entry.
    """
    if not isinstance(params, Mapping):
        raise BuildError(f"must be a mapping, not {type(params).__name__}", what)
    if depth > MAX_DEPTH:
        raise BuildError(f"nests deeper than {MAX_DEPTH}", what)
    out = []
    for name, value in params.items():
        check_name(name, what)
        inside = f"{what}[{name!r}]"
        if name in known:
            raise BuildError("has a field of its own", inside)
        if value is None:
            continue
        for entry in value if depth and isinstance(value, tuple) else (value,):
            text = _param(entry, inside, depth)
            out.append(f"<{name}>{text}</{name}>" if text else f"<{name}/>")
    return "".join(out)


def _param(value: Any, what: str, depth: int) -> str:
    if isinstance(value, Mapping):
        return write_params(value, what, frozenset(), depth + 1)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float, list, tuple)):
        return escape_text(from_json(value, what), what)
    return escape_text(value, what)


# -- unknown children and attributes


def unknown_of(attributes: Mapping[str, str], known: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in attributes.items() if key not in known)


def write_unknown(children: Any, what: str = "unknown") -> str:
    """Write unknown children, each of which must be one whole element."""
    out = []
    for text in children:
        try:
            out.append(raw(read(text, MAX_SIZE)))
        except StanzaError as error:
            raise BuildError(f"holds something other than an element: {error.problem}", what) from error
        except TypeError as error:
            raise BuildError(f"must hold XML text, not {type(text).__name__}", what) from error
    return "".join(out)


def write_unknown_attributes(
    attributes: Any, known: frozenset[str] = frozenset(), what: str = "unknown_attributes"
) -> str:
    out = []
    for number, (key, value) in enumerate(attributes):
        inside = f"{what}[{key!r}]"
        if not isinstance(key, str) or (key[:1] == "{" and "}" not in key):
            raise BuildError(f"{key!r} is not an attribute name", what)
        check_name(key.rpartition("}")[2] if key[:1] == "{" else key, what)
        if key in known:
            raise BuildError("has a field of its own", inside)
        escape_attribute(value, inside)
        out.append(raw_attribute(key, value, number))
    text = "".join(out)
    try:
        found = ET.fromstring(f"<a{text}/>")
    except (ET.ParseError, UnicodeError) as error:
        raise BuildError(f"can't stand together: {error}", what) from error
    if list(found.items()) != list(map(tuple, attributes)):
        raise BuildError("can't be written unchanged", what)
    return text


# -- attributes of children that contain only text or nothing


def attributes_of(child: ET.Element, field: str) -> tuple[tuple[str, str, str], ...]:
    """Return the attributes of a child that has no object of its own."""
    return tuple((field, key, value) for key, value in child.items())


def check_child_attributes(attributes: Any, fields: Sequence[str]) -> None:
    """Check that each entry names a field that can have attributes."""
    for entry in attributes:
        if not isinstance(entry, tuple) or len(entry) != 3 or str(entry[0]).partition("[")[0] not in fields:
            raise BuildError(f"{entry!r} is not an attribute of {' or '.join(fields)}", "child_attributes")


def opened(start: str, attributes: Any, field: str, end: str) -> str:
    """Write the opening tag of a child with its attributes."""
    found = [(key, value) for name, key, value in attributes if name == field]
    return start + (write_unknown_attributes(found, what="child_attributes") if found else "") + end
