"""The project's own spec: every row of the wire facts and every promised method is in it, and it is good OpenAPI."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from connectycube.rest import AsyncConnectyCube, ConnectyCube
from generator.rest.bundle import read
from generator.rest.document import operations_of
from generator.source import Map

from .support import ROOT, compiled, run

NOT_PUBLISHED = {"R-038", "R-039", "R-040"}
"""Rows that the platform's documentation has commented out."""

ROWS = {f"R-{number:03}" for number in range(1, 100)} - NOT_PUBLISHED

METHODS = """
sessions: create 001, get 002, delete 003, delete_by_id 004, delete_others 005, login 006, logout 007
users: create 008, list 009, list_v1 010, get 011, get_by_login 012, list_by_full_name 013, get_by_facebook_id 014,
 get_by_twitter_id 015, get_by_email 016, list_by_tags 017, get_by_phone 018, get_by_external_id 019, update 020,
 delete 021, delete_by_external_id 022, reset_password 023, list_online 024, count_online 025
dialogs: list 026, count 026, create 027, update 028, delete 029, delete_many 030, clear_history 031, subscribe 032,
 unsubscribe 033, update_admins 034, update_notifications 035, get_notifications 036, list_occupants 037
messages: list 041, count 041, unread_count 042, create 043, update 044, update_all 044, delete 045, create_system 046,
 update_reactions 047, list_reactions 048
search: query 049
files: create 050, complete 052, get 053, list 054, get_object 057, update 058, delete 059
push_subscriptions: create 060, list 061, delete 062
push_events: create 063
address_book: upload 064, get 065, list_registered 066
custom_objects: create 067, create_many 068, list 069, get_many 070, get_permissions 071, update 072,
 update_by_criteria 073, update_many 074, delete 075, delete_many 076, delete_by_criteria 077
meetings: list 078, create 079, update 080, delete 081, list_recordings 082
whiteboards: create 083, list 084, update 085, delete 086
calls: reject 087
link_previews: create 088
admin: update_dialog 089, list_dialogs 090, list_messages 091, create_meeting 092, list_recordings 093,
 delete_recordings 094, count_messages 095, messages_per_day 096, count_dialogs 097, dialogs_per_day 098,
 delete_user 099
"""

HELPERS = {"files.upload": {"R-051"}, "files.download": {"R-055"}, "files.url": {"R-056"}}
"""Methods that are written by hand, and the rows that they stand on."""


FURTHER = {"custom_objects.count": "R-069"}
"""Methods beyond those that were promised, whose rows are checked as well. Others need no entry here."""


def promised() -> dict[str, str]:
    """Each generated method and its row."""
    found = {}
    for line in METHODS.replace("\n ", " ").strip().splitlines():
        resource, _, methods = line.partition(": ")
        for method in methods.split(","):
            name, row = method.split()
            found[f"{resource}.{name}"] = f"R-{row}"
    return found


@pytest.fixture(scope="module")
def spec() -> Map:
    return read(ROOT / "spec/rest", ROOT)[0]


def all_operations(spec: Map) -> Iterator[Map]:
    for item in spec["paths"].values():
        yield from operations_of(item)


