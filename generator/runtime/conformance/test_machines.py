"""Conformance of the chat's state machines with their transition tables."""

from __future__ import annotations

from importlib import import_module

import pytest

from .machines import Case, Conformance, tables

MACHINES = {
    table.name: Conformance(import_module(f"connectycube.chat.machines.{table.module}"), table) for table in tables()
}

CASES = [
    pytest.param(name, case, id=f"{name}: {case.state} {case.event} {case.number}")
    for name, machine in MACHINES.items()
    for case in machine.table.cases
]
UNDEFINED = [
    pytest.param(name, *cell, id=f"{name}: {' '.join(cell)}")
    for name, machine in MACHINES.items()
    for cell in machine.table.undefined
]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_case(name: str, case: Case) -> None:
    MACHINES[name].check(case)


@pytest.mark.parametrize(("name", "state", "event"), UNDEFINED)
def test_undefined(name: str, state: str, event: str) -> None:
    MACHINES[name].check_undefined(state, event)


@pytest.mark.parametrize("name", MACHINES)
def test_states(name: str) -> None:
    MACHINES[name].check_states()


@pytest.mark.parametrize("name", MACHINES)
def test_initial(name: str) -> None:
    MACHINES[name].check_initial()


@pytest.mark.parametrize("name", MACHINES)
def test_classes(name: str) -> None:
    MACHINES[name].check_classes()


@pytest.mark.parametrize("name", MACHINES)
def test_table(name: str) -> None:
    MACHINES[name].check_table()
