"""Field filters: `type[in]=2,3`, `extensions[city]=Turin`, `full_name[start_with]=Mary`.

The spec of an operation's filters says how to read a query into conditions. Conditions become SQL, or are checked in
Python where the fields are not known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

from attrs import frozen

from .clock import moment
from .errors import bad_request
from .storage import dump

__all__ = [
    "LIST_OPERATORS",
    "Column",
    "Condition",
    "FilterSpec",
    "criteria",
    "like",
    "parse",
    "parse_key",
    "where",
]

LIST_OPERATORS = frozenset({"in", "nin", "all", "or", "between"})
_COMPARE = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "le": "<=", "ge": ">="}
_ORDERED: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
LARGEST_INTEGER = 2**63 - 1


@frozen
class Condition:
    """A condition that a field must meet.

    :ivar operator: the empty string for equality.
    :ivar value: a list where the operator takes one.
    :ivar key: the name inside a group such as `extensions`.
    """

    field: str
    operator: str
    value: Any
    key: str | None = None


@frozen(kw_only=True)
class FilterSpec:
    """An operation's `x-filters`."""

    fields: Mapping[str, Mapping[str, Any]]
    ignored: frozenset[str] = frozenset()
    """Names of the operation's other parameters."""

    @property
    def open(self) -> bool:
        """Whether every field can be filtered by."""
        return "*" in self.fields

    def of(self, name: str) -> Mapping[str, Any] | None:
        """Return what the spec says of a field, or `None` if it can't be filtered by."""
        return self.fields.get(name) or self.fields.get("*")


def parse_key(key: str) -> tuple[str, list[str]] | None:
    """Return the name and brackets of a key in a query, or `None` if it has another form."""
    match = _KEY.fullmatch(key)
    return None if match is None else (match[1], _BRACKET.findall(match[2]))


def parse(pairs: Iterable[tuple[str, str]], spec: FilterSpec) -> list[Condition]:
    """Read the filters of a query.

    :raises Refused: if a field can't be filtered by, or not with this operator.
    """
    lists: dict[tuple[str, str, str | None], list[str]] = {}
    for key, text in pairs:
        parts = parse_key(key)
        name = key if parts is None else parts[0]
        if key in spec.ignored or name in spec.ignored:
            continue
        if parts is None or (known := spec.of(name)) is None:
            raise bad_request(f"{key} is not a field to filter by")
        brackets = [part for part in parts[1] if part]
        schema: Mapping[str, Any] = known.get("schema", {})
        group = brackets.pop(0) if schema.get("type") == "object" and brackets else None
        operator = brackets.pop(0) if brackets else ""
        if brackets or (schema.get("type") == "object" and group is None):
            raise bad_request(f"{key} is not a filter")
        if operator not in known.get("operators", ()) and (operator or known.get("equality") is False):
            raise bad_request(f"{name} can't be filtered {f'by {operator}' if operator else 'by a plain value'}")
        lists.setdefault((name, operator, group), []).append(text)
    return [_condition(name, operator, group, texts, spec) for (name, operator, group), texts in lists.items()]


def _condition(name: str, operator: str, group: str | None, texts: list[str], spec: FilterSpec) -> Condition:
    known = spec.of(name) or {}
    schema: Mapping[str, Any] = known.get("schema", {})
    if operator in LIST_OPERATORS:
        values = [_value(name, part, schema) for text in texts for part in text.split(",") if part]
        return Condition(name, operator, values, group)
    if operator == "ctn":
        return Condition(name, operator, texts[-1], group)
    return Condition(name, operator, _value(name, texts[-1], schema), group)


