"""Documents with wrong objects in them: keys, kinds of values, references, operations, parameters, x- keywords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .support import run, write

HEAD = """\
openapi: 3.1.0
info: {title: Small, version: "1"}
"""
PLATFORM = HEAD + "x-platform: connectycube\n"
GET = """\
paths:
  /things/{id}:
    get:
      operationId: things_get
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
"""
DONE = "      responses: {'204': {description: Done.}}\n"


def faults(tmp_path: Path, **files: str) -> list[str]:
    """The faults of a folder's files as the project's own spec, named by the files alone."""
    if "x-platform" not in files["api"]:
        files["api"] += "x-platform: connectycube\n"
    spec = write(tmp_path, **files)
    out = tmp_path / "out"
    outcome = run("--spec", spec, "--out", out)
    assert outcome.status == 1
    assert not out.exists()
    return [line.replace(f"{spec}/", "") for line in outcome.faults]


def case(name: str, text: str, *expected: str) -> Any:
    return pytest.param(text, list(expected), id=name)


KEYS = [
    case(
        "document",
        HEAD + "path: {}\n",
        "api.yaml:3: unknown key 'path' in the document. Write 'paths'.",
    ),
    case(
        "without info",
        "openapi: 3.1.0\npaths: {}\n",
        "api.yaml:1: the document without 'info'. Add 'info'.",
    ),
    case(
        "operation",
        HEAD + GET + "      sumary: Get it.\n" + DONE,
        "api.yaml:8: unknown key 'sumary' in an operation object. Write 'summary'.",
    ),
    case(
        "several in one object",
        "openapi: 3.1.0\ninfo: {titel: Small, versoin: '1'}\n",
        "api.yaml:2: an info object without 'title'. Add 'title'.",
        "api.yaml:2: an info object without 'version'. Add 'version'.",
        "api.yaml:2: unknown key 'titel' in an info object. Write 'title'.",
        "api.yaml:2: unknown key 'versoin' in an info object. Write 'version'.",
    ),
    case(
        "operation without responses",
        HEAD + GET,
        "api.yaml:6: an operation object without 'responses'. Add 'responses'.",
    ),
    case(
        "schema",
        HEAD + "components:\n  schemas:\n    Thing:\n      type: object\n      propertys: {}\n",
        "api.yaml:7: unknown key 'propertys' in a schema object. Write 'properties'.",
    ),
    case(
        "nested schema",
        HEAD + "components:\n  schemas:\n    Thing:\n      properties:\n        a: {type: string, maxLenght: 3}\n",
        "api.yaml:7: unknown key 'maxLenght' in a schema object. Write 'maxLength'.",
    ),
    case(
        "nothing near",
        HEAD + "components:\n  schemas:\n    Thing: {zzz: 1}\n",
        "api.yaml:5: unknown key 'zzz' in a schema object. Remove it or start it with 'x-'.",
    ),
    case(
        "parameter",
        HEAD + GET + DONE + "    parameters:\n      - {name: a, in: query, requierd: true, schema: {type: string}}\n",
        "api.yaml:10: unknown key 'requierd' in a parameter object. Write 'required'.",
    ),
    case(
        "keyword of a platform's operation",
        PLATFORM + GET + "      x-fact: [R-001]\n" + DONE,
        "api.yaml:9: unknown key 'x-fact' in an operation object. Write 'x-facts'.",
    ),
    case(
        "keyword of a platform's schema",
        PLATFORM + "components:\n  schemas:\n    Thing: {x-made-up: 1}\n",
        "api.yaml:6: unknown key 'x-made-up' in a schema object. Known here are x-additional-name, x-default-sent, "
        "x-enum-varnames, x-from-client, x-id-of, x-index-from, x-items, x-merged, x-positional, "
        "x-python-name, x-secret; see docs/spec-language.md.",
    ),
    case(
        "keyword of a platform's other object",
        PLATFORM + GET + DONE + "    x-page: {style: offset}\n",
        "api.yaml:10: unknown key 'x-page' in a path item object. It belongs in an operation object.",
    ),
    case(
        "keyword where a platform has none",
        PLATFORM + "tags:\n  - {name: things, x-colour: red}\n",
        "api.yaml:5: unknown key 'x-colour' in a tag object. There are none here; see docs/spec-language.md.",
    ),
    case(
        "misspelled format of a platform",
        PLATFORM + "components:\n  schemas:\n    Thing: {type: integer, format: unix-tme}\n",
        "api.yaml:6: unknown format 'unix-tme'. Write 'unix-time'.",
    ),
    case(
        "unknown format of a platform",
        PLATFORM + "components:\n  schemas:\n    Thing: {type: string, format: zzz}\n",
        "api.yaml:6: unknown format 'zzz'. Known are unix-time, bool-int, comma-list, index-map and those of OpenAPI.",
    ),
    case(
        "format of a platform with another type",
        PLATFORM + "components:\n  schemas:\n    Thing: {type: [string, 'null'], format: unix-time}\n",
        "api.yaml:6: the format 'unix-time' does not go with the type ['string', 'null']. Write 'type: integer'.",
    ),
]

KINDS = [
    case(
        "not a mapping", HEAD + "paths:\n  /a: [get]\n", "api.yaml:4: '/a' is not a mapping. Write a path item object."
    ),
    case("not a mapping of names", HEAD + "paths: 5\n", "api.yaml:3: 'paths' is not a mapping. Write a mapping."),
    case(
        "not a list",
        HEAD + GET + "      tags: things\n" + DONE,
        "api.yaml:8: 'tags' is not a list. Write a list.",
    ),
    case(
        "entry",
        HEAD + GET + "      tags:\n        - things\n        - 7\n" + DONE,
        "api.yaml:10: an entry of 'tags' is not a string. Write a string.",
    ),
    case(
        "parameter",
        HEAD + GET.replace("[{", "[id, {") + DONE,
        "api.yaml:7: an entry of 'parameters' is not a mapping. Write a parameter object.",
    ),
    case(
        "text",
        HEAD + GET.replace("things_get", "17") + DONE,
        "api.yaml:6: 'operationId' is not a string. Write a string.",
    ),
    case(
        "truth value",
        HEAD + GET.replace("true", "1") + DONE,
        "api.yaml:7: 'required' is not true or false. Write true or false.",
    ),
    case(
        "number",
        HEAD + "components:\n  schemas:\n    Thing: {maxLength: true}\n",
        "api.yaml:5: 'maxLength' is not a whole number. Write a whole number.",
    ),
    case(
        "type",
        HEAD + "components:\n  schemas:\n    Thing:\n      type: [strnig, 'null']\n",
        "api.yaml:6: unknown type 'strnig'. Write 'string'.",
    ),
    case(
        "version",
        "openapi: 2.0.0\ninfo: {title: Small, version: '1'}\n",
        "api.yaml:1: OpenAPI 2.0.0 is not supported. Convert the document to OpenAPI 3.0 or 3.1.",
    ),
    case(
        "swagger",
        "swagger: '2.0'\ninfo: {title: Small, version: '1'}\n",
        "api.yaml:1: the document without 'openapi'. Add 'openapi'.",
        "api.yaml:1: unknown key 'swagger' in the document. Remove it or start it with 'x-'.",
    ),
]

REFERENCES = [
    case(
        "local",
        HEAD + "components:\n  schemas:\n    Thing: {type: object}\n    Other: {$ref: '#/components/schemas/Thin'}\n",
        "api.yaml:6: the reference '#/components/schemas/Thin' points to nothing. Write 'Thing'.",
    ),
    case(
        "nothing near",
        HEAD + "components:\n  schemas:\n    Other: {$ref: '#/components/schemas/Thing'}\n",
        "api.yaml:5: the reference '#/components/schemas/Thing' points to nothing. Add it under components/schemas.",
    ),
    case(
        "response",
        HEAD + GET + "      responses:\n        '204': {$ref: '#/components/responses/Gone'}\n",
        "api.yaml:9: the reference '#/components/responses/Gone' points to nothing. Add it under components/responses.",
    ),
    case(
        "parameter",
        HEAD + GET.replace("[{name", "[{$ref: '#/components/parameters/Limit'}, {name") + DONE,
        "api.yaml:7: the reference '#/components/parameters/Limit' points to nothing. "
        "Add it under components/parameters.",
    ),
    case(
        "web",
        HEAD + "components:\n  schemas:\n    Other: {$ref: 'https://example.com/thing.json'}\n",
        "api.yaml:5: the reference 'https://example.com/thing.json' leaves the spec. Refer to one of api.yaml.",
    ),
    case(
        "out of the folder",
        HEAD + "components:\n  schemas:\n    Other: {$ref: '../../etc/passwd#/a'}\n",
        "api.yaml:5: the reference '../../etc/passwd#/a' leaves the spec. Refer to one of api.yaml.",
    ),
    case(
        "not a string",
        HEAD + "components:\n  schemas:\n    Other: {$ref: [1]}\n",
        "api.yaml:5: '$ref' is not a string. Write a string.",
    ),
    case(
        "plain value",
        HEAD + "components:\n  schemas:\n    Other: {$ref: '#/info/title'}\n",
        "api.yaml:5: the reference '#/info/title' points to nothing. Add it under components/schemas.",
    ),
    case(
        "to itself",
        HEAD + "components:\n  parameters:\n    A: {$ref: '#/components/parameters/A'}\n",
        "api.yaml:5: the reference '#/components/parameters/A' leads back to itself. "
        "Refer to an object that does not refer to this one.",
    ),
    case(
        "in a circle",
        HEAD
        + "components:\n  schemas:\n    A: {$ref: '#/components/schemas/B'}\n    B: {$ref: '#/components/schemas/A'}\n",
        "api.yaml:5: the reference '#/components/schemas/B' leads back to itself. "
        "Refer to an object that does not refer to this one.",
        "api.yaml:6: the reference '#/components/schemas/A' leads back to itself. "
        "Refer to an object that does not refer to this one.",
    ),
    case(
        "parent of itself",
        HEAD + "components:\n  schemas:\n    A: {allOf: [{$ref: '#/components/schemas/B'}, {type: object}]}\n"
        "    B: {allOf: [{$ref: '#/components/schemas/A'}, {type: object}]}\n    C: {oneOf: [{$ref: "
        "'#/components/schemas/A'}]}\n    D: {anyOf: [{$ref: '#/components/schemas/D'}, {type: 'null'}]}\n",
        "api.yaml:5: the schema 'A' includes itself. Break the circle of references.",
        "api.yaml:6: the schema 'B' includes itself. Break the circle of references.",
        "api.yaml:8: the schema 'D' includes itself. Break the circle of references.",
    ),
]

OPERATIONS = [
    case(
        "id twice",
        HEAD + GET + DONE + "    put:\n      operationId: things_get\n"
        "      parameters: [{name: id, in: path, required: true}]\n" + DONE,
        "api.yaml:10: the operation id 'things_get' is already defined at api.yaml:6. Give each operation its own id.",
    ),
    case(
        "id of a variant",
        HEAD + GET + DONE + "      x-variants:\n        - operationId: things_get\n"
        "          parameters: [{name: id, in: path, required: true}]\n    " + DONE,
        "api.yaml:10: the operation id 'things_get' is already defined at api.yaml:6. Give each operation its own id.",
    ),
    case(
        "platform's operation without id",
        PLATFORM + GET.replace("      operationId: things_get\n", "") + DONE,
        "api.yaml:7: an operation without an id. Add 'operationId: <resource>_<method>'.",
    ),
    case(
        "path parameter not declared",
        HEAD + "paths:\n  /things/{id}:\n    get:\n" + DONE + "      operationId: things_get\n",
        "api.yaml:6: the path parameter 'id' of '/things/{id}' is not declared. "
        "Add a parameter with 'name: id' and 'in: path'.",
    ),
    case(
        "path parameter not in the path",
        HEAD + GET.replace("[{", "[{name: idd, in: path, required: true}, {") + DONE,
        "api.yaml:7: the path parameter 'idd' is not in the path '/things/{id}'. Write 'id'.",
    ),
    case(
        "path parameter not in the path, nothing near",
        HEAD + GET.replace("[{", "[{name: other, in: path, required: true}, {") + DONE,
        "api.yaml:7: the path parameter 'other' is not in the path '/things/{id}'. Put it in the path.",
    ),
    case(
        "path parameter declared twice",
        HEAD + GET.replace("[{", "[{name: id, in: path, required: true}, {") + DONE,
        "api.yaml:7: the parameter 'id' is declared twice. Remove one of them.",
    ),
    case(
        "path parameter twice in the path",
        HEAD + GET.replace("/things/{id}", "/things/{id}/{id}") + DONE,
        "api.yaml:4: the path '/things/{id}/{id}' names a parameter twice. Give each its own name.",
    ),
    case(
        "place",
        HEAD + GET.replace("[{", "[{name: a, in: body}, {") + DONE,
        "api.yaml:7: 'body' is not a value of 'in'. Write one of query, header, path, cookie.",
    ),
    case(
        "path without slash",
        HEAD + GET.replace("/things", "things") + DONE,
        "api.yaml:4: the path 'things/{id}' does not start with '/'. Put a '/' before it.",
    ),
    case(
        "behind a reference",
        HEAD + "paths:\n  /things/{id}: {$ref: '#/components/pathItems/Thing'}\ncomponents:\n  pathItems:\n"
        "    Thing:\n      get:\n  " + DONE + "        operationId: things_get\n",
        "api.yaml:9: the path parameter 'id' of '/things/{id}' is not declared. "
        "Add a parameter with 'name: id' and 'in: path'.",
    ),
]

LIST = GET.replace("/{id}", "").replace("[{name: id, in: path, required: true, schema: {type: string}}]", "[]")
FILTERS = HEAD + LIST + "      x-filters:\n        name: ThingFilters\n        lists: comma\n"

KEYWORDS = [
    case(
        "style of page",
        HEAD + LIST + "      x-page: {style: pages, items: items, limit: limit, id: id}\n" + DONE,
        "api.yaml:8: 'pages' is not a value of 'style'. Write one of offset, number, keyset.",
    ),
    case(
        "key of page missing",
        HEAD + LIST + "      x-page: {style: offset, items: items, limit: limit, id: id}\n" + DONE,
        "api.yaml:8: missing or unknown in the page: offset. Give id, items, limit, offset, style.",
    ),
    case(
        "key of another page",
        HEAD + LIST + "      x-page: {style: number, items: a, limit: b, id: c, number: d, field: e}\n" + DONE,
        "api.yaml:8: missing or unknown in the page: field. Give id, items, limit, number, style.",
    ),
    case(
        "unknown key of page",
        HEAD + LIST + "      x-page: {style: number, items: a, limit: b, id: c, numbr: d}\n" + DONE,
        "api.yaml:8: unknown key 'numbr' in a page object. Write 'number'.",
    ),
    case(
        "page is not a mapping",
        HEAD + LIST + "      x-page: offset\n" + DONE,
        "api.yaml:8: 'x-page' is not a mapping. Write a page object.",
    ),
    case(
        "filters without fields",
        FILTERS + DONE,
        "api.yaml:9: a filters object without 'fields'. Add 'fields'.",
    ),
    case(
        "filters' lists",
        FILTERS.replace("comma", "commas") + "        fields: {}\n" + DONE,
        "api.yaml:10: 'commas' is not a value of 'lists'. Write 'comma'.",
    ),
    case(
        "operator",
        FILTERS + "        fields:\n          type:\n            operators: [gt, lte, nn]\n" + DONE,
        "api.yaml:13: 'nn' is not a value of 'operators'. Write 'nin'.",
    ),
    case(
        "helper",
        PLATFORM + LIST + "      x-helper: file.upload\n" + DONE,
        "api.yaml:9: 'file.upload' is not a value of 'x-helper'. Write 'files.upload'.",
    ),
    case(
        "id of an unknown schema",
        HEAD + "components:\n  schemas:\n    User: {properties: {id: {}}}\n    Id: {type: string, x-id-of: Usr}\n",
        "api.yaml:6: 'x-id-of' names no schema: 'Usr'. Write 'User'.",
    ),
    case(
        "id that is no property",
        HEAD + "components:\n  schemas:\n    File: {properties: {_id: {}, uid: {}}}\n    Id: {x-id-of: File.uuid}\n",
        "api.yaml:6: 'x-id-of' names no property of 'File': 'uuid'. Write 'uid'.",
    ),
    case(
        "key of a filter",
        FILTERS + "        fields:\n          type: {scheme: {type: string}}\n" + DONE,
        "api.yaml:12: unknown key 'scheme' in a filter object. Write 'schema'.",
    ),
]


@pytest.mark.parametrize(("text", "expected"), KEYS)
def test_unknown_and_missing_keys(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, api=text) == expected


@pytest.mark.parametrize(("text", "expected"), KINDS)
def test_types_of_values(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, api=text) == expected


@pytest.mark.parametrize(("text", "expected"), REFERENCES)
def test_references(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, api=text) == expected


@pytest.mark.parametrize(("text", "expected"), OPERATIONS)
def test_operations(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, api=text) == expected


@pytest.mark.parametrize(("text", "expected"), KEYWORDS)
def test_keywords(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, api=text) == expected


def test_reference_to_another_file(tmp_path: Path) -> None:
    api = HEAD + "components:\n  schemas:\n    A: {$ref: 'other.yaml#/components/schemas/Thin'}\n"
    other = HEAD + "components:\n  schemas:\n    Thing: {type: object}\n"
    assert faults(tmp_path, api=api, other=other) == [
        "api.yaml:5: the reference '#/components/schemas/Thin' points to nothing. Write 'Thing'."
    ]


def test_reference_to_a_missing_file(tmp_path: Path) -> None:
    api = HEAD + "components:\n  schemas:\n    A: {$ref: 'users.yaml#/components/schemas/User'}\n"
    assert faults(tmp_path, api=api, other=HEAD) == [
        "api.yaml:5: the reference 'users.yaml#/components/schemas/User' leaves the spec. "
        "Refer to one of api.yaml, other.yaml."
    ]


def test_operation_id_in_two_files(tmp_path: Path) -> None:
    other = (GET + DONE).replace("/things", "/others")
    assert faults(tmp_path, api=HEAD + GET + DONE, other=HEAD + other) == [
        "other.yaml:6: the operation id 'things_get' is already defined at api.yaml:6. Give each operation its own id."
    ]


def test_keywords_of_other_tools_are_allowed_without_a_platform(tmp_path: Path) -> None:
    spec = write(tmp_path, api=HEAD + GET + "      x-made-up: {a: [1]}\n" + DONE)
    assert run("--spec", spec, "--out", tmp_path / "out").status == 0
