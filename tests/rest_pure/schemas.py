"""The models beside the schemas of the bundled document that they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from connectycube.rest import models

DOCUMENT = Path(__file__).parents[2] / "generated" / "openapi.yaml"

MODELS: dict[str, Any] = {
    name: found for name in models.__all__ if hasattr(found := getattr(models, name), "from_dict")
}
ENUMS: dict[str, Any] = {name: getattr(models, name) for name in models.__all__ if name not in MODELS}


@cache
def document() -> Any:
    return yaml.load(DOCUMENT.read_text("utf-8"), yaml.CSafeLoader)


def resolved(schema: Any) -> Any:
    while "$ref" in schema:
        found = document()
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def properties(model: str) -> dict[str, Any]:
    """The wire's names of a model's fields and their schemas."""
    found: dict[str, Any] = document()["components"]["schemas"][model]["properties"]
    return found


def identities(model: str) -> dict[str, Any]:
    """The fields that a model must have, with values."""
    schema = document()["components"]["schemas"][model]
    return {
        key: "an id" if schema["properties"][key]["type"] == "string" else 1
        for key in schema.get("required", ())
        if key in ("_id", "id", "uid", "token", "messageId")
    }


def read(model: Any, data: dict[str, Any]) -> Any:
    """Read a model, from its identities and more."""
    return model.from_dict({**identities(model.__name__), **data})


def answers() -> Iterator[tuple[Any, Any]]:
    """Schema and example of each documented JSON success, and of each webhook."""
    for item in document()["webhooks"].values():
        media = item["post"]["requestBody"]["content"]["application/json"]
        yield media["schema"], media["example"]
    for path in document()["paths"].values():
        for operation in path.values():
            for method in [operation, *operation.get("x-variants", ())] if isinstance(operation, dict) else ():
                for status, response in method.get("responses", {}).items():
                    media = resolved(response).get("content", {}).get("application/json", {})
                    if str(status).startswith("2") and "schema" in media:
                        examples = [entry["value"] for entry in media.get("examples", {}).values()]
                        for example in [*examples, *([media["example"]] if "example" in media else [])]:
                            yield media["schema"], without(method.get("x-item-envelope"), example)


def without(envelope: str | None, value: Any) -> Any:
    """An example without the envelopes of its entries."""
    if isinstance(value, list):
        return [entry[envelope] if isinstance(entry, dict) and envelope in entry else entry for entry in value]
    return {key: without(envelope, entry) for key, entry in value.items()} if isinstance(value, dict) else value


def instances(schema: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Names of models, and the parts of an example that are theirs."""
    for part in (part for kind in ("allOf", "anyOf", "oneOf") for part in schema.get(kind, ())):
        yield from instances(part, value)
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = resolved(schema)
    if isinstance(value, dict):
        if name in MODELS:
            yield name, value
        for key, entry in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(inner, dict):
                yield from instances(inner, entry)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for entry in value:
            yield from instances(schema["items"], entry)