def public(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


def resources(client: Any) -> dict[str, type]:
    """The resources of a client and their classes."""
    names = [name for name, value in vars(type(client)).items() if type(value).__name__ == "lazy"]
    return {name: type(getattr(client, name)) for name in names}


def test_every_row_is_in_the_spec(spec: Map) -> None:
    rows = {fact for operation in all_operations(spec) for fact in operation.get("x-facts", ())}
    assert rows >= ROWS
    assert not rows & NOT_PUBLISHED


@pytest.mark.parametrize("client", [ConnectyCube(1, "key"), AsyncConnectyCube(1, "key")], ids=["sync", "async"])
def test_every_promised_method_exists(client: Any) -> None:
    found = {f"{name}.{method}" for name, cls in resources(client).items() for method in public(cls)}
    assert found >= set(promised()) | set(HELPERS) | set(FURTHER)


def test_every_call_names_its_row() -> None:
    """In a comment: a user who reads the method's docstring has no use for it."""
    client = ConnectyCube(1, "key")
    for name, row in {**promised(), **FURTHER}.items():
        resource, _, method = name.partition(".")
        source = (ROOT / f"generated/connectycube/rest/_calls/{resource}.py").read_text(encoding="utf-8")
        assert re.search(rf"^# .*\b{row}\b.*\ndef {method}_call\(", source, re.MULTILINE), name
        doc = inspect.getdoc(getattr(getattr(client, resource), method)) or ""
        assert re.search(
            rf"^`[A-Z]+ /\S+`, described in generated/docs/rest/{resource}\.md#{method}$", doc, re.MULTILINE
        ), name
        assert row not in doc, name


def test_helpers_cover_the_other_rows(spec: Map) -> None:
    helped = {
        operation["x-helper"]: operation["x-facts"] for operation in all_operations(spec) if "x-helper" in operation
    }
    assert set(helped) <= set(HELPERS)
    rows = {row for name in HELPERS for row in HELPERS[name]}
    assert {fact for facts in helped.values() for fact in facts if fact.startswith("R-")} <= rows
    assert set(promised().values()) | rows == ROWS


def test_every_operation_is_described(spec: Map) -> None:
    for operation in all_operations(spec):
        name = operation["operationId"]
        assert re.fullmatch(r"[A-Z].*\.", operation.get("summary", "")), f"{name}: write a sentence as its `summary`"
        for parameter in operation.get("parameters", ()):
            parameter = (
                spec["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
                if ("$ref" in parameter)
                else parameter
            )
            assert parameter.get("description"), (name, parameter["name"])
            assert "example" in parameter or "examples" in parameter, (name, parameter["name"])
        responses = {status: resolved(spec, response) for status, response in operation["responses"].items()}
        assert any(status.startswith(("2", "3")) for status in responses), name
        for response in responses.values():
            media = response.get("content", {}).get("application/json")
            assert media is None or "example" in media or media.get("examples"), name
        body = resolved(spec, operation.get("requestBody", Map()))
        media = body.get("content", {}).get("application/json")
        assert media is None or "example" in media or media.get("examples"), name


def test_every_call_to_the_platform_documents_its_errors(spec: Map) -> None:
    for operation in all_operations(spec):
        statuses = {status for status in operation["responses"] if status >= "400"}
        if "x-helper" in operation and "servers" in operation:
            assert statuses, operation["operationId"]
        else:
            missing = ", ".join(sorted({"401", "429", "500", "503"} - statuses))
            hint = 'add them as in its sibling operations: "429": {$ref: "api.yaml#/components/responses/RateLimited"}'
            assert not missing, f"{operation['operationId']} lacks the responses {missing}; {hint}"


def resolved(spec: Map, node: Any) -> Any:
    while "$ref" in node:
        section, _, name = node["$ref"].removeprefix("#/components/").partition("/")
        node = spec["components"][section][name]
    return node


# -- the published document


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "generated/openapi.yaml").read_text(encoding="utf-8"))
    return document


def test_published_document_is_valid_openapi(published: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(published).iter_errors()) == []
    assert published["openapi"].startswith("3.1.")


def test_published_document_is_self_contained(published: dict[str, Any]) -> None:
    text = (ROOT / "generated/openapi.yaml").read_text(encoding="utf-8")
    references = re.findall(r"\$ref: (.*)", text)
    assert len(references) > 100
    assert all(re.fullmatch(r"'?#/components/\w+/\w+'?", reference) for reference in references)
    assert not re.search(r"[&*]id\d+", text)


def test_published_document_makes_the_same_package(tmp_path: Path) -> None:
    """The same methods with the same signatures and the same models."""
    outcome = run("--spec", ROOT / "generated/openapi.yaml", "--out", tmp_path, "--package", "again")
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    assert compiled(tmp_path) > 40
    own = ROOT / "generated/connectycube/rest"
    for folder, suffix in (("_calls", "_call("), ("resources", "def ")):
        names = {file.name for file in (own / folder).glob("*.py")}
        assert names == {file.name for file in (tmp_path / "again" / folder).glob("*.py")}
        for name in names:
            ours, theirs = ((base / folder / name).read_text() for base in (own, tmp_path / "again"))
            assert suffix in ours or name == "__init__.py"
            assert without_first_line(ours) == without_first_line(theirs), name
    assert without_first_line((own / "filters.py").read_text()) == without_first_line(
        (tmp_path / "again/filters.py").read_text()
    )


def without_first_line(text: str) -> str:
    return text.partition("\n")[2]
