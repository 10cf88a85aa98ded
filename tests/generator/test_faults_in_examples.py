"""Examples are checked against their schemas, and a fault names the exact line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .support import run, write

HEAD = """\
openapi: 3.1.0
info: {title: Small, version: "1"}
components:
  schemas:
    Thing:
      type: object
      required: [name]
      properties:
        name: {type: string, maxLength: 5}
        sizes: {type: array, items: {type: integer}}
        next: {$ref: "#/components/schemas/Thing"}
paths:
  /things:
    post:
      operationId: things_post
"""
DONE = "      responses: {'204': {description: Done.}}\n"
BODY = """\
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Thing"}
"""


def faults(tmp_path: Path, text: str) -> list[str]:
    spec = write(tmp_path, api=text + "x-platform: connectycube\n")
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    return [line.replace(f"{spec}/", "") for line in outcome.faults] if outcome.status else []


def parameter(schema: str, example: str) -> str:
    return (
        HEAD + f"      parameters:\n        - name: a\n          in: query\n          schema: {schema}\n{example}{DONE}"
    )


def case(name: str, text: str, *expected: str) -> Any:
    return pytest.param(text, list(expected), id=name)


FIX = "Fix the example or its schema."

CASES = [
    case(
        "parameter",
        parameter("{type: integer}", "          example: ten\n"),
        f"api.yaml:20: the example breaks its schema: 'ten' is not of type 'integer'. {FIX}",
    ),
    case(
        "named example of a parameter",
        parameter("{type: integer, maximum: 9}", "          examples:\n            big:\n              value: 10\n"),
        f"api.yaml:22: example 'big' breaks its schema: 10 is greater than the maximum of 9. {FIX}",
    ),
    case(
        "shared parameter",
        HEAD + DONE + "    parameters:\n      - {name: a, in: query, schema: {enum: [b, c]}, example: d}\n",
        f"api.yaml:18: the example breaks its schema: 'd' is not one of ['b', 'c']. {FIX}",
    ),
    case(
        "body",
        HEAD + BODY + "            example: {}\n" + DONE,
        f"api.yaml:20: the example breaks its schema: 'name' is a required property. {FIX}",
    ),
    case(
        "places inside a body",
        HEAD + BODY + "            example:\n              name: longer than five\n              sizes:\n"
        "                - 1\n                - two\n              next:\n                next:\n"
        "                  name: 5\n" + DONE,
        f"api.yaml:21: the example breaks its schema at ['name']: 'longer than five' is too long. {FIX}",
        f"api.yaml:24: the example breaks its schema at ['sizes'][1]: 'two' is not of type 'integer'. {FIX}",
        f"api.yaml:25: the example breaks its schema at ['next']: 'name' is a required property. {FIX}",
        f"api.yaml:27: the example breaks its schema at ['next']['next']['name']: 5 is not of type 'string'. {FIX}",
    ),
    case(
        "answer",
        HEAD + "      responses:\n        '200':\n          description: Done.\n          content:\n"
        "            application/json:\n              schema: {type: array, items: {$ref: "
        "'#/components/schemas/Thing'}}\n              examples:\n                two:\n                  value:\n"
        "                    - {name: a}\n                    - {name: 2}\n",
        f"api.yaml:26: example 'two' breaks its schema at [1]['name']: 2 is not of type 'string'. {FIX}",
    ),
    case(
        "refusal",
        HEAD + "      responses:\n        '204': {description: Done.}\n        '404':\n          description: No.\n"
        "          content:\n            application/problem+json:\n              schema: {type: string}\n"
        "              example: 1\n",
        f"api.yaml:23: the example breaks its schema: 1 is not of type 'string'. {FIX}",
    ),
    case(
        "unusable schema",
        parameter("{type: string, pattern: '['}", "          example: a\n"),
        "api.yaml:20: the schema of an example can't be used (unterminated character set at position 0). "
        "Fix the schema.",
    ),
]

RIGHT = [
    case(
        "properties named like keywords",
        HEAD.replace("name: {type: string, maxLength: 5}", "name: {}\n        default: {type: integer}").replace(
            "type: object\n", "type: object\n      additionalProperties: false\n"
        )
        + BODY
        + "            example: {name: {default: x, example: 1}, default: 3}\n"
        + DONE,
    ),
    case(
        "value that looks like a reference",
        parameter("{type: object}", "          example: {$ref: nowhere}\n"),
    ),
]

OLD = [
    case("nullable", "{type: string, nullable: true}", "null"),
    case("nullable enum", "{type: string, enum: [a], nullable: true}", "null"),
    case("nullable reference", "{$ref: '#/components/schemas/Thing', nullable: true}", "null"),
    case("exclusive minimum", "{type: integer, minimum: 1, exclusiveMinimum: true}", "2"),
    case("inclusive minimum", "{type: integer, minimum: 1, exclusiveMinimum: false}", "1"),
    case("exclusive maximum", "{type: integer, maximum: 9, exclusiveMaximum: true}", "8"),
    case("property named nullable", "{type: object, properties: {nullable: {type: boolean}}}", "{nullable: true}"),
]

OLD_WRONG = [
    case(
        "not nullable",
        "{type: string, nullable: false}",
        "null",
        f"api.yaml:20: the example breaks its schema: None is not of type 'string'. {FIX}",
    ),
    case(
        "exclusive minimum",
        "{type: integer, minimum: 1, exclusiveMinimum: true}",
        "1",
        f"api.yaml:20: the example breaks its schema: 1 is less than or equal to the minimum of 1. {FIX}",
    ),
    case(
        "exclusive maximum",
        "{type: integer, maximum: 9, exclusiveMaximum: true}",
        "9",
        f"api.yaml:20: the example breaks its schema: 9 is greater than or equal to the maximum of 9. {FIX}",
    ),
    case(
        "property named nullable",
        "{type: object, properties: {nullable: {type: boolean}}}",
        "{nullable: 1}",
        f"api.yaml:20: the example breaks its schema at ['nullable']: 1 is not of type 'boolean'. {FIX}",
    ),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_invalid_example(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, text) == expected


@pytest.mark.parametrize(("text", "expected"), RIGHT)
def test_valid_example(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, text) == expected == []
    assert (tmp_path / "out/client/client.py").exists()


@pytest.mark.parametrize(("schema", "expected"), [*OLD])
def test_valid_example_in_openapi_3_0(tmp_path: Path, schema: str, expected: list[str]) -> None:
    text = parameter(schema, f"          example: {expected[0]}\n").replace("3.1.0", "3.0.3")
    assert faults(tmp_path, text) == []
    assert (tmp_path / "out/client/client.py").exists()


@pytest.mark.parametrize(("schema", "expected"), OLD_WRONG)
def test_invalid_example_in_openapi_3_0(tmp_path: Path, schema: str, expected: list[str]) -> None:
    text = parameter(schema, f"          example: {expected[0]}\n").replace("3.1.0", "3.0.3")
    assert faults(tmp_path, text) == expected[1:]


def test_nullable_is_ignored_in_openapi_3_1(tmp_path: Path) -> None:
    text = parameter("{type: string, nullable: true}", "          example: null\n")
    assert faults(tmp_path, text) == [
        f"api.yaml:20: the example breaks its schema: None is not of type 'string'. {FIX}"
    ]


FILTERED = """\
openapi: 3.1.0
info: {title: Small, version: "1"}
paths:
  /things:
    get:
      operationId: things_list
      x-filters:
        name: Things
        lists: comma
        example:
          EXAMPLE
        fields:
          _id: {schema: {type: string}}
          labels: {schema: {type: object}}
      responses:
        "204": {description: Done.}
"""


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ("{_id: a, labels: {b: c}}", []),
        ("id: a", []),
        ("ids: a", ["api.yaml:11: the filters have no field 'ids'. Write 'id'."]),
        ("labels: a", ["api.yaml:11: 'labels' holds values by name. Write a mapping."]),
    ],
)
def test_example_of_filters(tmp_path: Path, example: str, expected: list[str]) -> None:
    assert faults(tmp_path, FILTERED.replace("EXAMPLE", example)) == expected


def test_example_without_a_count(tmp_path: Path) -> None:
    answer = "{content: {application/json: {schema: {}, example: {items: {number: 5}}}}, description: Count.}"
    text = FILTERED.replace("          EXAMPLE", "          {}").replace("{description: Done.}", answer)
    text = text.replace('"204"', '"200"').replace(
        "operationId: things_list", "operationId: things_count\n      x-result: count"
    )
    assert faults(tmp_path, text) == [
        "api.yaml:16: an example of the answer holds no count. Give a number, alone or as 'items', 'count' or 'total'."
    ]
