"""Let all references of a third-party document lead to its components.

A reference may lead into another file, to an anchor or an id of JSON Schema, or into the middle of another object. What
it leads to becomes a component, with a name of its own. Objects that have no section there take the reference's place.
Only files in the folder of the document and below are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from ..faults import Fault, SpecFaults
from ..source import DEEPEST, MOST_NODES, Map, Seq, child, fault, load, placed
from . import naming
from .document import at, escaped, unescaped
from .grammar import below, sections

IDENTITIES = ("$id", "$anchor", "$dynamicAnchor", "$schema")
"""What a schema no longer needs when all references are pointers."""

SILENT = frozenset("components schemas properties paths responses content schema $defs definitions parameters".split())
"""Parts of a pointer that say nothing in a name."""


@dataclass
class File:
    """A file that references may lead to."""

    path: Path
    root: Map
    identities: dict[str, Map] | None = None
    """The schemas that have an id or an anchor, by both; looked up when a reference needs them."""


@dataclass
class Use:
    """A reference, and what it leads to."""

    holder: Any
    key: Any
    node: Map
    shape: Any
    file: File
    base: str
    target: Any = None
    place: tuple[Any, Any] = (None, None)
    """What holds the target, and where."""
    pointer: str = ""
    origin: File | None = None


class References:
    """The references of one document.

    :param folder: outside of it nothing is read.
    :param files: those that are read already.
    :param roots: those of them that are merged into the first one.
    :param base: the folder that file names in faults are relative to.
    """

    def __init__(self, folder: Path, files: dict[Path, Map], roots: list[Map], base: Path) -> None:
        self.folder = folder.resolve()
        self.base = base
        self.document = roots[0]
        self.files: dict[Path, File | None] = {path.resolve(): File(path, root) for path, root in files.items()}
        self.roots = {root.file: file for file in self.files.values() for root in roots if file and file.root is root}
        self.faults: list[Fault] = []
        self.seen: dict[int, Any] = {}
        self.uses: list[Use] = []
        self.schemas: list[Map] = []
        self.inlined = False

    def bundle(self) -> list[Fault]:
        """Rewrite all references."""
        self._walk(self.document, "document", None, None, self.roots[self.document.file], "")
        done = 0
        while done < len(self.uses):
            use = self.uses[done]
            done += 1
            self._resolve(use)
            if isinstance(use.target, (dict, list)) and use.origin is not None:
                self._walk(use.target, use.shape, *use.place, use.origin, "")
        self._rewrite()
        if self.inlined:
            self._limit()
        return self.faults

    # -- finding

    def _walk(self, node: Any, shape: Any, holder: Any, key: Any, file: File, base: str) -> None:
        if shape is None or not isinstance(node, (Map, Seq)) or id(node) in self.seen:
            return
        self.seen[id(node)] = shape
        # The files of a folder are merged.
        file = self.roots.get(node.file, file)
        if isinstance(node, Map):
            if shape == "schema":
                self.schemas.append(node)
                if isinstance(node.get("$id"), str):
                    base = _joined(base, node["$id"])
                if isinstance(node.get("$dynamicRef"), str) and "$ref" not in node:
                    node["$ref"] = node.pop("$dynamicRef")
                    node.lines["$ref"] = node.line_of("$dynamicRef")
            if isinstance(node.get("$ref"), str):
                self.uses.append(Use(holder, key, node, shape, file, base))
            elif shape == "discriminator" and isinstance(node.get("mapping"), Map):
                for name, value in node["mapping"].items():
                    if isinstance(value, str) and ("#" in value or value.endswith((".yaml", ".yml", ".json"))):
                        stand_in = placed(Map({"$ref": value}), node["mapping"], name)
                        self.uses.append(Use(node["mapping"], name, stand_in, "mapping", file, base))
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for entry_key, (entry, inner) in zip(keys, list(below(node, shape)), strict=True):
            self._walk(entry, inner, node, entry_key, file, base)

    def _resolve(self, use: Use) -> None:
        ref = use.node["$ref"]
        part, _, fragment = ref.partition("#")
        root: Any = use.file.root
        origin: File | None = use.file
        scope: Any = None
        if part:
            wanted = _joined(use.base, part)
            scope = self._identity(use.file, wanted)
            if scope is None and wanted != use.file.root.get("$self"):
                origin = self._open(use, part)
                if origin is None:
                    return
                root = origin.root
        elif use.base:
            scope = self._identity(use.file, use.base)
        for start in (scope, root) if scope is not None else (root,):
            if not fragment:
                found: Any = (None, None, start)
            elif fragment.startswith("/"):
                found = at(start, fragment[1:])
            else:
                assert origin is not None
                found = (None, None, self._identity(origin, f"#{unquote(fragment)}"))
            if isinstance(found[2], (Map, Seq, bool)):
                use.place, use.target, use.origin = found[:2], found[2], origin
                use.pointer = fragment
                return
        if part:
            self._refuse(use, f"the reference {ref!r} points to nothing")

    def _identity(self, file: File, name: str) -> Map | None:
        """The schema with an id, or with an anchor after a `#`."""
        if file.identities is None:
            file.identities = {}
            stack: list[tuple[Any, str]] = [(file.root, "")]
            while stack:
                node, base = stack.pop()
                if isinstance(node, Map):
                    if isinstance(node.get("$id"), str):
                        base = _joined(base, node["$id"])
                        file.identities.setdefault(base.removesuffix("#"), node)
                    for key in ("$anchor", "$dynamicAnchor"):
                        if isinstance(node.get(key), str):
                            file.identities.setdefault(f"#{node[key]}", node)
                entries = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
                stack += [(entry, base) for entry in entries if isinstance(entry, (dict, list))]
        return file.identities.get(name)

    # -- files

    def _open(self, use: Use, part: str) -> File | None:
        """The file that a reference names, or `None` and a fault."""
        ref = use.node["$ref"]
        try:
            split = urlsplit(part)
            name = unquote(split.path)
            if split.scheme or split.netloc or "\x00" in name:
                self._refuse(use, f"the reference {ref!r} leaves the spec")
                return None
            path = (use.file.path.parent / name).resolve()
            if not path.is_relative_to(self.folder):
                self._refuse(use, f"the reference {ref!r} leaves the spec")
                return None
            if path not in self.files:
                # Reading a pipe or a device may never end.
                if not path.is_file():
                    self._refuse(use, f"the reference {ref!r} points to nothing")
                    return None
                self.files[path] = None
                self.files[path] = File(path, load(path, label(path, self.base), self.faults))
        except (OSError, RuntimeError, ValueError):
            self._refuse(use, f"the reference {ref!r} points to nothing")
            return None
        except SpecFaults as error:
            self.faults += error.faults
        found = self.files[path]
        if found is None:
            self._refuse(use, f"the reference {ref!r} points to nothing that can be read")
        return found

    def _refuse(self, use: Use, problem: str) -> None:
        self.faults.append(fault(use.node, "$ref", problem, "Refer to a file of the spec's folder"))
        use.node["$ref"] = ""

    # -- rewriting

    def _rewrite(self) -> None:
        components = self.document.get("components")
        components = components if isinstance(components, Map) else Map()
        named: dict[int, str] = {}
        for section, entries in components.items():
            if isinstance(entries, Map):
                for name, entry in entries.items():
                    if isinstance(entry, Map):
                        named[id(entry)] = f"#/components/{section}/{escaped(name)}"
        for use in self.uses:
            if use.node["$ref"] == "":
                del use.node["$ref"]
                self._remove(use)
                continue
            kind = "schema" if use.shape == "mapping" else use.shape
            target = use.target
            if target is None:
                continue
            if id(target) in named and isinstance(kind, str):
                use.node["$ref"] = named[id(target)]
            elif isinstance(target, bool):
                if kind == "schema" and use.holder is not None:
                    use.holder[use.key] = target
            elif kind == "schema" and isinstance(target, Map):
                if self.seen.get(id(target)) == "schema":
                    self._hoist(use, "schemas", named)
            elif isinstance(kind, str) and kind in sections() and isinstance(target, Map):
                if use.origin is not None and use.origin.root.file in self.roots:
                    use.node["$ref"] = f"#{use.pointer}"
                else:
                    self._hoist(use, sections()[kind], named)
            elif use.holder is not None and isinstance(target, list if isinstance(kind, list) else dict):
                self._inline(use)
            if use.shape == "mapping":
                use.holder[use.key] = use.node["$ref"]
        for schema in self.schemas:
            for key in IDENTITIES:
                schema.pop(key, None)

    def _remove(self, use: Use) -> None:
        """Take out what a reference to nothing that may be read stood for."""
        if use.shape == "mapping" or (use.shape != "schema" and isinstance(use.holder, dict) and not use.node):
            del use.holder[use.key]

    def _hoist(self, use: Use, section: str, named: dict[int, str]) -> None:
        """Make a component of what a reference leads to; a reference to it stands in its old place."""
        entries = child(child(self.document, "components"), section)
        name = naming.unique(_name(use), entries)
        entries[name] = use.target
        entries.lines[name] = use.target.line
        named[id(use.target)] = use.node["$ref"] = f"#/components/{section}/{escaped(name)}"
        holder, key = use.place
        if holder is not None and holder[key] is use.target:
            holder[key] = placed(Map({"$ref": use.node["$ref"]}), holder, key)

    def _inline(self, use: Use) -> None:
        self.inlined = True
        target = use.target
        beside = {key: value for key, value in use.node.items() if key != "$ref"}
        if beside and isinstance(target, Map):
            lines = {**target.lines, **use.node.lines}
            target = placed(Map({**target, **beside}), use.holder, use.key)
            target.lines = lines
        use.holder[use.key] = target

    def _limit(self) -> None:
        """Refuse a document that contains itself, or in which the same things are contained again and again."""
        sizes: dict[int, int] = {}
        above: set[int] = set()

        def size(node: Any, depth: int) -> int:
            if not isinstance(node, (Map, Seq)):
                return 1
            found = sizes.get(id(node))
            if found is None:
                if id(node) in above or depth > 2 * DEEPEST:
                    problem = "references make the document infinite or too deep"
                    raise SpecFaults([Fault(node.file, node.line, problem, "Break the circle of references")])
                above.add(id(node))
                found = 1 + sum(size(entry, depth + 1) for entry in (node.values() if isinstance(node, dict) else node))
                above.discard(id(node))
                sizes[id(node)] = found
            return found

        if size(self.document, 0) > MOST_NODES:
            problem = "too large with its references expanded"
            raise SpecFaults([fault(self.document, None, problem, "Refer to components instead")])


def _joined(base: str, part: str) -> str:
    """Resolve a reference; one that is no address stays as it is."""
    try:
        return urljoin(base, part)
    except ValueError:
        return part


def label(path: Path, base: Path) -> str:
    """What to call a file in faults."""
    try:
        return path.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        return str(path)


def _name(use: Use) -> str:
    """A name for the component that a reference leads to."""
    parts = [unescaped(part) for part in use.pointer.split("/")]
    if not use.pointer.startswith("/"):
        assert use.origin is not None
        return use.pointer or use.origin.path.name.partition(".")[0]
    if len(parts) > 1 and parts[-2] in ("$defs", "definitions", "schemas"):
        return parts[-1]
    if use.origin is not None and parts[1:2] == ["components"] and len(parts) == 4:
        return parts[-1]
    said = [part for part in parts if part and part not in SILENT and "/" not in part.strip("/")]
    return "_".join(said) or "Schema"
