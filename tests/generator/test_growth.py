"""A large spec takes no more work than many small ones."""

from __future__ import annotations

import cProfile
from pathlib import Path

import pytest

from generator.__main__ import foreign

from . import made_up
from .support import Node, answered, compiled, document, dump, run


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 23])
def test_made_up_specs_have_the_requested_size(count: int) -> None:
    paths = made_up.spec(count)["paths"].values()
    assert sum(len(item.keys() - {"parameters"}) for item in paths) == count


def test_two_hundred_operations(tmp_path: Path) -> None:
    outcome = run("--spec", made_up.write(200, tmp_path), "--out", tmp_path / "out")
    assert (outcome.status, outcome.err) == (0, "")
    assert compiled(tmp_path / "out") > 2 * 200 / made_up.VERBS
    calls = (file.read_text() for file in tmp_path.glob("out/client/_calls/*.py"))
    assert sum(text.count("Operation(\n") for text in calls) == 200


def steps(spec: Path) -> int:
    """Count the calls that reading a spec and rendering its package takes, whatever the load of the machine."""
    profile = cProfile.Profile()
    with profile:
        files = foreign(spec, "client")
    assert "client.py" in files
    return sum(entry.callcount for entry in profile.getstats())


def test_work_grows_linearly_with_the_spec(tmp_path: Path) -> None:
    """All schemas of a made-up spec hang together, so following references too far shows here."""
    steps(made_up.write(5, tmp_path))
    small, large = steps(made_up.write(60, tmp_path)), steps(made_up.write(240, tmp_path))
    assert large < 4.4 * small


def test_work_does_not_double_with_each_level_of_inheritance(tmp_path: Path) -> None:
    """Each schema takes everything of the one before it twice."""
    found = []
    for levels in (10, 20):
        schemas: Node = {"S0": {"type": "object", "properties": {"a0": {"type": "string"}}}}
        for level in range(1, levels):
            part = {"$ref": f"#/components/schemas/S{level - 1}"}
            schemas[f"S{level}"] = {"allOf": [part, part], "properties": {f"a{level}": {"type": "string"}}}
        paths = {"/s": {"get": answered({"$ref": f"#/components/schemas/S{levels - 1}"})}}
        found.append(steps(dump(tmp_path, document(paths=paths, components={"schemas": schemas}))))
    assert found[1] < 3 * found[0]


def ref(number: int) -> Node:
    return {"$ref": f"#/components/schemas/S{number}"}


def holding(schemas: list[Node]) -> Node:
    """A document whose one operation takes and returns the last of some schemas, `S0`, `S1` and so on."""
    last = ref(len(schemas) - 1)
    body = {"required": True, "content": {"application/json": {"schema": last}}}
    named = {f"S{number}": schema for number, schema in enumerate(schemas)}
    return document(paths={"/s": {"put": answered(last, requestBody=body)}}, components={"schemas": named})


TEXT: Node = {"type": "object", "properties": {"text": {"type": "string"}}}


def test_work_does_not_grow_with_the_ways_from_model_to_model(tmp_path: Path) -> None:
    """Each model holds all others."""
    found = []
    for count in (8, 16):
        fields = {f"s{number}": ref(number) for number in range(count)}
        found.append(steps(dump(tmp_path, holding([{"type": "object", "properties": fields}] * count))))
    assert found[1] < 4 * found[0]


def test_as_many_models_in_a_row_as_a_document_has(tmp_path: Path) -> None:
    models = [TEXT, *({"type": "object", "properties": {"next": ref(number)}} for number in range(800))]
    outcome = run("--spec", dump(tmp_path, holding(models)), "--out", tmp_path / "out")
    assert (outcome.status, outcome.err) == (0, "")
    texts = [file.read_text(encoding="utf-8") for file in (tmp_path / "out/client/models").glob("*.py")]
    assert sum(text.count("\nclass S") for text in texts) == 801


def test_lists_of_lists_end(tmp_path: Path) -> None:
    """Python can't compile any number of brackets."""
    lists = [TEXT, *({"type": "array", "items": ref(number)} for number in range(400))]
    outcome = run("--spec", dump(tmp_path, holding(lists)), "--out", tmp_path / "out")
    assert outcome.status == 0
    assert [line.partition(": a schema")[2] for line in outcome.err.splitlines()] == [
        " has no type: lists, maps and unions nest more than 50 levels deep. Any value is accepted."
    ]
    assert compiled(tmp_path / "out") > 10


def test_unions_that_multiply_are_free_values(tmp_path: Path) -> None:
    """Each part is one of two, so the whole would be one of a million."""
    names = [f"k{number}" for number in range(40)]
    members = [{"type": "object", "required": [name], "properties": {name: {"type": "string"}}} for name in names]
    unions = [{"oneOf": [ref(number), ref(number + 1)]} for number in range(0, 40, 2)]
    whole = {"allOf": [ref(number) for number in range(40, 60)]}
    outcome = run("--spec", dump(tmp_path, holding([*members, *unions, whole])), "--out", tmp_path / "out")
    assert outcome.status == 0
    assert [line.partition(": S60 ")[2] for line in outcome.err.splitlines()] == [
        "has more than 500 members. Any value is accepted."
    ]


def test_unions_that_double_from_schema_to_schema_end(tmp_path: Path) -> None:
    schemas: list[Node] = [TEXT]
    for number in range(14):
        more = {"type": "object", "properties": {f"k{number}": {"type": "string"}}}
        schemas.append({"oneOf": [ref(number), {"allOf": [ref(number), more]}]})
    outcome = run("--spec", dump(tmp_path, holding(schemas)), "--out", tmp_path / "out")
    assert outcome.status == 0
    lines = outcome.err.splitlines()
    assert lines
    assert all(line.endswith("has more than 500 members. Any value is accepted.") for line in lines)
