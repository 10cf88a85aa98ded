"""Documents of other people: faults cost the part that is wrong, and nothing outside of their folder is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import test_faults_in_examples as wrong_examples
from . import test_faults_in_objects as wrong_objects
from .support import answered, compiled, document, dump, operation, python, run, write

HEAD = "openapi: 3.1.0\ninfo: {title: Small, version: '1'}\n"
FATAL = {"version", "swagger"}
FAULTS = [
    pytest.param(*case.values, id=f"{name}: {case.id}")
    for name, cases in {
        "key": wrong_objects.KEYS,
        "kind": wrong_objects.KINDS,
        "reference": wrong_objects.REFERENCES,
        "operation": wrong_objects.OPERATIONS,
        "keyword": wrong_objects.KEYWORDS,
        "example": wrong_examples.CASES,
    }.items()
    for case in cases
    if case.id not in FATAL
]

REQUESTS = """
import httpx, {package}
def answer(request):
    print(request.method, request.url.raw_path.decode(), request.content.decode())
    return httpx.Response(204)
client = {package}.Client("http://localhost", http_client=httpx.Client(transport=httpx.MockTransport(answer)))
"""


def warned(outcome: Any) -> list[str]:
    """The warnings of a run that succeeded, without their places."""
    assert outcome.status == 0, outcome.err
    lines = outcome.err.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    return [line.split(": ", 2)[2] for line in lines]


def sent(folder: Path, *calls: str) -> list[str]:
    """The requests that a client sends."""
    code = REQUESTS.format(package="client") + "".join(f"client.{call}\n" for call in calls)
    outcome = python(code, folder)
    assert outcome.err == ""
    return outcome.out.splitlines()


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_faults_are_only_warnings(tmp_path: Path, text: str, expected: list[str]) -> None:
    spec = write(tmp_path, api=text.replace("x-platform: connectycube\n", ""))
    warned(run("--spec", spec, "--out", tmp_path / "out"))
    assert compiled(tmp_path / "out") > 10


@pytest.mark.parametrize("version", ["openapi: 2.0.0", "swagger: '2.0'", "openapi: 4.0.0", "title: x"])
def test_other_versions_are_refused_in_one_line(tmp_path: Path, version: str) -> None:
    spec = write(tmp_path, api=version + "\ninfo: {title: Small, version: '1'}\nhost: a\ndefinitions: {}\n")
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert (outcome.status, len(outcome.faults)) == (1, 1)


FAULTY = """\
paths:
  /a/{id}:
    get:
      operationId: a
      tags:
      parameters:
        - {name: q, in: query, required: "yes", schema: {type: string}}
        - [odd]
        - {name: nowhere, in: path, required: true, schema: {type: string}}
      responses: {204: {description: 5}}
  /b/{id}/{id}:
    post:
      operationId: a
      security: [{unknown: []}]
      parameters: [{$ref: '#/components/parameters/Gone'}, {name: id, in: path, required: true, schema: }]
  c: {get: {operationId: c}}
components:
  parameters:
  schemas: {A: {type: any, pattern: '\\p{L}', maxLength: 5.0, anything: goes}}
