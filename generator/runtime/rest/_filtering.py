"""Checking the filters of a list and writing them as a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import _wire as wire
from .errors import InvalidArgument

LIST_OPERATORS: Final = frozenset({"in", "nin", "all", "or", "between"})


class Filter:
    """The operators and values that a list accepts for a field."""

    __slots__ = ("encode", "equality", "free", "operators", "type", "wire")

    def __init__(
        self,
        wire: str,
        encode: wire.Encoder,
        operators: tuple[str, ...],
        *,
        equality: bool = True,
        free: bool = False,
        type: str = "",
    ) -> None:
        self.wire = wire
        self.encode = encode
        self.operators = operators
        self.equality = equality
        self.free = free
        self.type = type

    def one(self, name: str, value: Any) -> Any:
        """Encode a single value, the only kind that a query can hold."""
        found = self.encode(name, value)
        if found is None or isinstance(found, (list, dict)):
            raise InvalidArgument(name, f"must be a single value, not {wire.kind_name(value)}")
        return found


def filter_pairs(value: Any, known: Mapping[str, Filter], lists: str) -> wire.Pairs:
    """Write filters as the pairs of a query.

    :param lists: `comma` writes `f[in]=1,2`, `repeat` writes `f[in][]=1&f[in][]=2`, `v1` the form of the first user
        API, `filter[]=number id in 1,2`.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgument("filters", f"must be a mapping, not {wire.kind_name(value)}")
    found: wire.Pairs = []
    for name, rule in value.items():
        inside = f"filters[{name!r}]"
        known_filter = known.get(name) or known.get("*")
        if known_filter is None or not isinstance(name, str) or not name:
            raise InvalidArgument(inside, f"is unknown; the filters are {', '.join(known)}")
        key = wire.text(inside, name) if known_filter.wire == "*" else known_filter.wire
        if known_filter.free:
            if not isinstance(rule, Mapping) or not rule:
                raise InvalidArgument(inside, "must map a field's name to its filter")
            for inner, inner_rule in rule.items():
                where = f"{inside}[{inner!r}]"
                inner_key = wire.text(where, inner, min_length=1)
                found += _filter(where, f"{key}[{inner_key}]", inner_rule, known_filter, lists)
        else:
            found += _filter(inside, key, rule, known_filter, lists)
    return found


def _filter(inside: str, key: str, rule: Any, known: Filter, lists: str) -> wire.Pairs:
    if not isinstance(rule, Mapping):
        if not known.equality:
            raise InvalidArgument(inside, f"needs an operator: {', '.join(known.operators)}")
        encoded = known.one(inside, rule)
        return _v1(inside, key, "eq", [encoded], known) if lists == "v1" else [(key, wire.query_text(encoded))]
    if not rule:
        raise InvalidArgument(inside, "has no operator")
    found: wire.Pairs = []
    for operator, operand in rule.items():
        where = f"{inside}[{operator!r}]"
        if operator not in known.operators:
            raise InvalidArgument(
                where, f"is not an operator of this field; use {', '.join(known.operators) or 'none'}"
            )
        if operator == "calc":
            operands = [wire.choice(where, operand, ("avg", "min", "max", "sum"))]
        elif operator in LIST_OPERATORS:
            operands = wire.array(where, operand, known.one, min_items=1)
        else:
            operands = [known.one(where, operand)]
        if lists == "v1":
            pairs = _v1(where, key, operator, operands, known)
        elif operator in LIST_OPERATORS and lists == "repeat":
            pairs = [(f"{key}[{operator}][]", wire.query_text(entry)) for entry in operands]
        else:
            pairs = [(f"{key}[{operator}]", _operand(where, operator, operands))]
        if sum(len(name) + len(value) + 2 for name, value in pairs) > wire.LONGEST_ADDRESS:
            raise InvalidArgument(where, wire.TOO_LONG)
        found += pairs
    return found


def _v1(name: str, key: str, operator: str, operands: list[Any], known: Filter) -> wire.Pairs:
    return [("filter[]", f"{known.type or 'string'} {key} {operator} {_operand(name, operator, operands)}")]


def _operand(name: str, operator: str, operands: list[Any]) -> str:
    return wire.joined(name, operands) if operator in LIST_OPERATORS else wire.query_text(operands[0])
