"""A run over a faulty spec: all faults at once, exit status 1, nothing written, the previous output untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import Node, answered, command, document, dump, operation, run, tree, write

GOOD = """\
openapi: 3.1.0
info: {title: Small, version: "1"}
paths:
  /things:
    get: {operationId: things_list, responses: {"204": {description: Done.}}}
"""
BAD = """\
openapi: 3.1.0
info: {title: Small, version: "1", licence: none}
paths:
  /things:
    get:
      operationId: things_list
      sumary: List them.
      responses: {"204": {$ref: "#/components/responses/Done"}}
"""
WORSE = "paths: {}\npaths: {}\n"


def test_all_faults_at_once_through_the_command(tmp_path: Path) -> None:
    spec = write(tmp_path, api=BAD)
    out = tmp_path / "out"
    outcome = command("--spec", "spec", "--out", out, "--strict", cwd=tmp_path)
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err == (
        "spec/api.yaml:2: unknown key 'licence' in an info object. Write 'license'.\n"
        "spec/api.yaml:7: unknown key 'sumary' in an operation object. Write 'summary'.\n"
        "spec/api.yaml:8: the reference '#/components/responses/Done' points to nothing. "
        "Add it under components/responses.\n"
        "3 faults in the spec; nothing was written\n"
    )
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spec"]
    assert sorted(path.name for path in spec.iterdir()) == ["api.yaml"]


def test_faults_of_several_files_in_order(tmp_path: Path) -> None:
    spec = write(tmp_path, api=WORSE, b="- list\n", a="x: [\n")
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.status == 1
    assert [line.replace(f"{spec}/", "").partition(": ")[0] for line in outcome.faults] == [
        "a.yaml:2",
        "api.yaml:2",
        "b.yaml:1",
    ]
    assert outcome.err.endswith("3 faults in the spec; nothing was written\n")


def test_one_fault_is_counted_as_one(tmp_path: Path) -> None:
    outcome = run("--spec", write(tmp_path, api="- list\n"), "--out", tmp_path / "out")
    assert outcome.err.splitlines()[1:] == ["1 fault in the spec; nothing was written"]


@pytest.mark.parametrize("through", ["function", "command"])
def test_previous_output_is_untouched(tmp_path: Path, through: str) -> None:
    spec = write(tmp_path, api=GOOD)
    out = tmp_path / "out"
    assert run("--spec", spec, "--out", out).status == 0
    before = tree(out)
    assert before
    (spec / "api.yaml").write_text(BAD)
    outcome = (run if through == "function" else command)("--spec", spec, "--out", out, "--strict")
    assert outcome.status == 1
    assert tree(out) == before
    assert sorted(path.name for path in out.iterdir()) == ["client"]


def test_contradictory_schemas_are_free_values_with_a_warning(tmp_path: Path) -> None:
    schemas = {
        "Odd": {"allOf": [{"type": "integer"}, {"$ref": "#/components/schemas/Text"}]},
        "Text": {"type": "string"},
    }
    odd = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Odd"}}}}
    paths = {
        "/odd": {"put": operation("odd_put", requestBody=odd)},
        "/text": {"get": answered({"$ref": "#/components/schemas/Text"}, "text_get")},
    }
    spec = dump(tmp_path, document(paths=paths, components={"schemas": schemas}))
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.status == 0
    problems = [line.partition(": ")[2].split(": ", 1)[1] for line in outcome.err.splitlines()]
    assert [text.partition(": ")[0] for text in problems] == ["the parts of Odd contradict one another"]
    calls = (tmp_path / "out/client/_calls/default.py").read_text()
    assert "def text_get_call(" in calls
    assert "def odd_put_call(\n    *,\n    body: Any = None,\n)" in calls


def test_lists_and_maps_nested_in_themselves_hold_anything(tmp_path: Path) -> None:
    schemas: Node = {
        "Tree": {"type": "array", "items": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
        "Map": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/List"}},
        "List": {"type": "array", "items": {"$ref": "#/components/schemas/Map"}},
        "Thing": {
            "type": "object",
            "properties": {
                "tree": {"$ref": "#/components/schemas/Tree"},
                "map": {"$ref": "#/components/schemas/Map"},
            },
        },
    }
    paths = {
        "/thing": {"get": answered({"$ref": "#/components/schemas/Thing"}, "thing_get")},
    }
    spec = dump(tmp_path, document(paths=paths, components={"schemas": schemas}))
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert (outcome.status, outcome.err) == (0, "")
    models = (tmp_path / "out/client/models/api.py").read_text()
    assert "    tree: list[Any] = " in models
    assert "    map: dict[str, Any] | None = None" in models


def test_references_into_other_objects(tmp_path: Path) -> None:
    inner = {"$ref": "#/components/schemas/Thing/properties/inner"}
    thing = {
        "type": "object",
        "properties": {
            "inner": {"type": "object", "properties": {"a~b": {"type": "integer"}, "again": inner}},
            "far": {"$ref": "#/components/schemas/Thing/properties/inner/properties/a~0b"},
        },
    }
    path = answered({"$ref": "#/components/schemas/A%20thing"}, "thing_get")
    components = {"schemas": {"Thing": thing, "A thing": {"$ref": "#/components/schemas/Thing"}}}
    spec = dump(tmp_path, document(paths={"/thing": {"get": path}}, components=components))
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert (outcome.status, outcome.err) == (0, "")
    models = (tmp_path / "out/client/models/api.py").read_text()
    assert "    inner: ThingInner | None = None" in models
    assert "    far: int | None = None" in models
