"""A new machine is one new file, from which its tests and its page follow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from generator import __main__ as generator
from generator.faults import SpecFaults
from generator.machines.generate import package
from generator.runtime.conformance.machines import Table
from tests.machines.specs import DOOR, ROOT, SPEC, changed, load, write


def made(folder: Path) -> dict[str, str]:
    return package(write(folder, {}), folder, "spec/machines")


def test_a_new_machine(tmp_path: Path) -> None:
    shutil.copytree(SPEC, tmp_path / "machines")
    before = made(tmp_path)
    (tmp_path / "machines" / "door.yaml").write_text(DOOR, encoding="utf-8")
    after = made(tmp_path)
    assert set(after) - set(before) == {"docs/machines/door.md"}
    assert {name for name in before if before[name] != after[name]} == {"docs/machines/index.md"}
    assert "[Door](door.md)" in after["docs/machines/index.md"]


def test_a_new_case(tmp_path: Path) -> None:
    before = package(write(tmp_path, {"door": DOOR}), tmp_path, "spec/machines")
    case = "      - {to: open, effects: [Creak]}\n"
    more = changed(case, f'{case}      - {{event: {{code: "9"}}, to: open, effects: [Creak], why: any code will do}}\n')
    after = package(write(tmp_path, {"door": more}), tmp_path, "spec/machines")
    assert {name for name in before if before[name] != after[name]} == {"docs/machines/door.md"}
    assert "any code will do" in after["docs/machines/door.md"]


def test_a_machine_without_variables_types_and_effects(tmp_path: Path) -> None:
    text = """\
machine: switch
module: switch
class: Switch
title: Switch
source: RFC 0000
doc: A switch.
initial: "off"
states: {"off": {doc: Dark.}, "on": {doc: Bright.}}
events: {Press: {doc: Somebody presses.}}
table: {"off": {Press: [{to: "on"}]}, "on": {Press: [{to: "off"}]}}
"""
    [machine] = load(tmp_path, switch=text)
    assert len(machine.cells) == 2
    files = made(tmp_path)
    assert Table(yaml.safe_load(text)).undefined == []
    assert "## Variables" not in files["docs/machines/switch.md"]


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    shutil.copytree(SPEC, tmp_path / "machines")
    assert made(tmp_path) == made(tmp_path)


def test_faults_of_all_parts_are_reported_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "spec", tmp_path / "spec")
    for name, old, new in (
        ("machines/connection.yaml", "initial: offline", "initial: ofline"),
        ("stanzas/bind.yaml", "protocol: bind", "protocol: bound"),
    ):
        file = tmp_path / "spec" / name
        file.write_text(changed(old, new, file.read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "rest_part", dict)
    with pytest.raises(SpecFaults) as caught:
        generator.own()
    assert [(fault.file, fault.problem) for fault in caught.value.faults] == [
        ("spec/machines/connection.yaml", "there is no state 'ofline'"),
        ("spec/stanzas/bind.yaml", "the protocol 'bound' is in bind.yaml"),
    ]
