"""The bundled OpenAPI document, prepared for checking requests and answers.

The sandbox reads filters from the keyword `x-filters` (docs/spec-language.md), so it skips the parameters that say the
same in standard terms.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, cached_property
from importlib import resources
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from attrs import field, frozen
from starlette.convertors import Convertor, register_url_convertor

from ..filters import FilterSpec

__all__ = ["Document", "Operation", "load_document", "read_document"]

METHODS = ("get", "post", "put", "delete")
SERVER = "http://sandbox.invalid"
"""Paths are matched without the sandbox's address."""
PAGING = frozenset({"limit", "skip", "offset", "page", "per_page", "sort_asc", "sort_desc", "count"})


@frozen(kw_only=True, eq=False)
class Operation:
    """An operation, including its variants.

    :ivar source: the operation in the prepared document.
    """

    id: str
    method: str
    path: str
    source: Mapping[str, Any]
    document: Mapping[str, Any] = field(repr=False)

    @property
    def row(self) -> str:
        """Id of its fact, such as R-043."""
        return next((fact for fact in self.source.get("x-facts", ()) if fact.startswith("R-")), "R-?")

    @cached_property
    def schemes(self) -> list[str | None]:
        """Security schemes, any one of which suffices. `None` means no security."""
        found = self.source.get("security", self.document.get("security", []))
        return [next(iter(entry), None) for entry in found] or [None]

    @cached_property
    def statuses(self) -> frozenset[int]:
        """The documented statuses of its answers."""
        return frozenset(int(status) for status in self.source["responses"])

    @cached_property
    def success(self) -> int:
        """The status of a successful answer."""
        return min(status for status in self.statuses if status < 400)

    @cached_property
    def parameters(self) -> list[Mapping[str, Any]]:
        """Its parameters, without those that stand for filters."""
        found = [resolve(self.document, parameter) for parameter in self.source.get("parameters", ())]
        return [parameter for parameter in found if "x-of-filters" not in parameter]

    @cached_property
    def query_names(self) -> frozenset[str]:
        return frozenset(parameter["name"] for parameter in self.parameters if parameter["in"] == "query")

    @cached_property
    def array_names(self) -> frozenset[str]:
        """Names of the query parameters that hold lists."""
        return frozenset(
            parameter["name"]
            for parameter in self.parameters
            if parameter["in"] == "query" and parameter["schema"].get("type") == "array"
        )

    @cached_property
    def body_schema(self) -> Mapping[str, Any] | None:
        """Schema of the JSON body, if there is one."""
        content = resolve(self.document, self.source.get("requestBody", {})).get("content", {})
        schema: Mapping[str, Any] | None = content.get("application/json", {}).get("schema")
        return schema

    @property
    def envelope(self) -> str | None:
        """The key that wraps the body's fields, if there is one."""
        return self.source.get("x-request-envelope")

    @cached_property
    def filters(self) -> FilterSpec | None:
        """The filters of its list, if it has any."""
        found = self.source.get("x-filters")
        if found is None and "x-filters-of" in self.source:
            found = _filters_of(self.document, self.source["x-filters-of"])
        if found is None:
            return None
        return FilterSpec(fields=found["fields"], ignored=(self.query_names | PAGING) - found["fields"].keys())

    def answers_nothing(self, status: int) -> bool:
        """Return whether an answer may have no body: the spec gives it none, or only one variant has it."""
        content = self.response(status).get("content")
        return not content or content.get("application/json", {}).get("schema", {}).get("x-merged") is False

    def response(self, status: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = resolve(self.document, self.source["responses"].get(str(status), {}))
        return found


def resolve(document: Mapping[str, Any], node: Any) -> Any:
    """Follow a node's references. Keys beside a reference take precedence."""
    while isinstance(node, Mapping) and "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _filters_of(document: Mapping[str, Any], operation_id: str) -> Any:
    for _, _, operation in _operations(document):
        if operation.get("operationId") == operation_id:
            return operation["x-filters"]
    raise LookupError(operation_id)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


class Document:
    """The prepared document.

    :param bundled: the generated document. It is changed in place: a copy would take longer than all the rest.
    :ivar source: plain OpenAPI.
    """

    def __init__(self, bundled: dict[str, Any]) -> None:
        self.source = bundled
        for _, _, operation in _operations(self.source):
            _prepare(operation)

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """The operations of the API server, by id."""
        return {one.id: one for one in self._all() if "servers" not in one.source}

    @cached_property
    def elsewhere(self) -> dict[str, Operation]:
        """The operations of other servers, by id."""
        return {one.id: one for one in self._all() if "servers" in one.source}

    def _all(self) -> Iterator[Operation]:
        for path, method, source in _operations(self.source):
            yield Operation(
                id=source["operationId"], method=method.upper(), path=path, source=source, document=self.source
            )

    def alone(self, operation: Operation) -> dict[str, Any]:
        """Return a document with one operation, where it is found quickly. Its security is checked elsewhere."""
        method, here = operation.method.lower(), [{"url": SERVER}]
        source = {**operation.source, "parameters": operation.parameters, "servers": here, "security": []}
        return {
            "openapi": self.source["openapi"],
            "info": self.source["info"],
            "servers": here,
            "paths": {operation.path: {method: source}},
            "components": self.source["components"],
        }


def _prepare(operation: dict[str, Any]) -> None:
    if operation["operationId"] == "address_book_upload":
        # The answer reports invalid contacts one by one, so the request isn't refused because of them.
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        body["properties"]["contacts"]["items"] = {}
    for parameter in operation.get("parameters", ()):
        if parameter.get("name") == operation.get("x-page", {}).get("limit"):
            parameter.get("schema", {}).pop("maximum", None)  # N-12: a larger page is cut, not refused.


def load_document() -> Document:
    """Load the document in the package, or in a checkout the generated one."""
    return Document(json.loads(_text()))


@cache
def _text() -> str:
    """Return the document as JSON: text, because a `Document` changes its own copy."""
    packed = resources.files("connectycube.sandbox").joinpath("openapi.yaml")
    kept = Path(cache_from_source(__file__)).with_name("openapi.json")
    if packed.is_file():
        with resources.as_file(packed) as path:
            return json.dumps(read_document(path, kept))
    return json.dumps(read_document(Path(__file__).parents[4] / "generated" / "openapi.yaml", kept))


def read_document(path: Path, kept: Path) -> dict[str, Any]:
    """Return a YAML file's content.

    Reading YAML takes 20 times longer than JSON, so a JSON copy is cached, as Python caches bytecode.

    :param kept: path of the copy.
    """
    status = path.stat()
    stamp = [str(path), status.st_size, status.st_mtime_ns]
    with suppress(OSError, ValueError):
        found = json.loads(kept.read_bytes())
        if isinstance(found, dict) and found.get("stamp") == stamp:
            return dict(found["document"])
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load(path.read_bytes(), Loader=loader)
    if not sys.dont_write_bytecode:
        with suppress(OSError):
            _keep(kept, json.dumps({"stamp": stamp, "document": document}))
    return document


def _keep(path: Path, text: str) -> None:
    """Write a file atomically: other processes may do so at the same time."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


class _Number(Convertor[int]):
    """A number that the store can hold. Longer ones don't match the route."""

    regex = "[0-9]{1,19}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", _Number())


def starlette_path(path: str, operations: Iterable[Operation]) -> str:
    """Return a path of the document as a route, in which integer parameters match only digits."""
    kinds = {
        parameter["name"]: parameter["schema"].get("type")
        for operation in operations
        for parameter in operation.parameters
        if parameter["in"] == "path"
    }
    return re.sub(
        r"\{(\w+)\}", lambda name: f"{{{name[1]}:number}}" if kinds.get(name[1]) == "integer" else name[0], path
    )
