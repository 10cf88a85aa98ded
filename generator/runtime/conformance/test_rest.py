"""Conformance of the REST clients: each operation, smallest and fullest, against the spec's examples."""

from __future__ import annotations

import pytest

from .rest import Answer, Call, Client, Make, Operation, operations

OPERATIONS = operations()

CALLS = [
    pytest.param(operation, call, answer, id=f"{name} {kind} {answer.status}{f' {number}' if number else ''}")
    for name, operation in OPERATIONS.items()
    for kind, call in operation.calls.items()
    for number, answer in enumerate(operation.answers)
]
IDENTITIES = [
    pytest.param(operation, key, id=f"{name} {key}")
    for name, operation in OPERATIONS.items()
    for key in operation.identities
]
REFUSALS = [
    pytest.param(operation.smallest, status, answer, id=f"{name} {status}")
    for name, operation in OPERATIONS.items()
    for status, answer in operation.refusals.items()
]
EMPTY_ARGUMENTS = [
    pytest.param(make, argument, id=f"{name} {argument}")
    for name, operation in OPERATIONS.items()
    for argument, make in operation.without.items()
]
NOT_REPEATABLE = [
    pytest.param(operation.smallest, id=name) for name, operation in OPERATIONS.items() if not operation.idempotent
]


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


@pytest.mark.parametrize(("operation", "call", "answer"), CALLS)
def test_request(client: Client, operation: Operation, call: Call, answer: Answer) -> None:
    client.check(operation, call, answer)


@pytest.mark.parametrize(("operation", "key"), IDENTITIES)
def test_missing_identity(client: Client, operation: Operation, key: str) -> None:
    client.check_identity(operation, key)


@pytest.mark.parametrize(("make", "status", "answer"), REFUSALS)
def test_refused(client: Client, make: Make, status: int, answer: object) -> None:
    client.check_refusal(make, status, answer)


@pytest.mark.parametrize(("make", "argument"), EMPTY_ARGUMENTS)
def test_empty_argument(client: Client, make: Make, argument: str) -> None:
    client.check_argument(make, argument)


@pytest.mark.parametrize("make", NOT_REPEATABLE)
def test_not_repeated_after_503(client: Client, make: Make) -> None:
    client.check_single_attempt(make)


def test_every_post_is_sent_once() -> None:
    assert not [name for name, one in OPERATIONS.items() if one.method == "POST" and one.idempotent]
