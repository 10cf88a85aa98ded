"""Make the pages about the machines, each with a diagram drawn from its table."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..markdown import code, fence, header, prose
from ..templating import environment
from .model import Case, Effect, Field, Machine
from .values import show, show_effect, show_values


def render(machines: list[Machine], sources: str) -> dict[str, str]:
    """Make the files of `generated/docs/machines/`, by name."""
    env = environment("docs_machines", sources)
    env.filters.update(prose=prose, code=code)
    env.globals.update(
        header=header,
        diagram=lambda machine: fence(diagram(machine), "mermaid"),
        left_out=left_out,
        targets=targets,
        signature=signature,
        effects=effects,
        happens=lambda case: code(show_effect(Effect(case.event, case.values))),
        values=lambda values: code(show_values(values)) if values else "",
    )
    files = {"index.md": env.get_template("index.md.jinja").render(sources=sources, machines=machines)}
    for machine in machines:
        files[f"{machine.name}.md"] = env.get_template("machine.md.jinja").render(machine=machine)
    return files


def diagram(machine: Machine) -> str:
    """Draw the states and the transitions between them in Mermaid. Events that keep the state are left out."""
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{label(state.name)}" as {_id(state.name)}' for state in machine.states]
    lines.append(f"    [*] --> {_id(machine.initial)}")
    drawn = {event.name for event in machine.events if event.in_diagram}
    edges: dict[tuple[str, str], list[str]] = {}
    for case in machine.cases:
        if case.to is not None and case.to != case.state and case.event in drawn:
            events = edges.setdefault((case.state, case.to), [])
            if case.event not in events:
                events.append(case.event)
    for (start, end), events in edges.items():
        lines.append(f"    {_id(start)} --> {_id(end)}: {label(', '.join(events))}")
    return "\n".join(lines)


def _id(state: str) -> str:
    """Make an id that is not a keyword of Mermaid."""
    return "s_" + re.sub(r"[^A-Za-z0-9]", "_", state)


def label(text: str) -> str:
    """Write a text inside a diagram, with special characters as their code points."""
    return re.sub(r"[^A-Za-z0-9 ,.\-]", lambda found: f"#{ord(found.group())};", " ".join(text.split()))


def left_out(machine: Machine) -> str:
    """List the events that the diagram leaves out."""
    return ", ".join(code(event.name) for event in machine.events if not event.in_diagram)


def targets(cases: list[Case]) -> str:
    """List the states that a cell leads to, each once."""
    return ", ".join(dict.fromkeys(code(case.to) for case in cases if case.to is not None))


def signature(fields: Iterable[Field]) -> str:
    """Write the fields of a class with their types and defaults."""
    parts = []
    for field in fields:
        text = field.type + (" or null" if field.optional else "")
        parts.append(f"{field.name}: {text}" + (f" = {show(field.default)}" if field.has_default else ""))
    return code(", ".join(parts)) if parts else ""


def effects(case: Case) -> str:
    return ", ".join(code(show_effect(effect)) for effect in case.effects)
