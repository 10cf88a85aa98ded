"""Updates of a record's fields, by plain values and by special operators (R-072, CR-35)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import unprocessable
from ..filters import LARGEST_INTEGER, criteria, like

__all__ = ["changed"]

Operator = Callable[[str, Any, Any], Any]


def changed(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields after an update.

    :raises Refused: 422 if an operator doesn't suit the stored value.
    """
    found = dict(fields)
    for name, value in given.items():
        operator = OPERATORS.get(name)
        if operator is None:
            found[name] = _replaced(name, found.get(name), value)
        elif not isinstance(value, Mapping):
            raise unprocessable(name, "must be an object of fields and values")
        else:
            for field, argument in value.items():
                found[field] = operator(field, found.get(field), argument)
    return found


def _replaced(name: str, old: Any, value: Any) -> Any:
    """Return a new value, or an array in which some elements are replaced by index."""
    if not isinstance(old, list) or not isinstance(value, Mapping) or not value:
        return value
    if not all(isinstance(index, str) and index.isdecimal() for index in value):
        return value
    found = list(old)
    for index, element in value.items():
        if len(index) > 9 or int(index) >= len(found):
            raise unprocessable(name, f"has no element {index}")
        found[int(index)] = element
    return found


def _array(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise unprocessable(name, "is not an array")
    return value


def _inc(name: str, old: Any, argument: Any) -> Any:
    if isinstance(old, (list, dict, str, bool)):
        raise unprocessable(name, "is not a number")
    found = (old or 0) + argument
    if abs(found) > LARGEST_INTEGER:
        raise unprocessable(name, "would be too large")
    return found


def _pull(name: str, old: Any, argument: Any) -> list[Any]:
    if isinstance(argument, Mapping):
        tests = criteria(name, argument)
        return [one for one in _array(name, old) if not all(like(test, one) for test in tests)]
    return [one for one in _array(name, old) if one != argument]


def _pull_all(name: str, old: Any, argument: Any) -> list[Any]:
    return [one for one in _array(name, old) if one not in argument]


def _pop(name: str, old: Any, argument: Any) -> list[Any]:
    found = _array(name, old)
    return found[:-1] if int(argument) == 1 else found[1:]


def _push(name: str, old: Any, argument: Any) -> list[Any]:
    return [*_array(name, old), *argument]


def _add_to_set(name: str, old: Any, argument: Any) -> list[Any]:
    found = list(_array(name, old))
    for one in argument:
        if one not in found:
            found.append(one)
    return found


OPERATORS: Mapping[str, Operator] = {
    "inc": _inc,
    "pull": _pull,
    "pull_all": _pull_all,
    "pop": _pop,
    "push": _push,
    "add_to_set": _add_to_set,
}
