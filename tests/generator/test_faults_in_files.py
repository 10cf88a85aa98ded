"""Files that can't be read or merged: each fault says where it is, what is wrong and how to fix it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import run, write

HEAD = "openapi: 3.1.0\ninfo: {title: Small, version: '1'}\n"


def faults(tmp_path: Path, **files: str) -> list[str]:
    """The faults of a folder's files, named by the files alone."""
    spec = write(tmp_path, **files)
    out = tmp_path / "out"
    outcome = run("--spec", spec, "--out", out, "--strict")
    assert outcome.status == 1
    assert not out.exists()
    return [line.removeprefix(f"{spec}/") for line in outcome.faults]


TOO_DEEP = "api.yaml:3: too large or too deeply nested with its aliases expanded. Remove levels, or aliases of aliases."

CASES = [
    pytest.param(
        HEAD + "paths:\n  /a: [\n",
        "api.yaml:5: invalid YAML: did not find expected node content. Fix the syntax.",
        id="syntax",
    ),
    pytest.param(
        HEAD + "paths:\n\t/a: {}\n",
        "api.yaml:4: invalid YAML: found character that cannot start any token. Fix the syntax.",
        id="tab",
    ),
    pytest.param(
        HEAD + "---\nopenapi: 3.1.0\n",
        "api.yaml:3: invalid YAML: but found another document. Fix the syntax.",
        id="two documents",
    ),
    pytest.param(
        HEAD + "paths: *nowhere\n",
        "api.yaml:3: invalid YAML: found undefined alias. Fix the syntax.",
        id="unknown alias",
    ),
    pytest.param(
        "openapi: 3.1.0\x00\n",
        "api.yaml:1: invalid YAML: unacceptable character #x0000: control characters are not allowed. Fix the syntax.",
        id="control character",
    ),
    pytest.param(
        "- openapi\n",
        "api.yaml:1: the document is not a mapping. Start it with `openapi: 3.1.0`.",
        id="list",
    ),
    pytest.param("", "api.yaml:1: the document is not a mapping. Start it with `openapi: 3.1.0`.", id="empty"),
    pytest.param(
        HEAD + "paths:\n  /a: {}\n  /b: {}\n  /a: {}\n",
        "api.yaml:6: duplicate key '/a'. Remove one of them.",
        id="key twice",
    ),
    pytest.param(
        HEAD + "paths:\n  ? [a, b]\n  : {}\n", "api.yaml:4: a key is not a string. Write a plain name.", id="odd key"
    ),
    pytest.param(
        HEAD + "paths:\n  /a: !!python/object/apply:os.system ['touch pwned']\n",
        "api.yaml:4: '/a' is not a mapping. Write a path item object.",
        id="object tag",
    ),
    pytest.param(
        HEAD + "paths: {}\nx-a: !!python/name:os.system x\n",
        "api.yaml:4: unknown tag 'python/name:os.system'. Write a plain value.",
        id="name tag",
    ),
    pytest.param(
        HEAD + "paths: {}\nx-a: !!int twelve\n",
        "api.yaml:4: not a readable number. Write a smaller one, or quote it.",
        id="no number",
    ),
    pytest.param(
        HEAD + f"paths: {{}}\nx-a: {'9' * 5000}\n",
        "api.yaml:4: not a readable number. Write a smaller one, or quote it.",
        id="huge integer",
    ),
    pytest.param(
        HEAD + "paths: {}\nx-a: 1e999\n",
        "api.yaml:4: not a readable number. Write a smaller one, or quote it.",
        id="infinite number",
    ),
    pytest.param(
        HEAD + "x-a: " + "[" * 300 + "]" * 300 + "\n",
        TOO_DEEP,
        id="too deep",
    ),
    pytest.param(
        HEAD + "x-a: " + "[" * 100_000 + "\n",
        TOO_DEEP,
        id="far too deep",
    ),
]


@pytest.mark.parametrize(("text", "fault"), CASES)
def test_invalid_file(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, api=text) == [fault]


def test_alias_bomb(tmp_path: Path) -> None:
    lines = ["x-a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, 10):
        entries = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"x-a{level}: &a{level} [{entries}]")
    text = HEAD + "\n".join(lines) + "\n"
    [fault] = faults(tmp_path, api=text)
    assert fault == TOO_DEEP


