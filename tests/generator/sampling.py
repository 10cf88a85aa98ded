"""Sample answers: the first success response of an operation, with a value for each thing that its schema describes."""

from __future__ import annotations

import re
from typing import Any

from .support import Node

TEXTS = {
    "date": "2024-05-06",
    "date-time": "2024-05-06T07:08:09Z",
    "time": "07:08:09Z",
    "duration": "PT1M",
    "uuid": "12345678-1234-4234-8234-123456789abc",
    "uri": "https://sample.test/a",
    "email": "a@sample.test",
    "byte": "c2FtcGxl",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}

DEEPEST = 6
"""Below this only what is required is sampled, so that recursive schemas end."""


class Unsampled(Exception):
    """The sampler doesn't know a value; the call needs an `answer`."""


def sample(document: Node, method: str, target: str) -> Node:
    """Make an answer for a request: `status`, `headers` and `body`.

    :raises Unsampled: if the document says too little, or more than the sampler understands.
    """
    resolve = Resolver(document)
    responses = operation(document, method, target).get("responses") or {}
    status = min((key for key in map(str, responses) if key.startswith("2")), default="default")
    content = resolve(responses.get(status, responses.get(int(status) if status.isdigit() else 0, {}))).get("content")
    code = int(status.upper().replace("X", "0")) if status != "default" else 200
    if not content:
        return {"status": code, "body": b""}
    media = next((key for key in content if "json" in key), next(iter(content)))
    schema = (content[media] or {}).get("schema", {})
    if "*" in media:
        raise Unsampled(f"{media} needs an answer")
    value = resolve.value(schema, 0)
    if "json" not in media and not isinstance(value, str):
        raise Unsampled(f"{media} needs an answer")
    return {"status": code, "headers": {"Content-Type": media}, "body": value if "json" not in media else dumped(value)}


def dumped(value: Any) -> Any:
    """Return a JSON value so that the stub server sends it as JSON, also if it is a text."""
    return f'"{value}"' if isinstance(value, str) else value


def operation(document: Node, method: str, target: str) -> Node:
    """Return the operation that a request is for: of all paths that fit, that with the most literal text."""
    path = target.partition("?")[0]
    fitting: dict[str, Node] = {}
    for template, item in (document.get("paths") or {}).items():
        literal = re.split(r"\{[^{}]*\}", template.partition("?")[0])
        if re.search("[^/]*".join(map(re.escape, literal)) + "$", path) and method.lower() in item:
            fitting["".join(literal)] = item[method.lower()]
    if not fitting:
        raise Unsampled(f"no path of the document fits {method} {target}")
    return fitting[max(fitting, key=len)]


class Resolver:
    """Follows references inside of a document, and makes values."""

    def __init__(self, document: Node) -> None:
        self._document = document

    def __call__(self, node: Any) -> Node:
        while isinstance(node, dict) and "$ref" in node:
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            node = {**self._target(node["$ref"]), **siblings}
        return node if isinstance(node, dict) else {}

    def _target(self, reference: str) -> Node:
        if not reference.startswith("#/"):
            raise Unsampled(f"the reference {reference} leads outside")
        found: Any = self._document
        for part in reference[2:].split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        assert isinstance(found, dict)
        return found

    def value(self, raw: Any, depth: int) -> Any:
        """Return a value that a schema allows."""
        schema = self(raw)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        parts = [self.value(part, depth) for part in schema.get("allOf", [])]
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            parts.append(self._choice(schema, choices, depth))
        kind = schema.get("type", "object" if "properties" in schema or "additionalProperties" in schema else None)
        kind = next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind
        if kind is not None or not parts:
            parts.append(self._plain(kind, schema, depth))
        if all(isinstance(part, dict) for part in parts):
            return {key: value for part in parts for key, value in part.items()}
        return parts[-1]

    def _choice(self, schema: Node, choices: list[Any], depth: int) -> Any:
        chosen = next((choice for choice in choices if self(choice).get("type") != "null"), choices[0])
        found = self.value(chosen, depth)
        if (discriminator := schema.get("discriminator")) and isinstance(found, dict):
            reference = chosen.get("$ref", "")
            named = {target: name for name, target in discriminator.get("mapping", {}).items()}
            short = reference.rpartition("/")[2]
            found[discriminator["propertyName"]] = named.get(reference, named.get(short, short))
        return found

    def _plain(self, kind: str | None, schema: Node, depth: int) -> Any:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            if depth > DEEPEST and not schema.get("minItems"):
                return []
            first = [self.value(item, depth + 1) for item in schema.get("prefixItems", [])]
            more = self.value(schema.get("items", {}), depth + 1) if "items" in schema or not first else None
            return first + [more] * max(schema.get("minItems", 1) - len(first), 0 if first else 1)
        if kind in ("integer", "number"):
            return self._number(kind, schema)
        if kind == "null":
            return None
        return True if kind == "boolean" else self._text(schema)

    def _object(self, schema: Node, depth: int) -> Node:
        required = schema.get("required", [])
        found = {
            name: self.value(part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if (depth <= DEEPEST or name in required) and not self(part).get("writeOnly")
        }
        more = schema.get("additionalProperties")
        if not found and more not in (None, False):
            found["key"] = self.value(more, depth + 1)
        return found

    def _number(self, kind: str, schema: Node) -> int | float:
        least, most = schema.get("minimum"), schema.get("maximum")
        step = schema.get("multipleOf", 1)
        if isinstance(above := schema.get("exclusiveMinimum"), int | float) and not isinstance(above, bool):
            least = above + step
        elif above:
            least += step
        start = least if least is not None else 1 if most is None or most > 1 else most - step
        number = -(-start // step) * step
        return int(number) if kind == "integer" else float(number)

    def _text(self, schema: Node) -> str:
        if "pattern" in schema:
            found = schema.get("example", next(iter(schema.get("examples", [])), None))
            if not isinstance(found, str):
                raise Unsampled("a text with a pattern needs an example")
            return found
        text = TEXTS.get(schema.get("format", ""), "sample")
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", len(text) + 99)]
