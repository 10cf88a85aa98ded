"""Check that each object of a document holds what OpenAPI's meta-schema allows, and repair those of other people.

In the project's own spec each fault is an error. In a third-party document it costs the smallest part that is wrong: a
value is read in the sense that it must have (a single object as a list of one), or it is dropped, with the object that
can't do without it. So whatever reads the document afterwards can rely on its structure.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from ..faults import Fault, nearest
from ..schema import short
from ..source import Map, Seq, fault, placed, plain
from .grammar import KEYWORDS, TYPES, meta_schema

GUIDE = "See https://spec.openapis.org/oas/v3.1.0"

DROPPED: Any = object()
"""Stands for a value that can't stay."""

ESSENTIAL = frozenset("parameter request-body security-scheme server tag discriminator page filters".split())
"""The kinds of objects that are of no use without what they require."""

OPEN = frozenset(("", "components", "schema"))
"""The kinds of objects that keep unknown keys: references may lead there."""

CREDENTIALS = {"apiKey": ("name", "in"), "http": ("scheme",)}
"""What a security scheme of a type can't do without."""

_NAMES = {
    "string": "a string",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}

_KINDS: dict[str, Any] = {
    "string": str,
    "object": dict,
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}

Rule = Any


class Structure:
    """The check of one document.

    :ivar faults: what was found.
    """

    def __init__(self, document: Map, strict: bool) -> None:
        version = str(document.get("openapi", ""))
        self.document = document
        self.strict = strict
        self.faults: list[Fault] = []
        self.free_keywords = not strict and not version.startswith("3.0")
        new = not strict and not version.startswith(("3.0", "3.1"))
        self.definitions = meta_schema(strict, new)["$defs"]
        self.followed: dict[int, Rule] = {}
        self.kinds: dict[int, str] = {}

    def kind_of(self, node: Map) -> str | None:
        """As what an object was checked, if it was."""
        return self.kinds.get(id(node))

    def name(self, kind: str) -> str:
        """The name of a kind of object in the meta-schema."""
        return _kind(self.definitions[kind])

    def hold(self, node: Map, kind: str) -> bool:
        """Check an object that stands at no place for its kind; say whether it can be of that kind."""
        return self._object(node, self.definitions[kind], kind) is not DROPPED

    def check(self) -> list[Fault]:
        self._object(self.document, self.definitions["document"], None)
        return self.faults

    def add(self, parent: Map | Seq, key: object, problem: str, remedy: str) -> None:
        self.faults.append(fault(parent, key, problem, remedy))

    # -- values

    def _value(self, holder: Map | Seq, key: Any, value: Any, rule: Rule, label: str) -> Any:
        """The value as it may stay, or `DROPPED`."""
        rule = self._follow(rule)
        if rule is True:
            return value
        if "if" in rule:
            if isinstance(value, Map) and "$ref" in value:
                return self._reference(value, rule)
            rule = self._follow(rule["else"])
        kinds = rule.get("type")
        if kinds is not None and not _is(value, kinds):
            value = self._read(holder, key, value, rule, label)
            if value is DROPPED:
                return DROPPED
        if "enum" in rule and value not in rule["enum"]:
            known = rule["enum"]
            remedy = nearest(str(value), known, f"Write one of {', '.join(known)}")
            named = label.removeprefix("an entry of ")
            self.add(holder, key, f"{value!r} is not a value of {named}", remedy)
            return DROPPED
        if not _fits(value, rule):
            self.add(holder, key, f"{short(repr(plain(value)))} is not a value of {label}", GUIDE)
            return DROPPED
        if isinstance(value, Map):
            return self._object(value, rule, key)
        if isinstance(value, Seq):
            return self._list(value, rule, key)
        if isinstance(value, float) and kinds == "integer":
            return int(value)
        return value

    def _follow(self, rule: Rule) -> Rule:
        """Resolve the reference of a rule; what stands beside it counts too."""
        if rule is True or "$ref" not in rule or "properties" in rule or "additionalProperties" in rule:
            return rule
        found = self.followed.get(id(rule))
        if found is None:
            target: Any = {"$defs": self.definitions}
            for part in rule["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            found = self._follow(target)
            beside = {key: value for key, value in rule.items() if key not in ("$ref", "$comment", "default")}
            self.followed[id(rule)] = found = {**found, **beside} if beside and found is not True else found
        return found

    def _read(self, holder: Map | Seq, key: Any, value: Any, rule: Rule, label: str) -> Any:
        """Report a value of another type than it must have, and read it in its sense if it has one."""
        kinds = rule["type"]
        kind = _NAMES[kinds if isinstance(kinds, str) else kinds[0]]
        self.add(holder, key, f"{label} is not {kind}", f"Write {_article(rule) if _kind(rule) else kind}")
        if self.strict:
            return DROPPED
        if kinds == "string" and isinstance(value, (bool, int, float)):
            return str(value).lower() if isinstance(value, bool) else str(value)
        if kinds == "boolean" and value in ("true", "false"):
            return value == "true"
        inner: Rule = self._follow(rule.get("items", True)) if kinds == "array" else True
        if inner is not True:
            wanted = self._follow(inner["else"] if "if" in inner else inner).get("type")
            if wanted is not None and _is(value, wanted):
                return placed(Seq([value]), holder, key)
        return DROPPED

    def _reference(self, node: Map, rule: Rule) -> Any:
        if not isinstance(node["$ref"], str):
            self.add(node, "$ref", "'$ref' is not a string", "Write a string")
            return DROPPED
        if self.strict:
            for key in node.keys() - {"$ref", "summary", "description"}:
                self.add(node, key, f"{key!r} beside a reference", "Remove it, or write the object itself")
            return node
        target = self._follow(rule["else"])
        if _kind(target) == "path item":
            # Nothing else is read beside a reference.
            for key in [key for key in node if key in target["properties"]]:
                self._entry(node, key, target["properties"][key])
        return node

    # -- objects

    def _object(self, node: Map, rule: Rule, at: Any) -> Any:
        properties = rule.get("properties", {})
        others = rule.get("additionalProperties", True)
        kind = _kind(rule).replace(" ", "-")
        self.kinds[id(node)] = _kind(rule)
        required = list(rule.get("required", ()))
        if kind == "operation" and self.free_keywords:
            # Only 3.0 requires them.
            required.remove("responses")
        elif kind == "security-scheme":
            required += CREDENTIALS.get(str(node.get("type")), ())
        for key in required:
            if key not in node:
                self.add(node, None, f"{_article(rule)} without {key!r}", f"Add {key!r}")
        for key in list(node):
            if key in properties:
                self._entry(node, key, properties[key])
            elif key.startswith("x-") and "patternProperties" in rule:
                if others is not False and not self.strict:
                    # It is not one of the names that this mapping holds.
                    del node[key]
            elif others is False:
                self._unknown(node, key, rule)
            elif others is not True:
                self._entry(node, key, others, named=True)
        if kind == "operation":
            node.setdefault("responses", placed(Map(), node, None))
        elif kind == "schema":
            self._schema(node)
        return DROPPED if kind in ESSENTIAL and any(key not in node for key in required) else node

    def _entry(self, node: Map, key: str, rule: Rule, named: bool = False) -> None:
        """Check one entry of a mapping, and drop it if it can't stay.

        :param named: the mapping is one of names: an entry without a value is there.
        """
        value = node[key]
        followed = self._follow(rule)
        if followed is not True and "if" in followed:
            followed = self._follow(followed["else"])
        schema = followed is not True and _kind(followed) == "schema"
        if value is None and followed is not True and not self.strict:
            kinds = followed.get("type", "null")
            if named and ("object" in kinds or "array" in kinds):
                value = placed(Map() if "object" in kinds else Seq(), node, key)
                node[key] = value
            elif "null" not in kinds:
                # A section without a value is an absent one.
                del node[key]
                return
        value = self._value(node, key, value, rule, repr(key))
        if value is not DROPPED:
            node[key] = value
        elif schema and (named or key in ("schema", "items")):
            node[key] = placed(Map(), node, key)
        elif not self.strict:
            del node[key]

    def _list(self, node: Seq, rule: Rule, at: Any) -> Any:
        inner = self._follow(rule.get("items", True))
        if inner is True:
            return node
        kept = []
        for index, value in enumerate(list(node)):
            found = self._value(node, index, value, inner, f"an entry of {at!r}")
            if found is DROPPED and _kind(inner) == "schema" and at != "allOf":
                found = placed(Map(), node, index)
            if found is not DROPPED:
                kept.append((found, node.line_of(index)))
        if rule.get("uniqueItems"):
            found = list(dict(kept).items())
            if self.strict and len(found) < len(kept):
                self.add(node, None, f"{at!r} names something twice", "Remove one of them")
            kept = found
        node[:] = [value for value, _ in kept]
        node.lines = [line for _, line in kept]
        return node if kept or "minItems" not in rule else DROPPED

    def _unknown(self, node: Map, key: str, rule: Rule) -> None:
        kind = _kind(rule)
        if kind == "schema" and self.free_keywords:
            return
        known = list(rule["properties"])
        otherwise = _keywords(key, known) if key.startswith("x-") else "Remove it or start it with 'x-'"
        self.add(node, key, f"unknown key {key!r} in {_article(rule)}", nearest(key, known, otherwise))
        if kind not in OPEN and not self.strict:
            del node[key]

    # -- schemas

    def _schema(self, node: Map) -> None:
        types = node.get("type")
        for name in types if isinstance(types, Seq) else [types] if "type" in node else ():
            if name not in TYPES:
                remedy = nearest(str(name), TYPES, f"Write {', '.join(TYPES)}")
                self.add(node, "type", f"unknown type {name!r}", "Write 'null'" if name is None else remedy)
        if self.strict:
            return
        if isinstance(types, Seq):
            known = ["null" if name is None else name for name in types]
            types[:] = list(dict.fromkeys(name for name in known if name in TYPES))
        if "type" in node and (types == [] or (not isinstance(types, Seq) and types not in TYPES)):
            del node["type"]
            if types is None:
                node["type"] = "null"
        if isinstance(node.get("enum"), Seq):
            values = {repr(plain(value)): value for value in node["enum"]}
            if not values:
                self.add(node, "enum", "'enum' has no values", "Give values, or remove it")
                del node["enum"]
            elif len(values) < len(node["enum"]):
                node["enum"] = placed(Seq(values.values()), node, "enum")
        reason = _unusable(node["pattern"]) if "pattern" in node else ""
        if reason:
            problem = f"the regular expression {short(repr(node['pattern']))} can't be used ({reason})"
            self.add(node, "pattern", problem, "The value is not checked against it")
            del node["pattern"]


def _unusable(pattern: str) -> str:
    """Why Python can't use a regular expression: it lacks some of the syntax of JavaScript."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, FutureWarning, DeprecationWarning) as error:
        return short(str(error))
    return ""


def _is(value: Any, kinds: str | list[str]) -> bool:
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind in ("integer", "number") and isinstance(value, bool):
            continue
        if isinstance(value, _KINDS[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer()):
            return True
    return False


def _fits(value: Any, rule: Rule) -> bool:
    """Whether a value of the right type is within the limits of its rule."""
    if isinstance(value, str):
        return "pattern" not in rule or re.search(rule["pattern"], value) is not None
    if isinstance(value, list):
        return len(value) >= int(rule.get("minItems", 0))
    if isinstance(value, dict):
        return int(rule.get("minProperties", 0)) <= len(value) <= int(rule.get("maxProperties", len(value)))
    if isinstance(value, (int, float)):
        return not (value < rule.get("minimum", value) or ("exclusiveMinimum" in rule and value <= 0))
    return True


def _keywords(key: str, known: list[str]) -> str:
    """A remedy for an unknown keyword of this project: where it belongs, or which ones there are."""
    for kind, keywords in KEYWORDS.items():
        if key in keywords:
            return f"It belongs in {article(kind)} object"
    own = ", ".join(sorted(name for name in known if name.startswith("x-")))
    return f"{f'Known here are {own}' if own else 'There are none here'}; see docs/spec-language.md"


def _article(rule: Rule) -> str:
    """The kind of object that a rule is about."""
    kind = _kind(rule)
    return f"{article(kind)} object" if kind else "the document"


def article(kind: str) -> str:
    kind = kind.replace("-", " ")
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _kind(rule: Rule) -> str:
    name = str(rule.get("$comment", "")).rpartition("#")[2]
    return name.removesuffix("-object").replace("-", " ")
