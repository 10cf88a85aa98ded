"""Whatever the wire brings is read without an error if identities are there, and nothing of it is lost."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.rest import DecodeError
from tests.properties import examples

from .schemas import MODELS, answers, identities, instances, properties, read

CASES = examples(100_000)
"""Generated answers in one run, over all models."""

ODD: list[Any] = [
    *(None, True, False, 0, 1, 2, 3, -1, 12, 2**31, 2**63, 2**64, 10**18, -(10**30), 10**400),
    *(0.0, 1.0, 0.5, -1.5, 1e11, 1e12, 1e308, -1e308, math.nan, math.inf, -math.inf),
    *("", " ", "0", "1", "2", "12", "-5", "--5", "1_000", "1.5", "1e5", "nan", "inf", "²", "٣", "9" * 5000),
    *("true", "TRUE", "false", "False", "yes", "null", "\x00", "\ud800", "\u202e", "😀", "x" * 3000),
    *(1455098137, -1455098137, 1455098137.25, 1612102380000, 253402300800, 99999999999, 10**12 + 1, 1e11 + 0.5),
    *("1455098137", "1612102380000", "1455098137.123456", "20240101", "2024-W01-1", "2024-01-01", "2024-02-30"),
    *("2024-01-01T00:00:00Z", "2024-01-01 00:00:00 UTC", "2024-01-01T00:00:00.123456789Z", "12:00"),
    *("2024-01-01T00:00:00+23:59", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00"),
    *("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00", "2500-06-01T00:00:00.000001Z"),
    *("a,b", ",", "a,,b", " a , b ", "1,2", "sent", "read", "apns", "photo"),
    *([], [None], [[]], [1, "2", None], ["a,b", "c"], ["", " x"], [{}], [{"id": 1}, None], [math.nan], [2**70]),
    *({}, {"0": 1, "1": "2"}, {"10": {"id": 1}, "9": {"id": 2}}, {"²": 1}, {"a": None}, {"": ""}, {"id": {}}),
    *({"total": 1, "own": [None]}, {"ids": "1,2", "access": "open"}, {"id": "x", "extra": {"extra": 1}}, {"\ud800": 0}),
]


IDENTIFIED = {name for name in MODELS if identities(name)}


def argument(wire: str) -> str:
    """The name of a model's argument."""
    return {"_id": "id", "messageId": "message_id"}.get(wire, wire)


def junk(rng: random.Random, keys: list[str], depth: int = 0) -> Any:
    """Some JSON; objects often have a model's keys."""
    choice = rng.random()
    if choice < 0.75 or depth > 3:
        return rng.choice(ODD)
    if choice < 0.85:
        return [junk(rng, keys, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(keys): junk(rng, keys, depth + 1) for _ in range(rng.randrange(5))}


def check(model: Any, data: dict[str, Any]) -> None:
    try:
        found = read(model, data)
    except DecodeError as error:
        holder = str(error).partition(" ")[0]
        assert holder in IDENTIFIED
        assert holder != model.__name__ or not readable(identities(holder), data)
        return
    written = found.to_dict()
    assert model.from_dict(written) == found
    json.dumps(written)
    assert len(repr(found)) < 100 * (len(data) + 2) + 100
    for key, value in data.items():
        assert key in written or reads_as_nothing(value), key
    for key, value in found.extra.items():
        assert value is data[key]


def readable(wanted: dict[str, Any], data: dict[str, Any]) -> bool:
    """Whether identities are there, or left to `read`."""
    return all(type(data.get(key, value)) is type(value) for key, value in wanted.items())


def reads_as_nothing(value: Any) -> bool:
    """Null, an empty list, or a text with commas and nothing between them."""
    return value is None or value == [] or (isinstance(value, str) and not value.replace(",", "").strip())


@pytest.mark.parametrize("name", MODELS)
def test_any_json_in_any_field(name: str) -> None:
    rng = random.Random(name)
    wire = list(properties(name))
    every = sorted({key for model in MODELS for key in properties(model)} | {"unknown", "", "0", "extra", "self"})
    for _ in range(CASES // len(MODELS) + 1):
        data = {key: junk(rng, every) for key in wire if rng.random() < 0.6}
        data |= {rng.choice(every): junk(rng, every) for _ in range(rng.randrange(3))}
        check(MODELS[name], data)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.text("0123456789,.-:TZ+ "), st.sampled_from(ODD)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8
)


@st.composite
def answered(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(MODELS)))
    keys = draw(st.lists(st.sampled_from([*properties(name)]), max_size=6, unique=True))
    return name, {**draw(st.dictionaries(st.text(), JSON, max_size=2)), **{key: draw(JSON) for key in keys}}


@given(answered())
@settings(max_examples=examples(1000), deadline=None)
def test_any_json(case: tuple[str, dict[str, Any]]) -> None:
    name, data = case
    check(MODELS[name], data)


def filled(data: dict[str, Any]) -> set[str]:
    return {key for key, value in data.items() if value is not None and value != []}


EXAMPLES = [found for schema, example in answers() for found in instances(schema, example)]


def test_every_model_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(MODELS)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_documented_response_is_read_completely(name: str, example: dict[str, Any]) -> None:
    found = MODELS[name].from_dict(example)
    assert not set(found.extra) & set(properties(name)), "a field can't be read"
    written = found.to_dict()
    assert filled(written) == filled(example)
    assert MODELS[name].from_dict(written) == found


@pytest.mark.parametrize("name", MODELS)
def test_null_and_absent_are_equivalent(name: str) -> None:
    model = MODELS[name]
    empty = read(model, {})
    given = identities(name)
    assert read(model, {**dict.fromkeys(properties(name)), **given}) == empty
    assert empty == model(**{argument(key): value for key, value in given.items()})
    assert empty.to_dict() == given


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in MODELS for key in identities(name)])
def test_missing_identity_is_a_decode_error(name: str, key: str) -> None:
    for lack in ({}, {key: None}):
        data = {other: value for other, value in identities(name).items() if other != key}
        with pytest.raises(DecodeError, match=rf"^{name} has no {key}$"):
            MODELS[name].from_dict({**data, **lack})


@pytest.mark.parametrize("name", MODELS)
def test_unknown_fields_are_kept_unchanged(name: str) -> None:
    raw: dict[str, Any] = {"a new field": [1, {"deep": None}], "another": math.nan}
    raw |= identities(name)
    found = read(MODELS[name], raw)
    further = (
        {} if set(found.extra) == set(raw) else {key: value for key, value in raw.items() if key not in found.extra}
    )
    kept = {**found.extra, **{key: found.to_dict()[key] for key in further}}
    assert kept == raw