def test_alias_of_itself(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, api=HEAD + "x-a: &a [*a]\n")
    assert fault == TOO_DEEP


def test_other_encoding(tmp_path: Path) -> None:
    spec = write(tmp_path, api="")
    (spec / "api.yaml").write_bytes(b"openapi: 3.1.0\ninfo: {title: caf\xe9}\n")
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.faults == [
        f"{spec}/api.yaml:1: can't be read ('utf-8' codec can't decode byte 0xe9 in position 32: invalid continuation "
        "byte). Use a UTF-8 file with read permission."
    ]


def test_unreadable_file(tmp_path: Path) -> None:
    spec = write(tmp_path)
    (spec / "api.yaml").mkdir()
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.faults == [
        f"{spec}/api.yaml:1: can't be read ([Errno 21] Is a directory: '{spec}/api.yaml'). "
        "Use a UTF-8 file with read permission."
    ]


@pytest.mark.parametrize("name", ["missing.yaml", "empty", "texts"])
def test_missing_spec(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "readme.txt").write_text("no spec")
    outcome = run("--spec", tmp_path / name, "--out", tmp_path / "out")
    assert outcome.status == 1
    assert outcome.faults == [
        f"{tmp_path / name}:1: no spec found. Name a file, or a folder that holds .yaml or .json files."
    ]


def test_path_and_verb_in_two_files(tmp_path: Path) -> None:
    one = "paths:\n  /a:\n    get:\n      operationId: a_get\n      responses: {'204': {description: Done.}}\n"
    two = one.replace("a_get", "a_other")
    assert faults(tmp_path, api=HEAD + one, other=HEAD + two) == [
        "other.yaml:5: the operation 'get' is already defined at " + str(tmp_path / "spec/api.yaml") + ":6. "
        "Rename one of them."
    ]


def test_component_in_two_files(tmp_path: Path) -> None:
    one = "components:\n  schemas:\n    Thing: {type: object}\n"
    assert faults(tmp_path, api=HEAD + one, other=HEAD + one) == [
        "other.yaml:5: the name 'Thing' is already defined at " + str(tmp_path / "spec/api.yaml") + ":5. "
        "Rename one of them."
    ]


def test_key_of_the_root_in_another_file(tmp_path: Path) -> None:
    assert faults(tmp_path, api=HEAD, other=HEAD + "servers: [{url: http://localhost}]\n") == [
        "other.yaml:3: 'servers' belongs in the root file. Move it to api.yaml."
    ]


def test_verbs_of_one_path_in_two_files(tmp_path: Path) -> None:
    one = "paths:\n  /a:\n    get:\n      operationId: a_get\n      responses: {'204': {description: Done.}}\n"
    two = one.replace("get", "put")
    spec = write(tmp_path, api=HEAD + one, other=HEAD + two)
    outcome = run("--spec", spec, "--out", tmp_path / "out")
    assert outcome.status == 0
    calls = (tmp_path / "out/client/_calls/default.py").read_text()
    assert "def a_get_call(" in calls
    assert "def a_put_call(" in calls


@pytest.mark.parametrize(
    "text",
    [
        '{"openapi": "3.1.0", "info": {"title": "\\ud83d\\ude00 \\/ \\u00e9 \\\\ud83d", "version": "1"}, "paths": {}}',
        '{\n\t"openapi": "3.1.0",\n\t"info": {"title": "\\uD83D\\uDE00 \\/ \\u00e9 \\\\ud83d", "version": "1"},\n'
        '\t"paths": {}\n}\n',
    ],
    ids=["one line", "tabs"],
)
def test_json(tmp_path: Path, text: str) -> None:
    file = tmp_path / "api.json"
    file.write_text(text, encoding="utf-8")
    outcome = run("--spec", file, "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    init = (tmp_path / "out/client/__init__.py").read_text(encoding="utf-8")
    assert "\U0001f600 / é \\\\ud83d: a sync and an async client." in init


def test_invalid_json(tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    file.write_text('{"openapi": "3.1.0",\n"info" "x"}', encoding="utf-8")
    outcome = run("--spec", file, "--out", tmp_path / "out")
    assert outcome.status == 1
    assert outcome.faults == [f"{file}:2: invalid YAML: did not find expected ',' or '}}'. Fix the syntax."]