"""


def test_the_rest_of_a_faulty_document_is_sent(tmp_path: Path) -> None:
    spec = write(tmp_path, api=HEAD + FAULTY)
    found = warned(run("--spec", spec, "--out", tmp_path / "out"))
    assert [text.partition(". ")[0].partition(" at ")[0] for text in found] == [
        "the path parameter 'id' of '/a/{id}' is not declared",
        "'required' is not true or false",
        "an entry of 'parameters' is not a mapping",
        "the path parameter 'nowhere' is not in the path '/a/{id}'",
        "'description' is not a string",
        "the operation id 'a' is already defined",
        "unknown security scheme 'unknown'",
        "the reference '#/components/parameters/Gone' points to nothing",
        "the path 'c' does not start with '/'",
        "the regular expression '\\\\p{L}' can't be used (bad escape \\p",
        "unknown type 'any'",
    ]
    assert sent(tmp_path / "out", 'default.a(id="x/y", q="1")', 'default.a_2(id="z")', "default.c()") == [
        "GET /a/x%2Fy?q=1 ",
        "POST /b/z/z ",
        "GET /c ",
    ]


def test_keywords_of_the_project_that_do_not_fit_are_ignored(tmp_path: Path) -> None:
    item = answered({"type": "object", "properties": {"a": {"type": "integer"}}}, **{"x-response-envelope": "data"})
    spec = dump(tmp_path, document(paths={"/a": {"get": item}}))
    assert warned(run("--spec", spec, "--out", tmp_path / "out")) == [
        "the answer has no field 'data'. Name a property of the answer's schema."
    ]
    assert "a: int | None" in (tmp_path / "out/client/models/default.py").read_text()


def test_strict_makes_errors_of_warnings(tmp_path: Path) -> None:
    spec = write(tmp_path, api=HEAD + FAULTY)
    outcome = run("--spec", spec, "--out", tmp_path / "out", "--strict")
    assert (outcome.status, len(outcome.faults)) == (1, 11)
    assert not (tmp_path / "out").exists()


def test_strict_makes_errors_of_what_cannot_be_expressed(tmp_path: Path) -> None:
    schemes = {"digest": {"type": "http", "scheme": "digest"}}
    spec = dump(tmp_path, document(components={"securitySchemes": schemes}))
    assert warned(run("--spec", spec, "--out", tmp_path / "out"))
    assert run("--spec", spec, "--out", tmp_path / "other", "--strict").status == 1
    assert not (tmp_path / "other").exists()


def test_newest_version(tmp_path: Path) -> None:
    whole = {"name": "all", "in": "querystring", "content": {"text/plain": {"schema": {"type": "string"}}}}
    body = {"required": True, "content": {"application/json": {"schema": {"properties": {"a": {"type": "integer"}}}}}}
    item = {
        "query": operation("search", parameters=[whole], requestBody=body),
        "additionalOperations": {"COPY": {"operationId": "copy", "responses": {"204": {"summary": "Done."}}}},
    }
    more = {"$self": "https://example.com/api.yaml", "tags": [{"name": "default", "kind": "nav", "summary": "s"}]}
    spec = dump(tmp_path, {**document(paths={"/things": item}, **more), "openapi": "3.2.0"})
    assert warned(run("--spec", spec, "--out", tmp_path / "out")) == [
        "the parameter 'all' is left out: a whole query can only be sent as a form. The rest is generated."
    ]
    assert sent(tmp_path / "out", "default.search(a=1)", "default.copy()") == ['QUERY /things {"a":1}', "COPY /things "]


@pytest.mark.parametrize("single", [True, False])
def test_documents_spread_over_files(tmp_path: Path, single: bool) -> None:
    """Each reference is relative to the file that it stands in; the same name in two files makes two models."""
    files = {
        "openapi.yaml": HEAD
        + "paths:\n  /a: {$ref: 'paths/a.yaml'}\n  /b:\n    get: {$ref: 'paths/b%20c.yaml'}\n"
        + "components: {schemas: {Pet: {type: object, properties: {own: {type: integer}}}}}\n",
        "paths/a.yaml": "get: {operationId: a, responses: {'200': {$ref: '../all.yaml#/responses/Pet'}}}\n",
        "paths/b c.yaml": "operationId: b\nresponses: {'200': {description: ok, content: {application/json: "
        "{schema: {$ref: '../openapi.yaml#/components/schemas/Pet'}}}}}\n",
        "all.yaml": "responses: {Pet: {description: ok, content: {application/json: "
        "{schema: {$ref: '#/sch~1emas/Pet'}}}}}\n"
        "sch/emas: {Pet: {type: object, properties: {toy: {$ref: 'toy.yaml'}}}}\n",
        "toy.yaml": "type: object\nproperties: {owner: {$ref: 'all.yaml#/sch~1emas/Pet'}, inner: {$ref: '#'}}\n",
    }
    for name, text in files.items():
        path = tmp_path / "spec" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    spec = tmp_path / "spec" / "openapi.yaml" if single else tmp_path / "spec"
    assert warned(run("--spec", spec, "--out", tmp_path / "out")) == []
    outcome = python(
        "import client.models as m\n"
        "pet = m.Pet2.from_dict({'toy': {'owner': {'toy': {'inner': {}}}}})\n"
        "toy = pet.toy.owner.toy\n"
        "print(type(pet.toy.owner).__name__, type(toy.inner).__name__, m.Pet.from_dict({'own': 1}).own)\n",
        tmp_path / "out",
    )
    assert (outcome.out, outcome.err) == ("Pet2 Toy 1\n", "")


def outside(tmp_path: Path) -> Path:
    """A folder `spec` in a folder that holds a secret, a link out of the folder, and a pipe."""
    folder = tmp_path / "spec"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("type: object\nproperties: {stolen: {type: string}}\n")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    os.mkfifo(folder / "pipe.yaml")
    return folder


@pytest.mark.parametrize(
    "ref",
    [
        "../secret.yaml",
        "SECRET",
        "file://SECRET",
        "file:SECRET",
        "link.yaml",
        "pipe.yaml",
        "%2e%2e/secret.yaml",
        "http://127.0.0.1:1/secret.yaml",
        "//127.0.0.1/secret.yaml",
        "/dev/zero",
        "a\0b",
        ".",
        "missing.yaml",
        "spec.yaml#/info/title",
    ],
)
def test_nothing_outside_is_read(tmp_path: Path, ref: str) -> None:
    folder = outside(tmp_path)
    ref = ref.replace("SECRET", str(tmp_path / "secret.yaml"))
    spec = folder / "spec.yaml"
    spec.write_text(yaml.dump(document(paths={"/a": {"get": answered({"$ref": ref})}})))
    [warning] = warned(run("--spec", spec, "--out", tmp_path / "out"))
    assert warning.startswith("the reference ")
    assert not any("stolen" in path.read_text() for path in (tmp_path / "out").rglob("*.py"))


@pytest.mark.parametrize(
    ("step", "problem"),
    [(1, "too large with its references expanded"), (0, "references make the document infinite or too deep")],
)
def test_mappings_that_contain_each_other_are_refused(tmp_path: Path, step: int, problem: str) -> None:
    """References in the place of a mapping are replaced by it, so each level doubles the document."""
    lines = []
    for level in range(40):
        inner = f"{{properties: {{$ref: '#/x-{level + step}/properties'}}}}"
        lines.append(f"x-{level}: {{properties: {{a: {inner}, b: {inner}}}}}\n")
    last = "x-40: {properties: {a: {type: string}}}\n"
    spec = write(tmp_path, api=HEAD + "components: {schemas: {A: {$ref: '#/x-0'}}}\n" + "".join(lines) + last)
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.status == 1
    assert [line.partition(": ")[2].partition(". ")[0] for line in outcome.faults] == [problem]


YAML = """\
x-base: &base {type: object, properties: {a: {type: integer}}}
x-more: &more {description: More., type: string}
paths:
  /a:
    get:
      operationId: !!str get
      responses:
        200: {description: 2024-01-01, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}
