"""Bundle the files of a spec into one document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..faults import Fault, SpecFaults
from ..source import Map, Seq, child, fault, load
from .grammar import METHODS, objects
from .references import References, label

ROOTS = ("api.yaml", "openapi.yaml", "openapi.yml", "openapi.json")


def read(source: Path, base: Path | None = None) -> tuple[Map, list[Fault]]:
    """Load a file, or all YAML and JSON files of a folder, as one document.

    In the project's own spec, references to other files of the folder become local, and a name that two files define is
    a fault. A third-party document may be spread over files as it likes.

    :param base: the folder that file names in faults are relative to; by default the working folder.
    :returns: the document, and the faults of a third-party one that don't prevent reading it.
    :raises SpecFaults: all faults of reading and merging.
    """
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix in (".yaml", ".yml", ".json"))
        paths.sort(key=lambda path: path.name not in ROOTS)
    else:
        paths = [source]
    if not paths or not paths[0].exists():
        remedy = "Name a file, or a folder that holds .yaml or .json files"
        raise SpecFaults([Fault(str(source), 1, "no spec found", remedy)])
    base = base or Path.cwd()
    documents: dict[Path, Map] = {}
    harmless: list[Fault] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            documents[path] = load(path, label(path, base), harmless)
        except SpecFaults as error:
            faults.extend(error.faults)
    if any("x-platform" in document for document in documents.values()):
        named = {path.name: document for path, document in documents.items()}
        for document in documents.values():
            _localise(document, named, faults)
        merged = _merge(list(documents.values()), faults)
        faults += harmless
        harmless = []
    elif faults:
        faults += harmless
    else:
        roots = [document for document in documents.values() if _is_root(document)] or list(documents.values())[:1]
        merged = _merge(roots, harmless)
        folder = source if source.is_dir() else source.parent
        harmless += References(folder, documents, roots, base).bundle()
    if faults:
        raise SpecFaults(faults)
    return merged, harmless


def _is_root(document: Map) -> bool:
    """Whether a file of a folder is a document, and not just something that others refer to."""
    return any(key in document for key in ("openapi", "swagger", "paths", "components", "webhooks"))


def _localise(document: Map, documents: dict[str, Map], faults: list[Fault]) -> None:
    """Turn `file.yaml#/x` into `#/x` in all objects of a document, but not in its examples."""
    for node, _ in objects(document, "document"):
        ref = node.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            file, _, pointer = ref.partition("#")
            if file.removeprefix("./") in documents:
                node["$ref"] = f"#{pointer}"
            else:
                remedy = f"Refer to one of {', '.join(documents)}"
                faults.append(fault(node, "$ref", f"the reference {ref!r} leaves the spec", remedy))


def _merge(documents: list[Map], faults: list[Fault]) -> Map:
    root = documents[0] if documents else Map()
    for document in documents[1:]:
        for key, value in document.items():
            if key == "paths" and isinstance(value, Map):
                for path, item in value.items():
                    _merge_path(child(root, "paths"), path, item, value, faults)
            elif key == "webhooks" and isinstance(value, Map):
                _merge_names(child(root, "webhooks"), value, faults)
            elif key == "components" and isinstance(value, Map):
                for section, entries in value.items():
                    target = child(child(root, "components"), section)
                    if isinstance(entries, Map):
                        _merge_names(target, entries, faults)
            elif key == "tags" and isinstance(value, Seq):
                tags = root.setdefault("tags", Seq())
                tags.extend(value)
                tags.lines = [*getattr(tags, "lines", []), *value.lines]
            elif key not in ("openapi", "info"):
                problem = f"{key!r} belongs in the root file"
                faults.append(fault(document, key, problem, "Move it to api.yaml"))
    return root


def _merge_path(paths: Map, path: str, item: Any, source: Map, faults: list[Fault]) -> None:
    if path not in paths or not isinstance(item, Map):
        paths[path] = item
        paths.lines[path] = source.line_of(path)
        return
    _merge_names(paths[path], item, faults)


def _merge_names(target: Map, entries: Map, faults: list[Fault]) -> None:
    for name, entry in entries.items():
        if name in target:
            kind = "operation" if name in METHODS else "name"
            where = f"{getattr(target[name], 'file', target.file)}:{getattr(target[name], 'line', 1)}"
            problem = f"the {kind} {name!r} is already defined at {where}"
            faults.append(fault(entries, name, problem, "Rename one of them"))
            continue
        target[name] = entry
        target.lines[name] = entries.line_of(name)
