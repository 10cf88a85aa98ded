"""openapi-python-client as a library: the Python type of each schema.

Its parser decides which type a schema has, what an `allOf` adds up to, and which schemas contradict themselves. Beside
that the project uses its rules for identifiers, in `naming.py`, and its Jinja environment, in `render.py`. Everything
else, such as requests, answers, descriptions, examples and the keywords of this project, is read from the document.

The parser makes an identifier of each property's name and each enum's value, and gives up where two of them become the
same. Names are this project's business, so it sees `k0`, `k1` and so on in their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openapi_python_client import schema as oai
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import ParseError
from openapi_python_client.parser.properties import ModelProperty, Schemas, build_schemas, property_from_data
from openapi_python_client.schema.openapi_schema_pydantic import Components
from openapi_python_client.schema.untrusted_string import UntrustedString
from pydantic import ValidationError

from ..faults import SpecFaults
from ..source import Map, fault

NAME = UntrustedString("value")
"""The parser wants a name for its messages."""


class Contradiction(Exception):
    """The parser can't tell the type of a schema."""


class Engine:
    """The parser, and the schemas that it has read."""

    def __init__(self, document: Map, schemas: dict[str, dict[str, Any]], source: Path) -> None:
        self.config = Config.from_sources(
            config_file=ConfigFile(post_hooks=[]),
            meta_type=MetaType.NONE,
            document_source=source,
            file_encoding="utf-8",
            overwrite=True,
            output_path=None,
        )
        self._keys: dict[str, str] = {}
        self.errors: list[str] = []
        """The schemas that are free values, and why."""
        while not self._read(document, schemas):
            pass
        self._names = {key: name for name, key in self._keys.items()}
        self.models = {str(name): prop for name, prop in self._schemas.classes_by_name.items() if _is_model(prop)}

    def _read(self, document: Map, schemas: dict[str, dict[str, Any]]) -> bool:
        """Let the parser read all schemas, and make those that it gives up on free values.

        :returns: whether there were none.
        """
        handed = {name: self._handed(node) for name, node in schemas.items()}
        try:
            components = Components.model_validate({"schemas": handed}).schemas or {}
        except ValidationError as error:
            wrong = {str(found["loc"][1]) for found in error.errors() if len(found["loc"]) > 1} & schemas.keys()
            if not wrong:
                problem = " ".join(f"openapi-python-client can't read a schema: {error}".split())
                raise SpecFaults([fault(document, None, problem, "Correct the schema")]) from error
            self._free(schemas, dict.fromkeys(sorted(wrong), "it is malformed"))
            return False
        self._schemas = build_schemas(components=components, schemas=Schemas(), config=self.config)
        read = {ref.get_untrusted_value().rpartition("/")[2] for ref in self._schemas.classes_by_reference}
        wrong = {name for name in schemas if name not in read}
        reasons = [error.detail or error.header for error in self._schemas.errors]
        self._free(schemas, {name: "; ".join(dict.fromkeys(reasons)) for name in sorted(wrong)})
        return not wrong

    def _free(self, schemas: dict[str, dict[str, Any]], names: dict[str, str]) -> None:
        for name, reason in names.items():
            for key in schemas[name].keys() - {"description", "x-nullable"}:
                del schemas[name][key]
            self.errors.append(" ".join(f"{name}: {reason}".split()))

    @property
    def data(self) -> GeneratorData:
        """What openapi-python-client's own renderer must be given: this project's templates use none of it."""
        text = UntrustedString("")
        return GeneratorData(text, None, text, [], [], {}, [])

    def property(self, node: dict[str, Any]) -> Any:
        """Let the parser read a prepared schema.

        :raises Contradiction: if it can't.
        """
        handed = self._handed(node)
        data = oai.Reference.model_validate(handed) if "$ref" in handed else oai.Schema.model_validate(handed)
        prop, _ = property_from_data(
            name=NAME, required=True, data=data, schemas=self._schemas, parent_name="", config=self.config
        )
        if isinstance(prop, ParseError):
            raise Contradiction(prop.detail or prop.header)
        return prop

    def whole(self, prop: Any) -> Any:
        """Get a model as it is after all schemas were read: what refers to it holds an earlier copy."""
        return self.models.get(str(prop.class_info.name), prop) if _is_model(prop) else prop

    def properties(self, prop: ModelProperty) -> Iterator[tuple[str, Any]]:
        """The properties of a model, those that are required first."""
        for inner in (*(prop.required_properties or ()), *(prop.optional_properties or ())):
            yield self._names[inner.name.get_untrusted_value()], inner

    def _handed(self, node: Any) -> Any:
        """A prepared schema as the parser gets it: without this project's keywords, and with keys for names."""
        if isinstance(node, list):
            return [self._handed(entry) for entry in node]
        if not isinstance(node, dict):
            return node
        found = {
            key: self._handed(value)
            for key, value in node.items()
            if key not in ("default", "properties") and not key.startswith("x-")
        }
        if isinstance(node.get("properties"), dict):
            found["properties"] = {self._key(name): self._handed(value) for name, value in node["properties"].items()}
            found["required"] = [self._key(name) for name in node.get("required", ())]
        if "enum" in node:
            found["x-enum-varnames"] = [f"K{index}" for index in range(len(node["enum"]))]
        return found

    def _key(self, name: str) -> str:
        return self._keys.setdefault(name, f"k{len(self._keys)}")


def _is_model(prop: Any) -> bool:
    return isinstance(prop, ModelProperty)
