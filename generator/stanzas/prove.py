"""Check the examples of the language with the classes generated from it, before anything is written."""

from __future__ import annotations

import importlib.util
import json
import linecache
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ..faults import Fault, nearest
from ..output import GenerationError, write
from ..runtime.conformance.differences import difference
from .model import Element, Example, Language, Wrong

_numbers = count(1)


def prove(files: Mapping[str, str], language: Language) -> list[Fault]:
    """Check every example with the class that it belongs to.

    :param files: the rendered package by name.
    :returns: a fault for each example that doesn't read as its class, has other values or builds other XML, and for
        each counter-example that reads as the class.
    :raises GenerationError: if the package can't be imported.
    """
    with _imported(files) as package:
        found = [_example(package, element, one) for element in language.elements.values() for one in element.examples]
        found += [_wrong(package, element, one) for element in language.elements.values() for one in element.wrong]
    return [fault for fault in found if fault]


@contextmanager
def _imported(files: Mapping[str, str]) -> Iterator[Any]:
    """Import the package under a unique name, for a while."""
    name = f"_proved_stanzas_{next(_numbers)}"
    bytecode = sys.dont_write_bytecode
    with tempfile.TemporaryDirectory(prefix="proved-") as scratch:
        folder = Path(scratch).resolve() / name
        write(files, folder)
        places = [str(folder)]
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=places)
        assert spec is not None
        assert spec.loader is not None
        package = sys.modules[name] = importlib.util.module_from_spec(spec)
        sys.dont_write_bytecode = True
        try:
            try:
                spec.loader.exec_module(package)
                for entry in folder.glob("*.py"):
                    # The bridge needs slixmpp, which the generator does not.
                    if entry.stem not in ("__init__", "slixmpp_bridge"):
                        importlib.import_module(f"{name}.{entry.stem}")
            except Exception as error:
                raise GenerationError(f"the stanzas can't be imported: {type(error).__name__}: {error}") from error
            yield package
        finally:
            sys.dont_write_bytecode = bytecode
            sys.path_importer_cache.pop(str(folder), None)
            for module in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
                del sys.modules[module]
            # attrs keeps the source of the methods that it makes.
            for source in [one for one in linecache.cache if f" {name}." in one]:
                del linecache.cache[source]


def _read(package: Any, element: Element, xml: str) -> Any:
    return package.parse(xml) if element.is_root else getattr(package, element.name).parse(xml)


def _example(package: Any, element: Element, example: Example) -> Fault | None:
    try:
        problem, remedy = _prove(package, element, example) or ("", "")
    except package.StanzaError as error:
        problem, remedy = f"the example is not a valid {element.name}: {error}", "Fix the example or the element"
    return Fault(example.file, example.line, problem, remedy) if problem else None


def _prove(package: Any, element: Element, example: Example) -> tuple[str, str] | None:
    found = _read(package, element, example.xml)
    if type(found).__name__ != element.name:
        remedy = f"Fix the example, or 'when' or 'rank' of {element.name} or {type(found).__name__}"
        return f"the example of {element.name} reads as {type(found).__name__}", remedy
    for name, wanted in example.fields.items():
        if name not in element.fields:
            remedy = nearest(name, element.fields, f"Its fields are {', '.join(element.fields)}")
            return f"{element.name} has no field {name!r}", remedy
        value = json.loads(json.dumps(getattr(found, name), default=str))
        # As text: to Python 1 equals True.
        if json.dumps(value, sort_keys=True) != json.dumps(wanted, sort_keys=True):
            return f"the field {name!r} of the example is {value!r}, not {wanted!r}", "Fix 'fields' or the example"
    built = found.to_xml()
    try:
        other = difference(built, example.builds)
    except ET.ParseError as error:
        return f"'builds' is not valid XML: {error}", "Fix it"
    if other:
        return f"the example builds other XML: {other}", "Fix the example, or add the XML under 'builds'"
    if _read(package, element, built) != found:
        return f"the XML that {element.name} builds reads as another value", "Fix the example or the element"
    return None


def _wrong(package: Any, element: Element, wrong: Wrong) -> Fault | None:
    try:
        found = _read(package, element, wrong.xml)
    except package.StanzaError:
        return None
    if type(found).__name__ != element.name:
        return None
    problem = f"the counter-example reads as {element.name} ({wrong.why})"
    return Fault(wrong.file, wrong.line, problem, "Fix it, or make the element stricter")
