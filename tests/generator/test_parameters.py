"""Parameters: what the small documents can't show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .support import Node, document, dump, generated, operation, run


def calls(folder: Path, parameters: list[Node], path: str = "/a", openapi: str = "3.1.0") -> str:
    """The module of calls of a document with one operation."""
    api = document(openapi=openapi, paths={path: {"get": operation("a", parameters=parameters)}})
    return (generated(folder, api) / "_calls/default.py").read_text(encoding="utf-8")


def test_defaults_are_documented_and_not_sent(tmp_path: Path) -> None:
    size = {"name": "size", "in": "query", "description": "How many.", "schema": {"type": "integer", "default": 20}}
    sort = {"name": "X-Sort", "in": "header", "schema": {"type": "string", "default": 'a\n"""b'}}
    text = calls(tmp_path, [size, sort])
    assert "20" not in text
    methods = (tmp_path / "out/client/resources/default.py").read_text(encoding="utf-8")
    assert methods.count(":param size: How many. Default: 20.\n") == 2
    assert methods.count(":param x_sort: Default: ") == 2


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        ({"type": "integer"}, "int"),
        ({"type": "array", "items": {"type": "string", "format": "date-time"}}, "Iterable[dt.datetime | str]"),
        ({"enum": ["a", "b"]}, 'Literal["a", "b"]'),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "Mapping[str, bool]"),
        ({"type": "string", "format": "binary"}, "str"),
    ],
    ids=["integer", "list", "enum", "object", "bytes"],
)
@pytest.mark.parametrize("place", ["header", "cookie"])
def test_arguments_are_typed(tmp_path: Path, place: str, schema: Any, annotation: str) -> None:
    assert f"    x: {annotation} | None = None," in calls(tmp_path, [{"name": "x", "in": place, "schema": schema}])


def test_only_clients_that_need_them_have_further_modules(tmp_path: Path) -> None:
    calls(tmp_path, [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}], "/a/{id}")
    modules = {path.name for path in (tmp_path / "out/client").glob("*.py")}
    assert not {"_styles.py", "_servers.py", "_basic.py"} & modules


def test_a_parameter_may_be_the_whole_query(tmp_path: Path) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    whole = {"name": "query", "in": "querystring", "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    text = calls(tmp_path, [whole], openapi="3.2.0")
    assert 'wire.pairs("query", wire.mapping("query_", query_, wire.text))' in text


def test_a_whole_query_of_another_type_is_left_out(tmp_path: Path) -> None:
    whole = {"name": "q", "in": "querystring", "content": {"application/json": {"schema": {"type": "object"}}}}
    spec = dump(tmp_path, document(openapi="3.2.0", paths={"/a": {"get": operation("a", parameters=[whole])}}))
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.status == 0
    assert "the parameter 'q' is left out: a whole query can only be sent as a form" in outcome.err
