"""Hostile documents make packages that compile, import, stay in their folder and run nothing of what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import examples

from . import hostile
from .support import Node, answered, compiled, document, dump, generated, operation, python, run, tree

IMPORT = """
import importlib, pkgutil
import client
modules = [found.name for found in pkgutil.walk_packages(client.__path__, "client.")]
for name in modules:
    importlib.import_module(name)
for name in client.__all__:
    getattr(client, name)
for cls in (client.Client, client.AsyncClient):
    made = cls("http://localhost")
    for name in importlib.import_module("client._names").RESOURCES:
        getattr(made, name).with_raw_response
print("imported", 1 + len(modules))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a document with every hostile text everywhere, alone in its folder."""
    folder = tmp_path_factory.mktemp("hostile") / "inner" / "folder"
    return generated(folder, hostile.document(list(dict.fromkeys(hostile.NASTY))))


def test_everything_imports_and_nothing_runs(package: Path) -> None:
    outcome = python(IMPORT, package.parent)
    assert outcome.err == ""
    assert outcome.out == f"imported {len(list(package.rglob('*.py')))}\n"
    assert len(list(package.rglob("*.py"))) > 500
    outer = package.parents[3]
    assert sorted(path.name for path in package.parent.iterdir()) == ["client"]
    assert not [path for path in outer.rglob("pwned") if path.is_file() or path.is_dir()]


def test_everything_stays_in_the_folder(package: Path) -> None:
    outer = package.parents[3]
    outside = {name for name in tree(outer) if not name.startswith("inner/folder/out/client/")}
    assert outside == {"inner/folder/api.yaml"}
    assert not [path for path in outer.rglob("*") if path.is_symlink()]


def test_all_operations_are_generated(package: Path) -> None:
    """Names that are the same after cleaning get numbers; nothing is lost."""
    count = sum(file.read_text(encoding="utf-8").count("_call(\n") for file in package.glob("_calls/*.py"))
    assert count == 2 * len(dict.fromkeys(hostile.NASTY))


def test_texts_are_never_run_as_templates(package: Path) -> None:
    texts = [file.read_text(encoding="utf-8") for file in package.rglob("*.py")]
    assert any("{{ 7*7 }}" in text for text in texts)
    assert not any("49" in line for text in texts for line in text.splitlines() if "7*7" in line)


CLASSES = ["ApiError", "Any", "OMIT", "Class", "Wire", "Text", "Number", "FooBar", "FOOBar", "x_1a", "X1A", "Model2"]


def test_classes_that_collide_with_each_other_or_with_the_package(tmp_path: Path) -> None:
    """Each schema has a class of its own, with its own fields."""
    schemas: Node = {name: {"type": "object", "properties": {f"only_{name}": {"type": "string"}}} for name in CLASSES}
    paths = {f"/{name}": {"get": answered({"$ref": f"#/components/schemas/{name}"}, f"get{name}")} for name in CLASSES}
    package = generated(tmp_path, document(paths=paths, components={"schemas": schemas}))
    outcome = python(
        "import attrs, client.models as models\n"
        "for name in models.__all__:\n"
        "    cls = getattr(models, name)\n"
        "    field = attrs.fields(cls)[0].name\n"
        "    wire = next(iter(cls(**{field: 'x'}).to_dict()))\n"
        "    assert cls.from_dict({wire: 'y'}).extra == {}, name\n"
        "    print(wire)\n",
        package.parent,
    )
    assert outcome.err == ""
    assert sorted(outcome.out.split()) == sorted(f"only_{name}" for name in CLASSES)


def test_fields_and_arguments_that_collide(tmp_path: Path) -> None:
    """Wire names that become the same Python name are all there, each under a name of its own."""
    names = ["a-b", "a_b", "a b", "_a_b", "A_b", "class", "self", "_", "__", "extra", "from_dict", "😀", "😁", "k0"]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    package = generated(tmp_path, document(paths={"/t": {"put": answered(schema, "put", requestBody=body)}}))
    outcome = python(
        "import inspect, attrs, client.models as models\n"
        "from client._calls.default import put_call\n"
        "fields = [field.name for field in attrs.fields(models.PutResponse)]\n"
        "made = models.PutResponse(**{name: str(n) for n, name in enumerate(fields) if name != 'extra'})\n"
        "print(list(made.to_dict().items()))\n"
        "arguments = list(inspect.signature(put_call).parameters)\n"
        "print(list(put_call(**{name: str(n) for n, name in enumerate(arguments)}).json.items()))\n",
        package.parent,
    )
    assert outcome.err == ""
    expected = [(name, str(number)) for number, name in enumerate(names)]
    assert outcome.out.splitlines() == [str(expected), str(expected)]


def test_platform_is_never_used_as_a_path(tmp_path: Path) -> None:
    for platform in ("../../x", "package", "..", "{{ 7*7 }}", "generic"):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        paths = {"/t": {"get": operation()}}
        assert compiled(generated(folder, {**document(paths=paths), "x-platform": platform})) > 10


@pytest.mark.parametrize("platform", ["connectycube", "other"])
def test_server_address_is_never_code(tmp_path: Path, platform: str) -> None:
    address = 'https://chat.test/"""\nraise SystemExit("ran")\n"""'
    spec = {**document(paths={"/t": {"get": operation()}}), "servers": [{"url": address}], "x-platform": platform}
    outcome = run("--spec", dump(tmp_path, spec), "--out", tmp_path / "out", "--package", "client")
    assert (outcome.status, outcome.err) == (0, "")
    assert compiled(tmp_path / "out" / "client") > 10
    imported = python("import client; print(client.__name__)", tmp_path / "out")
    assert (imported.out, imported.err) == ("client\n", "")


def test_faults_show_hostile_names_escaped(tmp_path: Path) -> None:
    name = "a\n\x1b[31m\u2028'"
    outcome = run("--spec", dump(tmp_path, {**document(), name: 1}), "--out", tmp_path / "out", "--strict")
    assert outcome.status == 1
    assert f"unknown key {name!r} in the document" in outcome.err
    assert "\x1b" not in outcome.err


def test_warnings_escape_control_characters(tmp_path: Path) -> None:
    nowhere = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    spec = document(
        paths={"/a\x1b[31m\n\u2028": {"get": operation("a", parameters=[nowhere])}},
        components={"securitySchemes": {"k\x1b": {"type": "http", "scheme": "digest"}}},
    )
    outcome = run("--spec", dump(tmp_path, spec), "--out", tmp_path / "out")
    assert outcome.status == 0
    lines = outcome.err.split("\n")
    assert lines.pop() == ""
    assert any(r"the security scheme 'k\x1b' is left out" in line for line in lines)
    assert any(r"/a\x1b[31m\n\u2028" in line for line in lines)
    assert all(line.startswith("warning: ") and line.isprintable() for line in lines)


def test_references_that_are_no_addresses(tmp_path: Path) -> None:
    fields = {"a": {"$ref": "http://[bad"}, "b": {"$ref": "http://[bad#x"}, "c": {"type": "string"}}
    schema = {"$id": "http://[worse", "type": "object", "properties": fields}
    spec = document(paths={"/t": {"get": answered({"$ref": "#/components/schemas/T"})}})
    outcome = run(
        "--spec", dump(tmp_path, {**spec, "components": {"schemas": {"T": schema}}}), "--out", tmp_path / "out"
    )
    assert outcome.status == 0
    assert [line.partition(": the reference ")[2] for line in outcome.err.splitlines()] == [
        "'http://[bad' points to nothing. Refer to a file of the spec's folder.",
        "'http://[bad#x' points to nothing. Refer to a file of the spec's folder.",
    ]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.builds(
    "".join, st.lists(st.sampled_from(hostile.NASTY).filter(lambda text: len(text) < 100), min_size=1, max_size=3)
)


@settings(max_examples=examples(15), deadline=None, derandomize=True)
@given(st.lists(texts, min_size=1, max_size=4, unique=True))
def test_any_text_anywhere(tmp_path_factory: pytest.TempPathFactory, found: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    package = generated(folder, hostile.document(found))
    assert compiled(package) > 15
    assert {name for name in tree(folder) if not name.startswith("out/client/")} == {"api.yaml"}


@settings(max_examples=examples(8), deadline=None, derandomize=True)
@given(texts.filter(bool))
def test_any_text_in_a_page(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    package = generated(tmp_path_factory.mktemp("page"), document(paths={"/t": {"get": hostile.paged(text)}}))
    assert "PageCall" in (package / "_calls/default.py").read_text(encoding="utf-8")
    assert compiled(package) > 15
