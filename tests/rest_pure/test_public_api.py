"""What is public: the names, where they come from, and that each says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import connectycube.rest
from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.rest.pages import AsyncPage, Page

from .signatures import resources

FILE = Path(__file__).with_name("public_names.txt")
WRITTEN = FILE.read_text("utf-8").split()
"""The names that are written by hand, one per line. Record changes in CHANGELOG.md.

Models, inputs and filters come from the spec: `generated/`, which is committed, shows what changes.
"""
NAMES = sorted(connectycube.rest.__all__)
DUNDER = {"__version__"}
"""The public names that start with an underscore, by convention."""

REST = "connectycube.rest"
CLIENTS = (ConnectyCube, AsyncConnectyCube)


def public_modules() -> Iterator[ModuleType]:
    yield connectycube.rest
    for module in pkgutil.walk_packages(connectycube.rest.__path__, "connectycube.rest."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            yield importlib.import_module(module.name)


MODULES = {module.__name__: module for module in public_modules()}


def test_public_names_match_the_committed_list() -> None:
    specified = {name for part in ("models", "inputs", "filters") for name in MODULES[f"{REST}.{part}"].__all__}
    added, removed = set(NAMES) - specified - set(WRITTEN), set(WRITTEN) - set(NAMES)
    assert not added, f"new public names: list them in {FILE} and in CHANGELOG.md"
    assert not removed, f"public names are gone: remove them from {FILE} and say so in CHANGELOG.md"


def test_contract_names_exist() -> None:
    contract = {"ConnectyCube", "AsyncConnectyCube", "ConnectyCubeError", "ApiError", "ConnectionFailed"}
    contract |= {"RequestTimeout", "DecodeError", "ConfigurationError", "Dialog", "Message", "User", "Page"}
    assert contract < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_public_name_can_be_imported(name: str) -> None:
    assert getattr(connectycube.rest, name) is not None
    assert name in dir(connectycube.rest)
    assert not name.startswith("_") or name in DUNDER


def test_dir_shows_only_public_names() -> None:
    assert dir(connectycube.rest) == sorted(connectycube.rest.__all__)
    assert dir(connectycube.rest.models) == sorted(connectycube.rest.models.__all__)


@pytest.mark.parametrize("name", ["Dialogue", "_secret", "annotations_", "__wrapped__"])
def test_unknown_name_is_an_attribute_error(name: str) -> None:
    for module in (connectycube.rest, connectycube.rest.models):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute '{name}'"):
            getattr(module, name)


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_what_a_module_defines(name: str) -> None:
    module = MODULES[name]
    listed = set(getattr(module, "__all__", ()))
    assert not {
        entry for entry in listed if (entry.startswith("_") and entry not in DUNDER) or not hasattr(module, entry)
    }
    assert len(listed) == len(getattr(module, "__all__", ()))
    assert module.__doc__
    own = {key for key, value in vars(module).items() if inspect.isclass(value) and value.__module__ == name}
    assert {key for key in own if not key.startswith("_")} <= listed


def test_package_exports_the_classes_of_its_modules() -> None:
    exported = set(connectycube.rest.__all__)
    for module in ("client", "errors", "inputs", "models", "pages"):
        found = MODULES[f"connectycube.rest.{module}"]
        classes = {name for name in found.__all__ if inspect.isclass(getattr(found, name))}
        assert classes <= exported, module


def test_each_name_is_defined_in_one_module() -> None:
    for name in NAMES:
        found = getattr(connectycube.rest, name)
        if inspect.isclass(found):
            assert getattr(importlib.import_module(found.__module__), name) is found


# -- docstrings


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions and methods with the name that users know."""
    owners: list[type] = [*CLIENTS, Page, AsyncPage]
    for kind in CLIENTS:
        owners += resources(kind).values()
    owners += [found for name in NAMES if inspect.isclass(found := getattr(connectycube.rest, name))]
    for owner in dict.fromkeys(owners):
        for name, value in inspect.getmembers(
            owner, lambda entry: inspect.isfunction(entry) or inspect.ismethod(entry)
        ):
            if not name.startswith("_") and value.__module__.startswith("connectycube."):
                yield f"{owner.__name__}.{name}", value
    for name in NAMES:
        if inspect.isfunction(found := getattr(connectycube.rest, name)):
            yield name, found


FUNCTIONS = dict(functions())


def described(doc: str) -> set[str]:
    return set(re.findall(r":(?:param|ivar) (\w+): \S", doc))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_docstrings_describe_each_argument(name: str) -> None:
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    assert re.match(r"[A-Z`].+[.:]", doc), "no summary"
    if name.endswith((".from_dict", ".to_dict")):
        return  # Each model has the same two; the summary says what goes in.
    assert described(doc) == set(inspect.signature(function).parameters) - {"self", "cls"}


@pytest.mark.parametrize("name", NAMES)
def test_classes_have_docstrings(name: str) -> None:
    found = getattr(connectycube.rest, name)
    if inspect.isclass(found):
        assert re.match(r"[A-Z`0-9].+[.]", inspect.getdoc(found) or ""), "no summary"


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_docstrings_describe_construction(kind: type) -> None:
    assert described(kind.__doc__ or "") == set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("name", connectycube.rest.models.__all__)
def test_model_docstrings_describe_each_field(name: str) -> None:
    model = getattr(connectycube.rest.models, name)
    if hasattr(model, "from_dict"):
        assert described(model.__doc__ or "") == set(inspect.signature(model).parameters)


@pytest.mark.parametrize("name", MODULES["connectycube.rest.inputs"].__all__)
def test_input_docstrings_describe_each_key(name: str) -> None:
    found = getattr(connectycube.rest, name)
    assert described(found.__doc__ or "") == set(found.__annotations__)


@pytest.mark.parametrize("kind", CLIENTS)
def test_resources_and_properties_have_docstrings(kind: type) -> None:
    for name, value in inspect.getmembers(
        kind, lambda entry: hasattr(entry, "__get__") and not inspect.isfunction(entry)
    ):
        if not name.startswith("_"):
            assert value.__doc__, name
