"""Conformance tests of machines: the transition tables as data, and what holds a machine against them."""

from __future__ import annotations

from collections.abc import Iterable

from ..source_code import literal
from ..templating import environment
from .model import MISSING, Case, Field, Machine


def render(machines: list[Machine], sources: str) -> dict[str, str]:
    """The files of `generated/conformance/` by name."""
    env = environment("conformance_machines", sources)
    env.globals.update(fields=fields, call=call)
    files = {"machines.py": env.get_template("machines.py.jinja").render(sources=sources)}
    for machine in machines:
        undefined = len(machine.cells) < len(machine.states) * len(machine.events)
        template = env.get_template("test_machine.py.jinja")
        files[f"test_machine_{machine.module}.py"] = template.render(machine=machine, undefined=undefined)
    return files


def fields(entries: Iterable[Field]) -> str:
    """The source of a mapping of fields."""
    return "{" + ", ".join(f"{literal(one.name)}: {_field(one)}" for one in entries) + "}"


def _field(field: Field) -> str:
    parts = [literal(field.shape)]
    for name in ("default", "example"):
        value = getattr(field, name)
        if value is not MISSING:
            parts.append(f"{name}={literal(value)}")
    return f"Field({', '.join(parts)})"


def call(case: Case) -> str:
    """The source of a case; what is empty is left out."""
    parts = [literal(case.state), literal(case.event), str(case.number)]
    effects = tuple((effect.name, effect.values) for effect in case.effects)
    for name, value in (
        ("given", case.given),
        ("values", case.values),
        ("to", case.to),
        ("effects", effects),
        ("then", case.then),
        ("why", " ".join(case.why.split())),
    ):
        if value:
            parts.append(f"{name}={literal(value)}")
    return f"Case({', '.join(parts)})"