def _value(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    try:
        if schema.get("format") in ("unix-time", "date-time"):
            return moment(text)
        if schema.get("type") == "integer":
            number = int(text)
            if abs(number) > LARGEST_INTEGER:
                raise ValueError
            return number
    except ValueError as error:
        raise bad_request(f"{name} is compared with an invalid value") from error
    return text


@frozen(kw_only=True)
class Column:
    """How SQL reaches a field.

    :ivar sql: the column. That of a group holds a JSON object.
    :ivar items: for a column that holds a JSON list, the value of one entry in terms of `json_each`.
    """

    sql: str
    items: str | None = None
    whole: bool = False
    """Whether to compare the column in whole seconds."""

    def expression(self, key: str | None) -> tuple[str, list[Any]]:
        if key is not None:
            return f"(SELECT value FROM json_each({self.sql}) WHERE key = ?)", [key]
        return (f"CAST({self.sql} AS INTEGER)" if self.whole else self.sql), []


def where(conditions: Iterable[Condition], columns: Mapping[str, Column]) -> tuple[str, list[Any]]:
    """Return conditions as SQL, with its values."""
    parts = ["1"]
    values: list[Any] = []
    for condition in conditions:
        column = columns[condition.field]
        sql, found = _listed(condition, column.items, column.sql) if column.items else _plain(condition, column)
        parts.append(sql)
        values += found
    return " AND ".join(parts), values


def _plain(condition: Condition, column: Column) -> tuple[str, list[Any]]:
    sql, start = column.expression(condition.key)
    test, values = _test(sql, condition.operator, condition.value)
    return test, start * test.count(sql) + values


def _test(sql: str, operator: str, value: Any) -> tuple[str, list[Any]]:
    match operator:
        case "" | "eq":
            return f"{sql} = ?", [value]
        case "ne":
            return f"{sql} IS NOT ?", [value]
        case "in" | "or":
            return f"{sql} IN (SELECT value FROM json_each(?))", [dump(value)]
        case "nin":
            return f"IFNULL({sql} NOT IN (SELECT value FROM json_each(?)), 1)", [dump(value)]
        case "all":
            # A plain column holds one value, which can't equal two different ones.
            different = list(dict.fromkeys(value))
            return (f"{sql} = ?", different) if len(different) == 1 else (str(int(not different)), [])
        case "ctn":
            return f"instr({sql}, ?) > 0", [value]
        case "start_with":
            return f"substr({sql}, 1, {len(value)}) = ?", [value]
        case "between" if len(value) == 2:
            return f"{sql} BETWEEN ? AND ?", value
        case _ if operator in _COMPARE:
            return f"{sql} {_COMPARE[operator]} ?", [value]
        case _:
            raise bad_request(f"the filter {operator} has an invalid value")


def _listed(condition: Condition, items: str, sql: str) -> tuple[str, list[Any]]:
    """Return a condition on a list as SQL. One entry must meet it; no entry if it is negative; one each for `all`."""
    if condition.operator in ("ne", "nin"):
        test, values = _test(items, "in" if condition.operator == "nin" else "", condition.value)
        return f"NOT EXISTS (SELECT 1 FROM json_each({sql}) WHERE {test})", values
    if condition.operator == "all":
        missing = f"NOT EXISTS (SELECT 1 FROM json_each({sql}) WHERE {items} = wanted.value)"
        return f"NOT EXISTS (SELECT 1 FROM json_each(?) wanted WHERE {missing})", [dump(condition.value)]
    test, values = _test(items, condition.operator, condition.value)
    return f"EXISTS (SELECT 1 FROM json_each({sql}) WHERE {test})", values


def like(condition: Condition, value: Any) -> bool:
    """Return whether a record's value, or an entry of a list, meets a condition."""
    operator, wanted = condition.operator, condition.value
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    match operator:
        case "" | "eq":
            return value == wanted or any(_same(entry, wanted) for entry in values)
        case "ne":
            return not any(_same(entry, wanted) for entry in values)
        case "in" | "or":
            return any(_same(entry, one) for entry in values for one in wanted)
        case "nin":
            return not any(_same(entry, one) for entry in values for one in wanted)
        case "all":
            return all(any(_same(entry, one) for entry in values) for one in wanted)
        case "ctn":
            return any(isinstance(entry, (str, int, float)) and str(wanted) in str(entry) for entry in values)
        case _ if operator in _COMPARE:
            return any(_ordered(entry, operator, wanted) for entry in values)
        case _:
            raise bad_request(f"{operator} is not a search operator")


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and not isinstance(value, str):
        return _typed(wanted, value) == value and value is not None
    return bool(value == wanted)


def _typed(text: str, sample: Any) -> Any:
    """Return a query's text in the type of the value that it is compared with: a query has no types of its own."""
    try:
        if isinstance(sample, bool):
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        if isinstance(sample, (int, float)):
            return float(text)
    except ValueError:
        return None
    return text


def _ordered(value: Any, operator: str, wanted: Any) -> bool:
    if value is None or isinstance(value, (dict, list)):
        return False
    right = _typed(wanted, value) if isinstance(wanted, str) else wanted
    if isinstance(value, str) != isinstance(right, str) or right is None or isinstance(right, (dict, list)):
        return False
    return bool(_ORDERED[_COMPARE[operator]](value, right))


def criteria(name: str, given: Any) -> list[Condition]:
    """Return the conditions that a value or an `{operator: value}` describes (R-072, R-073).

    :raises Refused: if there is no operator.
    """
    if not isinstance(given, Mapping):
        return [Condition(name, "", given)]
    if not given:
        raise bad_request(f"{name} requires an operator")
    return [Condition(name, operator, _operand(operator, wanted)) for operator, wanted in given.items()]


def _operand(operator: str, wanted: Any) -> Any:
    if operator not in LIST_OPERATORS or isinstance(wanted, list):
        return wanted
    return wanted.split(",") if isinstance(wanted, str) else [wanted]
