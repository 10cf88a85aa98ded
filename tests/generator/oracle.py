"""A second opinion: openapi-core checks requests and responses against a raw document, as its author wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from .server import Request
from .support import Node


@dataclass
class Sent:
    """A request as openapi-core wants it."""

    host_url: str
    path: str
    method: str
    body: bytes
    content_type: str
    parameters: RequestParameters


@dataclass
class Answered:
    """A response as openapi-core wants it."""

    status_code: int
    data: bytes
    content_type: str
    headers: Headers


class Oracle:
    """What the document allows.

    :param spec: the document's file.
    :param url: where the requests go. The document's own servers count only if they are there.
    """

    def __init__(self, spec: Path, url: str) -> None:
        text = spec.read_text(encoding="utf-8")
        self.document: Node = yaml.load(text, yaml.CSafeLoader)
        self.url = url
        served = self.document if url.removeprefix("http://") in text else _without_servers(self.document)
        # The generator decides what it accepts: here a document is taken as it is.
        unchecked: Any = None
        config = Config(spec_validator_cls=unchecked)
        self._openapi = OpenAPI.from_dict(served, config=config, base_uri=spec.as_uri())

    def check_request(self, request: Request) -> None:
        """Raise an error if the document doesn't allow a request."""
        for error in self._openapi.iter_request_errors(self._sent(request)):
            raise _explained("the request", error)

    def check_response(self, request: Request, answer: Node) -> None:
        """Raise an error if the document doesn't allow an answer, as the stub server takes it."""
        body = answer.get("body", b"")
        data = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        headers = Headers(answer.get("headers", {}))
        answered = Answered(answer["status"], data, headers.get("Content-Type", ""), headers)
        if data:
            for error in self._openapi.iter_response_errors(self._sent(request), answered):
                raise _explained("the sampled answer", error)

    def _sent(self, request: Request) -> Sent:
        url = urlsplit(request.target)
        cookies = SimpleCookie(request.headers.get("cookie", ""))
        query: Any = ImmutableMultiDict(request.query)
        pairs: Any = ImmutableMultiDict({name: morsel.value for name, morsel in cookies.items()})
        parameters = RequestParameters(query=query, header=Headers(request.header_lines), cookie=pairs)
        content_type = request.headers.get("content-type", "")
        return Sent(self.url, url.path, request.method.lower(), request.body, content_type, parameters)


def _explained(what: str, error: Exception) -> AssertionError:
    causes = [str(one.message) for one in getattr(error.__cause__, "schema_errors", ())]
    return AssertionError(f"the document does not allow {what}: {error!r} {'; '.join(causes)}")


def _without_servers(node: Any) -> Any:
    """Return a copy without the lists of servers, so that each path starts at the stub server's root."""
    if isinstance(node, dict):
        served = isinstance(node.get("servers"), list)
        return {key: _without_servers(value) for key, value in node.items() if not (served and key == "servers")}
    return [_without_servers(item) for item in node] if isinstance(node, list) else node
