"""What pyproject.toml and tox.ini say twice is the same in both."""

from __future__ import annotations

import configparser
import itertools
import re
import tomllib
from importlib import import_module, metadata
from pathlib import Path

from packaging.version import Version

from connectycube.rest import __version__
from connectycube.rest._names import USER_AGENT

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def floors() -> dict[str, Version]:
    """The lowest version of each dependency, those of the chat included. The sandbox serves tests alone."""
    found = {}
    extras = [names for extra, names in PROJECT["project"]["optional-dependencies"].items() if extra != "sandbox"]
    for requirement in [*PROJECT["project"]["dependencies"], *itertools.chain(*extras)]:
        if requirement.startswith("connectycube["):
            continue
        match = re.match(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", requirement)
        assert match, f"{requirement} has no floor"
        found[match[1]] = Version(match[2])
    return found


def tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "tox.ini", "utf-8")
    return parser


def test_lowest_env_uses_the_minimum_versions() -> None:
    pins = dict(line.split("==") for line in tox()["testenv:lowest"]["deps"].split())
    assert {name: Version(pin) for name, pin in pins.items()} == floors()


def test_python_versions_are_the_same_everywhere() -> None:
    listed = {
        entry.rpartition(" ")[2] for entry in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", entry)
    }
    tested = {re.sub(r"py3", "3.", env) for env in re.findall(r"py3\d+", tox()["tox"]["env_list"])}
    assert listed == tested
    lowest = min(listed, key=lambda version: int(version.partition(".")[2]))
    assert PROJECT["project"]["requires-python"] == f">={lowest}"
    assert PROJECT["tool"]["mypy"]["python_version"] == lowest
    assert PROJECT["tool"]["pyright"]["pythonVersion"] == lowest
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{lowest.replace('.', '')}"


def test_source_roots_are_in_both_build_lists() -> None:
    build = PROJECT["tool"]["hatch"]["build"]
    packages = build["targets"]["wheel"]["packages"]
    assert [Path(package).parent.as_posix() for package in packages] == build["dev-mode-dirs"]
    for package in packages:
        assert (ROOT / package).is_dir()
        assert not (ROOT / package / "__init__.py").exists(), "connectycube is a namespace"
        for part in (ROOT / package).iterdir():
            if part.is_dir() and part.name != "__pycache__":
                assert (part / "py.typed").is_file(), part


def test_client_reports_the_installed_version() -> None:
    assert f"x-sdk-version: {__version__}\n" in (ROOT / "spec/rest/api.yaml").read_text(encoding="utf-8")
    assert metadata.version("connectycube") == __version__
    assert f"connectycube-python/{__version__}" == USER_AGENT


def test_sandbox_dependency_group_matches_its_extra() -> None:
    assert PROJECT["dependency-groups"]["sandbox"] == PROJECT["project"]["optional-dependencies"]["sandbox"]


def test_commands_exist() -> None:
    for target in PROJECT["project"]["scripts"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name)), target
