"""Limits of the spec, groups of arguments, and filters: what breaks a rule is refused before anything is sent."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any, is_typeddict

import pytest

from connectycube.rest import InvalidArgument

from .lists import client
from .schemas import document, resolved
from .signatures import METHODS, call, hints, keys, parameters, parts, smallest, wrong
from .test_arguments import refuse, refused

# -- limits


def operations() -> Iterator[tuple[str, Any]]:
    """Methods by name, and their operations in the bundled document."""
    for path in document()["paths"].values():
        for operation in path.values():
            for entry in [operation, *operation.get("x-variants", ())]:
                if "x-helper" not in entry:
                    yield (
                        f"{operation['tags'][0]}.{entry['operationId'].removeprefix(operation['tags'][0] + '_')}",
                        entry,
                    )


def schemas(operation: Any) -> Iterator[tuple[str, Any]]:
    """The arguments of an operation and their schemas."""
    for parameter in operation.get("parameters", ()):
        parameter = resolved(parameter)
        yield python_name(parameter["name"], parameter), resolved(parameter["schema"])
    for media in resolved(operation.get("requestBody", {})).get("content", {}).values():
        body = resolved(media["schema"])
        if "x-request-envelope" in operation:
            body = resolved(body["properties"][operation["x-request-envelope"]])
        for name, schema in body.get("properties", {}).items():
            if "x-from-client" not in schema:
                yield python_name(name, schema), resolved(schema)


def python_name(name: str, schema: Any) -> str:
    found: str = schema.get("x-python-name", name.lstrip("_"))
    return found


def broken(schema: Any) -> Iterator[Any]:
    """Values just beyond each limit of a schema."""
    item: Any = 5 if resolved(schema.get("items", schema.get("x-items", {}))).get("type") == "integer" else "2345678901"
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "minLength" in schema:
        yield "2" * (schema["minLength"] - 1)
    if "maxLength" in schema:
        yield "2" * (schema["maxLength"] + 1)
    if "minItems" in schema:
        yield [item] * (schema["minItems"] - 1)
    if "maxItems" in schema:
        yield [item] * (schema["maxItems"] + 1)
    if "maxProperties" in schema:
        yield {f"key{number}": "value" for number in range(schema["maxProperties"] + 1)}


LIMITS = [
    (name, argument, value)
    for name, operation in operations()
    for argument, schema in schemas(operation)
    if argument in parameters(METHODS[name])
    for value in broken(schema)
]


def test_schema_document_covers_all_methods() -> None:
    assert {name for name, _ in operations()} == set(METHODS)
    for name, operation in operations():
        free = {"filters", "fields", "extra", "extra_fields"}
        assert set(parameters(METHODS[name])) - free <= {argument for argument, _ in schemas(operation)}


def test_platform_limits_are_included() -> None:
    assert {
        ("dialogs.create", "admins_ids"),
        ("dialogs.create", "extensions"),
        ("search.query", "chat_dialog_ids"),
    } <= {(name, argument) for name, argument, _ in LIMITS}


@pytest.mark.parametrize(("name", "argument", "value"), LIMITS, ids=lambda value: ascii(value)[:30])
def test_values_beyond_a_limit(name: str, argument: str, value: Any) -> None:
    with client(refuse) as cube:
        refused(cube, name, {**smallest(name), argument: value}, argument)


# -- groups


@pytest.mark.parametrize(
    ("name", "arguments", "argument"),
    [
        ("dialogs.list", {"sort_asc": "last_message_date_sent", "sort_desc": "last_message_date_sent"}, "sort_desc"),
        ("messages.list", {"chat_dialog_id": "d", "sort_asc": "date_sent", "sort_desc": "date_sent"}, "sort_desc"),
        ("users.list", {"filters": {"id": 5}, "sort_asc": "id", "sort_desc": "id"}, "sort_desc"),
        ("custom_objects.list", {"class_name": "c", "sort_asc": "a", "sort_desc": "b"}, "sort_desc"),
        ("admin.list_dialogs", {"sort_asc": "_id", "sort_desc": "_id"}, "sort_desc"),
        ("admin.list_messages", {"sort_asc": "_id", "sort_desc": "_id"}, "sort_desc"),
        ("messages.create", {"message": "hello"}, "chat_dialog_id or recipient_id"),
        ("messages.create", {"chat_dialog_id": "d", "recipient_id": 5}, "recipient_id"),
        ("messages.update_reactions", {"message_id": "m"}, "add or remove"),
        ("dialogs.update_admins", {"dialog_id": "d"}, "push_all or pull_all"),
        ("dialogs.update_admins", {"dialog_id": "d", "push_all": {}}, "push_all or pull_all"),
        ("custom_objects.delete_by_criteria", {"class_name": "c"}, "filters"),
        ("custom_objects.delete_by_criteria", {"class_name": "c", "filters": {}}, "filters"),
        ("push_events.create", {"environment": "production", "message": {}}, "user or external_user"),
        (
            "push_events.create",
            {"environment": "production", "message": {}, "user": {"ids": [1]}, "external_user": {"ids": ["x"]}},
            "external_user",
        ),
        ("sessions.create", {"user": {"login": "a", "password": "b"}, "provider": "twitter"}, "provider"),
        ("sessions.login", {"password": "b"}, "login or email or provider"),
        ("sessions.login", {"login": "a", "email": "a@example.com", "password": "b"}, "email"),
        ("sessions.login", {"provider": "twitter", "password": "b"}, "provider"),
        ("users.create", {"password": "wonderland"}, "login or email"),
    ],
)
def test_argument_group(name: str, arguments: dict[str, Any], argument: str) -> None:
    with client(refuse) as cube:
        with pytest.raises(InvalidArgument) as caught:
            call(cube, name, arguments)
        assert caught.value.argument == argument


# -- filters

FILTERED: dict[str, Any] = {
    name: parts(hints(method)["filters"])[0] for name, method in METHODS.items() if "filters" in parameters(method)
}


def refused_filters(name: str, filters: Any, where: str = "filters") -> None:
    with client(refuse) as cube:
        refused(cube, name, {**smallest(name), "filters": filters}, where)


def test_lists_accept_filters() -> None:
    assert {"dialogs.list", "dialogs.count", "messages.list", "users.list", "admin.list_dialogs"} < set(FILTERED)


@pytest.mark.parametrize("name", FILTERED)
def test_filters_must_be_a_mapping(name: str) -> None:
    for value in (5, "id", [("id", 5)], object(), b"id"):
        refused_filters(name, value)


@pytest.mark.parametrize("name", [name for name, kind in FILTERED.items() if is_typeddict(kind)])
def test_invalid_filter_fields_operators_and_values(name: str) -> None:
    refused_filters(name, {"no_such_field": 1}, "filters['no_such_field']")
    refused_filters(name, {5: 1}, "filters[5]")
    with client(refuse) as cube:
        for field, (kind, _) in keys(FILTERED[name]).items():
            where = f"filters[{field!r}]"
            refused(cube, name, {**smallest(name), "filters": {field: None}}, where)
            refused(cube, name, {**smallest(name), "filters": {field: {}}}, where)
            for value in wrong(kind):
                refused(cube, name, {**smallest(name), "filters": {field: value}}, where)


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({"no_such_operator": 1}, "['no_such_operator']"),
        ({}, ""),
        (None, ""),
        ([1, 2], ""),
        pytest.param(object(), "", id="object()"),
        (math.nan, ""),
        (dt.datetime(2026, 2, 3), ""),
        ("a\ud800", ""),
        ({"gt": None}, "['gt']"),
        ({"gt": [1]}, "['gt']"),
        ({"in": []}, "['in']"),
        ({"in": "12"}, "['in']"),
        ({"in": 5}, "['in']"),
        ({"in": ["a,b"]}, "['in'][0]"),
        ({"in": ["a", "b,c"]}, "['in'][1]"),
        ({"in": [[1]]}, "['in'][0]"),
        ({"near": [1, None]}, "['near']"),
        ({"calc": "median"}, "['calc']"),
    ],
    ids=ascii,
)
def test_custom_field_filters(rule: Any, where: str) -> None:
    refused_filters("custom_objects.list", {"rating": rule}, f"filters['rating']{where}")


@pytest.mark.parametrize("field", ["", 5, None, "a\ud800"], ids=ascii)
def test_custom_field_names(field: Any) -> None:
    refused_filters("custom_objects.list", {field: 1}, f"filters[{field!r}]")


@pytest.mark.parametrize(
    "rule", [5, {}, {5: "x"}, {"": "x"}, {"city": None}, {"city": {"start_with": "x"}}, {"city": {}}]
)
def test_extension_filters(rule: Any) -> None:
    refused_filters("dialogs.list", {"extensions": rule}, "filters['extensions']")


def test_list_entries_cannot_contain_commas() -> None:
    with client(refuse) as cube:
        for arguments in (
            {"filters": {"name": {"in": ["a,b"]}}},
            {"filters": {"extensions": {"city": {"in": ["Turin", "a,b"]}}}},
        ):
            with pytest.raises(InvalidArgument, match="comma"):
                call(cube, "dialogs.list", arguments)
        with pytest.raises(InvalidArgument, match=r"chat_dialog_ids\[1\] must not contain a comma"):
            cube.messages.unread_count(chat_dialog_ids=["a", "b,c"])
        with pytest.raises(InvalidArgument, match=r"tag_list\[0\] must not contain a comma"):
            cube.users.update(5, tag_list=["a,b"])
        with pytest.raises(InvalidArgument, match="comma"):
            cube.users.list_v1(filters={"login": {"in": ["a,b"]}})


# -- helpers of the client


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"password": "b"}, "login or email"),
        ({"login": "a", "email": "b", "password": "c"}, "email"),
        ({"login": "a", "password": ""}, "password"),
        ({"login": "", "password": "b"}, "login"),
        ({"login": 5, "password": "b"}, "login"),
        ({"email": "a@example.com", "password": None}, "password"),
    ],
)
def test_login(arguments: dict[str, Any], argument: str) -> None:
    with client(refuse) as cube, pytest.raises(InvalidArgument) as caught:
        cube.login(**arguments)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("provider", "arguments", "argument"),
    [
        ("myspace", {"token": "t"}, "provider"),
        ("facebook", {"token": ""}, "token"),
        ("facebook", {"token": "t", "project_id": "p"}, "project_id"),
        ("firebase_phone", {"token": "t"}, "project_id"),
        ("firebase_email", {"token": "t", "project_id": "p", "secret": "s"}, "secret"),
        ("twitter", {"token": "t", "secret": 5}, "secret"),
    ],
)
def test_login_provider(provider: Any, arguments: dict[str, Any], argument: str) -> None:
    with client(refuse) as cube, pytest.raises(InvalidArgument) as caught:
        cube.login_provider(provider, **arguments)
    assert caught.value.argument == argument


def test_guests_and_sessions() -> None:
    with client(refuse) as cube:
        for name in ("", None, 5):
            with pytest.raises(InvalidArgument, match="full_name"):
                cube.login_guest(full_name=name)  # type: ignore[arg-type]
            with pytest.raises(InvalidArgument, match="token"):
                cube.use_session(name)  # type: ignore[arg-type]


def test_error_messages_hide_secrets() -> None:
    with client(refuse) as cube:
        for arguments in ({"login": "a", "email": "b", "password": "sesame"}, {"login": 5, "password": "sesame"}):
            with pytest.raises(InvalidArgument) as caught:
                cube.login(**arguments)
            assert "sesame" not in str(caught.value) + repr(caught.value)
