"""Checks of requests and answers against the spec, with openapi-core.

openapi-core takes a third of a second to import. The sandbox does that on a thread while it starts; a call that comes
before the import is done waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..errors import Refused
from .document import SERVER, Document, Operation

if TYPE_CHECKING:
    from openapi_core import OpenAPI

__all__ = ["BrokenAnswer", "Checks"]


class BrokenAnswer(Exception):
    """An answer doesn't conform to the spec, which is a bug in the sandbox."""


@define(kw_only=True)
class _Request:
    """A request in the form that openapi-core takes."""

    method: str
    path: str
    parameters: Any
    content_type: str
    body: bytes | None
    host_url: str = SERVER


@define(kw_only=True)
class _Response:
    """An answer in the form that openapi-core takes."""

    status_code: int
    data: bytes | None
    content_type: str = "application/json"
    headers: Mapping[str, Any] = field(factory=dict)


class Checks:
    """Checks calls against the spec of their operation."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._alone: dict[str, OpenAPI] = {}

    @staticmethod
    def warm() -> None:
        """Import openapi-core."""
        import_module("openapi_core")

    def _of(self, operation: Operation) -> OpenAPI:
        found = self._alone.get(operation.id)
        if found is None:
            from openapi_core import Config, OpenAPI

            # The generator has validated the document.
            unchecked: Any = None
            alone: Any = self._document.alone(operation)
            found = OpenAPI.from_dict(alone, config=Config(spec_validator_cls=unchecked))
            self._alone[operation.id] = found
        return found

    def request(
        self,
        operation: Operation,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Any,
    ) -> None:
        """Check a request against the spec.

        :param path: the path, without `.json`.
        :param body: the JSON value, `None` if there is none.
        :raises Refused: if it doesn't conform, with the status that the spec has for that.
        """
        request = self._request(operation, path, query, body)
        for error in self._of(operation).iter_request_errors(request):
            raise _refusal(operation, error)

    def answer(self, operation: Operation, path: str, status: int, body: Any) -> None:
        """Check an answer against the spec.

        :raises BrokenAnswer: if it doesn't conform.
        """
        if status not in operation.statuses:
            raise BrokenAnswer(f"{operation.id} answers with {status}, which its spec lacks")
        if body is None and operation.answers_nothing(status):
            return
        if not operation.response(status).get("content"):
            return
        request = self._request(operation, path, (), None)
        response = _Response(status_code=status, data=json.dumps(body).encode())
        for error in self._of(operation).iter_response_errors(request, response):
            faults = [
                f"{'/'.join(map(str, one.absolute_path))}: {one.message}"
                for one in getattr(error.__cause__, "schema_errors", ())
            ]
            raise BrokenAnswer(f"{operation.id}: {error!r}: {'; '.join(faults)}")

    def _request(self, operation: Operation, path: str, query: Sequence[tuple[str, str]], body: Any) -> _Request:
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        empty: Any = ImmutableMultiDict()
        pairs: Any = ImmutableMultiDict(query)
        parameters = RequestParameters(query=pairs, header=Headers(), cookie=empty)
        return _Request(
            method=operation.method.lower(),
            path=path,
            parameters=parameters,
            content_type="application/json" if body is not None else "",
            body=None if body is None else json.dumps(body).encode(),
        )


def _refusal(operation: Operation, error: Exception) -> Refused:
    """Return how the platform would refuse a request, without repeating its values, which may be secret."""
    name = getattr(error, "name", None)
    if name is not None:
        where = getattr(error, "location", "")
        status = _first(operation, (404, 400, 422) if where == "path" else (400, 422, 404))
        return Refused(status, {"base": [f"{name} is missing or invalid"]})
    status = _first(operation, (422, 400))
    found = list(getattr(error.__cause__, "schema_errors", ()))
    if not found:
        return Refused(_first(operation, (400, 422)), {"base": ["The body is missing or malformed"]})
    errors: dict[str, list[str]] = {}
    for one in found:
        for field_name, text in _faults(one, operation.envelope):
            texts = errors.setdefault(field_name, [])
            if text not in texts:
                texts.append(text)
    return Refused(status, errors)


def _first(operation: Operation, wanted: Iterable[int]) -> int:
    return next((status for status in wanted if status in operation.statuses), 400)


def _faults(error: Any, envelope: str | None) -> Iterable[tuple[str, str]]:
    """Yield the field and text for each problem in an error of jsonschema, which reports missing fields together."""
    names = [part for part in error.absolute_path if isinstance(part, str) and part != envelope]
    if error.validator != "required":
        return [_fault(error, names[0] if names else "base")]
    missing = [name for name in error.validator_value if name not in error.instance]
    return [(names[0], f"has no {name}") if names else (name, "is required") for name in missing]


def _fault(error: Any, field_name: str) -> tuple[str, str]:
    match error.validator:
        case "type":
            return field_name, f"must be {error.validator_value}"
        case "enum":
            return field_name, f"must be one of {', '.join(map(str, error.validator_value))}"
        case "minLength" | "minItems" | "minProperties":
            return field_name, f"is too short (minimum {error.validator_value})"
        case "maxLength" | "maxItems" | "maxProperties":
            return field_name, f"is too long (maximum {error.validator_value})"
        case "minimum" | "maximum":
            return field_name, f"must be {'at least' if error.validator == 'minimum' else 'at most'} " + str(
                error.validator_value
            )
        case "additionalProperties":
            return field_name, "has unknown fields"
        case _:
            return field_name, "is invalid"