components:
  schemas:
    A:
      <<: [*base, *more]
      description: !odd Own.
"""


def test_yaml_of_other_people(tmp_path: Path) -> None:
    spec = write(tmp_path, api=HEAD + YAML + "    A:\n      <<: [*base, *more]\n")
    assert warned(run("--spec", spec, "--out", tmp_path / "out")) == [
        "unknown tag '!odd'. Write a plain value.",
        "duplicate key 'A'. Remove one of them.",
    ]
    outcome = python("import client.models as m; print(m.A.from_dict({'a': 1}), m.A.__doc__[:5])", tmp_path / "out")
    assert (outcome.out, outcome.err) == ("A(a=1) More.\n", "")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("key", ["k", "k" * 2000])
def test_json_of_other_people(tmp_path: Path, encoding: str, key: str) -> None:
    text = '{"openapi": "3.1.0",\r\n "info": {"title": "é \\u007f", "version": "1"}, "x-k": "\x7f", "paths": {}}'
    text = text.replace("x-k", f"x-{key}")
    spec = tmp_path / "api.json"
    spec.write_bytes(text.encode(encoding))
    assert warned(run("--spec", spec, "--out", tmp_path / "out")) == []
    assert "é" in (tmp_path / "out/client/__init__.py").read_text(encoding="utf-8")
