"""A run over a faulty spec: all faults at once, exit status 1, nothing written, what was there stays whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import command, document, dump, operation, run, tree, write

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
    outcome = command("--spec", "spec", "--out", out, cwd=tmp_path)
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err == (
        "spec/api.yaml:2: unknown key 'licence' in an info. Write 'license'.\n"
        "spec/api.yaml:7: unknown key 'sumary' in an operation. Write 'summary'.\n"
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
def test_the_previous_output_stays_whole(tmp_path: Path, through: str) -> None:
    spec = write(tmp_path, api=GOOD)
    out = tmp_path / "out"
    assert run("--spec", spec, "--out", out).status == 0
    before = tree(out)
    assert before
    (spec / "api.yaml").write_text(BAD)
    outcome = run("--spec", spec, "--out", out) if through == "function" else command("--spec", spec, "--out", out)
    assert outcome.status == 1
    assert tree(out) == before
    assert sorted(path.name for path in out.iterdir()) == ["client"]


def test_what_cannot_be_made_is_left_out_with_a_warning(tmp_path: Path) -> None:
    tree_of_arrays = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
    spec = dump(
        tmp_path,
        document(
            paths={
                "/trees": {
                    "get": {
                        "operationId": "trees_get",
                        "responses": {
                            "200": {
                                "description": "Done.",
                                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}},
                            }
                        },
                    }
                },
                "/things": {"get": operation()},
            },
            components={"schemas": {"Tree": tree_of_arrays}},
        ),
    )
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.status == 0
    assert "Tree" in outcome.err
    assert all(line.startswith("warning: ") for line in outcome.err.splitlines())
