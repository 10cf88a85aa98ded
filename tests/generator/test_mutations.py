"""Any value anywhere in a document leads to a package or to faults, never to a traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import examples

from .support import SPECS, Node, compiled, dump, run

ODD: list[Any] = [None, True, 7, -1.5, "", "odd", "#/components/schemas/Animal", [], ["odd"], [[]], {}, {"odd": {}}]

Place = tuple[Any, ...]


def places(node: Any, path: Place = ()) -> Iterator[Place]:
    """The path to each value of a document."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(document: Node, place: Place, value: Any) -> Node:
    """A document with another value at a place."""
    found = copy.deepcopy(document)
    holder: Any = found
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return found


def without(document: Node, place: Place) -> Node:
    """A document with the value at a place removed."""
    found = copy.deepcopy(document)
    holder: Any = found
    for key in place[:-1]:
        holder = holder[key]
    del holder[place[-1]]
    return found


FARM: Node = yaml.safe_load((SPECS / "farm.yaml").read_text())


@settings(max_examples=examples(80), deadline=None, derandomize=True)
@given(st.sampled_from(list(places(FARM))), st.sampled_from(ODD) | st.just(...))
def test_anything_anywhere(tmp_path_factory: pytest.TempPathFactory, place: Place, value: Any) -> None:
    folder = tmp_path_factory.mktemp("odd")
    document = without(FARM, place) if value is ... else changed(FARM, place, value)
    outcome = run("--spec", dump(folder, document), "--out", folder / "out")
    if outcome.status == 0:
        assert compiled(folder / "out") > 10
    else:
        assert outcome.faults
        assert all(line.startswith(f"{folder}/api.yaml:") for line in outcome.faults)
