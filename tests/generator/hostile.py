"""Documents whose every free text is hostile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .support import Node

ATTACK = 'import os; os.system("touch pwned")'

NASTY = [
    "'",
    '"',
    "'''",
    '"""',
    '""""',
    'ends with "',
    "ends with \\",
    "\\",
    "\\\\",
    '\\"',
    "\\n",
    "\\N{DASH}",
    "\\x",
    "\\u",
    "a\nb",
    f"a\n{ATTACK}",
    f"# \r{ATTACK}",
    f"\x0c{ATTACK}",
    f"\x85{ATTACK}",
    f"\u2028{ATTACK}\u2029",
    f'"); {ATTACK}  #',
    f"'); {ATTACK}  #",
    f'"""\n{ATTACK}\n"""',
    f"'''\n{ATTACK}\n'''",
    f'\\"""\n{ATTACK}\n"""',
    '{__import__("os").system("touch pwned")}',
    "{{ 7*7 }}",
    "{% for x in y %}",
    "{# comment",
    "{{ ''.__class__.__mro__ }}",
    "{",
    "}",
    "{0}",
    "%s",
    "$(touch pwned)",
    "`touch pwned`",
    "../../pwned",
    "..",
    ".",
    "/pwned",
    "C:\\pwned",
    "~/pwned",
    "con",
    "\x00",
    "\x1b[31m",
    "\x7f",
    "\ufeff",
    "\u202e",
    "\u200b",
    "\U0001f600",
    "\U0001f601",
    "é",
    "ﬁ",
    "ª",
    "\u0661",
    "变量",
    "",
    " ",
    "_",
    "__",
    "___",
    "1",
    "1a",
    "-1",
    "a-b",
    "a_b",
    "a b",
    "A_B",
    "aB",
    "AB",
    "Ab",
    "x_1a",
    "X1A",
    "x" * 3000,
    *"class import None True def lambda async await match type self cls print id".split(),
    *"Any list str int bool dict bytes float Mapping Sequence Self Literal Enum IntEnum StrEnum object".split(),
    *"TypedDict Required NotRequired Model Page AsyncPage Call Operation Client AsyncClient Omit OMIT".split(),
    *"ApiError NotFound InvalidArgument Exception ValueError Wire Models Inputs Dt Class Text Number List".split(),
    *"__class__ __init__ __dict__ __name__ __getattr__ __all__ __slots__ _convert mro name value".split(),
    *"wire inputs models filters_ filters calls path query headers body content dt cast extra field define".split(),
    *"from_dict to_dict classmethod property lazy deadline get data with_raw_response with_options close".split(),
    *"aclose base_url timeout max_retries http_client httpx errors type builtins unwrap value values k0 k1".split(),
    *"default properties required items enum $ref allOf example nullable x-wire in".split(),
]


def document(texts: Sequence[str]) -> Node:
    """A document with each of the texts in every place that takes free text."""
    paths: Node = {}
    schemas: Node = {}
    schemes: Node = {}
    for number, text in enumerate(texts):
        _add(paths, schemas, schemes, number, text)
    everything = " ".join(texts)
    return {
        "openapi": "3.1.0",
        "info": {"title": everything, "description": everything, "version": everything},
        "servers": [{"url": f"http://localhost/{everything}", "description": everything}],
        "tags": [{"name": text, "description": text} for text in texts],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }


def _add(paths: Node, schemas: Node, schemes: Node, number: int, text: str) -> None:
    flat = text.replace("{", "").replace("}", "")
    schemas[text] = _schema(number, text)
    schemas[f"Enum{number}"] = {"type": "string", "enum": [text, f"{text}!", f"{text}?"], "description": text}
    schemes[text] = {"type": "apiKey", "in": "header", "name": text, "description": text}
    schemes[f"bearer {text}"] = {"type": "http", "scheme": "bearer"}
    paths[f"/{number}/{flat}/{{{flat}}}"] = {"put": _put(number, text, flat)}
    paths[f"/{number}/query"] = {"get": _get(number, text)}


def _schema(number: int, text: str) -> Node:
    return {
        "type": "object",
        "title": text,
        "description": text,
        "required": [text],
        "properties": {
            text: {"type": "string", "description": text, "default": text, "example": text, "pattern": text},
            f"{text} ": {"type": "integer", "description": text, "x-python-name": text},
            f"enum{number}": {"$ref": f"#/components/schemas/Enum{number}"},
            "named": {"type": "integer", "enum": [1, 2, 3], "x-enum-varnames": [text, text, ""]},
            "inner": {"type": "object", "properties": {text: {"type": "array", "items": {"const": text}}}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "enum": [text]}},
        },
        "additionalProperties": {"type": "integer"},
        "x-additional-name": text,
    }


def _put(number: int, text: str, flat: str) -> Node:
    reference = text.replace("~", "~0").replace("/", "~1").replace("%", "%25")
    schema = {"$ref": f"#/components/schemas/{reference}"}
    body = {
        "type": "object",
        "properties": {
            text: schema,
            f"-{text}": {"type": "string", "x-from-client": text},
            f"+{text}": {"type": "string", "default": text, "x-default-sent": True},
        },
        "additionalProperties": True,
        "x-additional-name": text,
    }
    return {
        "operationId": text if text else f"op{number}",
        "tags": [text],
        "summary": text,
        "description": text,
        "security": [{text: []}],
        "x-facts": [text],
        "parameters": [
            {"name": flat, "in": "path", "required": True, "description": text, "schema": {"type": "string"}},
            {"name": text, "in": "query", "x-python-name": text, "schema": {"enum": [text]}, "example": text},
            {"name": text, "in": "header", "description": text, "schema": {"type": "integer"}},
        ],
        "requestBody": {"description": text, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": text, "content": {f"application/json; {text}": {"schema": schema}}},
            "404": {
                "description": text,
                "content": {"application/json": {"schema": {}, "examples": {text: {"value": {text: text}}}}},
            },
        },
        "servers": [{"url": text}],
    }


def _get(number: int, text: str) -> Node:
    page = {"type": "object", "properties": {text: {"type": "array", "items": {"type": "object"}}}}
    return {
        "operationId": f"list {number} {text}",
        "tags": [f"{text} {number}"],
        "deprecated": True,
        "x-fixed-query": {text: text},
        "x-response-envelope": text,
        "x-filters": {
            "name": text,
            "lists": "comma",
            "fields": {
                text: {"schema": {"type": "string"}, "operators": ["in", "gt"], "description": text, "x-v1-type": text},
                f"{text}!": {"schema": True},
                f"{text}.": {"schema": {"type": "object", "additionalProperties": {"type": "integer"}}},
            },
        },
        "parameters": [
            {"name": text, "in": "query", "style": text, "schema": {"type": "array", "items": {"type": "string"}}},
            {"name": f" {text}", "in": "query", "content": {text or "a/b": {"schema": {"type": "string"}}}},
        ],
        "requestBody": {"content": {text or "a/b": {"schema": {"type": "string", "format": text}}}},
        "responses": {"200": {"description": text, "content": {"application/json": {"schema": page}}}},
    }


def paged(text: str) -> Any:
    """An operation whose page is described with a hostile text."""
    items = {"type": "array", "items": {"type": "object", "properties": {text: {"type": "integer"}}}}
    answer = {"type": "object", "properties": {text: items}}
    return {
        "x-page": {"style": "offset", "items": text, "limit": text, "id": text, "offset": text},
        "x-item-envelope": text,
        "parameters": [{"name": text, "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": {"description": text, "content": {"application/json": {"schema": answer}}}},
    }
