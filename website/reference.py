"""The reference of all public names.

The names in `__all__` decide what there is. A model or a stanza has its section on a page of `generated/docs/`, which
gets an anchor for it; every other name goes to a page of its package, where mkdocstrings writes its section.
"""

from __future__ import annotations

import builtins
import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

import griffe

from .pages import PROJECT

__all__ = ["Page", "anchored", "names", "pages", "public_names"]

PACKAGES = ("rest", "stanzas", "chat", "bots", "sandbox")
ROOTS = ("generated", "xmpp_ext", "sandbox")


@dataclass
class Page:
    """A page of the reference: the names that are defined in these modules of the package, or all that are left."""

    uri: str
    title: str
    package: str
    modules: tuple[str, ...] = ("",)
    intro: str = ""
    names: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the page."""
        intro = self.intro or f"Import these names from `connectycube.{self.package}`."
        return "\n\n".join([f"# {self.title}", intro, *(self._entry(name) for name in self.names)]) + "\n"

    def _entry(self, name: str) -> str:
        path = f"connectycube.{self.package}.{name}"
        found, options = _target(path), dict[str, object]()
        if isinstance(found, griffe.Class):
            known = {*names(self.package), *dir(builtins)}
            options["show_bases"] = all(str(base) in known for base in found.bases)
            # The fields of a value class are in its docstring, with their types.
            parts = found.docstring.parse("sphinx") if found.docstring else []
            if any(part.kind is griffe.DocstringSectionKind.attributes for part in parts):
                options["inherited_members"] = False
                functions = [one.name for one in found.members.values() if one.is_function]
                options["members"] = [one for one in functions if not one.startswith("_")]
        return f"::: {path}\n    options: {json.dumps(options)}"


def pages() -> list[Page]:
    """Return the pages that mkdocstrings fills."""
    found = [
        Page("reference/rest-client/index.md", "Clients", "rest", ("client",)),
        Page("reference/rest-client/errors.md", "Errors", "rest", ("errors",)),
        Page("reference/rest-client/filters.md", "Filters", "rest", ("filters",)),
        Page("reference/rest-client/inputs.md", "Arguments", "rest", ("inputs",)),
        Page("reference/rest-client/helpers.md", "Pages, responses, helpers", "rest"),
        Page("reference/stanzas/functions.md", "Stanzas: functions and base classes", "stanzas"),
        Page("reference/chat/index.md", "AsyncChat", "chat", ("client", "features")),
        Page("reference/chat/blocking.md", "Chat", "chat", ("blocking",)),
        Page("reference/chat/events.md", "Events", "chat", ("events",)),
        Page("reference/chat/errors.md", "Errors", "chat", ("errors",)),
        Page("reference/chat/models.md", "Models", "chat"),
        Page("reference/bots.md", "Bots", "bots"),
        Page("reference/sandbox.md", "Sandbox", "sandbox"),
    ]
    for package in PACKAGES:
        for name in public_names(package):
            if (package, name) not in _sections():
                module = _target(f"connectycube.{package}.{name}").path.removeprefix(f"connectycube.{package}.")
                page = next(page for page in found if page.package == package and module.startswith(page.modules))
                page.names.insert(0 if name == page.title else len(page.names), name)
    return found


@cache
def public_names(package: str) -> tuple[str, ...]:
    """Return what users of a package import."""
    return tuple(import_module(f"connectycube.{package}").__all__)


def anchored(markdown: str, uri: str) -> str:
    """Put an anchor in front of each section of a generated page that describes a public name."""

    def anchor(match: re.Match[str]) -> str:
        package, name = uri.split("/")[1], match.group(1)
        if (package, name) not in _sections():
            return match.group()
        paths = {f"connectycube.{package}.{name}": 0, _target(f"connectycube.{package}.{name}").path: 0}
        return "".join(f'<a id="{path}"></a>' for path in paths) + "\n\n" + match.group()

    return re.sub(r"^## (\w+)$", anchor, markdown, flags=re.MULTILINE)


@cache
def names(package: str | None) -> dict[str, str]:
    """Return the full names of public names: of one package first, then those that mean one thing only."""
    found: dict[str, set[str]] = {}
    for one in PACKAGES:
        for name in public_names(one):
            found.setdefault(name, set()).add(f"connectycube.{one}.{name}")
    unique = {name: paths.pop() for name, paths in found.items() if len(paths) == 1}
    return unique | {name: f"connectycube.{package}.{name}" for name in (public_names(package) if package else ())}


@cache
def _sections() -> frozenset[tuple[str, str]]:
    """The package and the name of each public name that has a section on a page of generated/docs/."""
    found = set()
    for package in ("rest", "stanzas"):
        for page in (PROJECT / "generated" / "docs" / package).glob("*.md"):
            headings = re.findall(r"^## (\w+)$", page.read_text("utf-8"), flags=re.MULTILINE)
            found |= {(package, name) for name in headings if name in public_names(package)}
    return frozenset(found)


def _target(path: str) -> griffe.Object:
    """What a name stands for, where it is defined."""
    found = _loaded()[path.removeprefix("connectycube.")]
    return found.final_target if isinstance(found, griffe.Alias) else found


@cache
def _loaded() -> griffe.Object:
    loader = griffe.GriffeLoader(search_paths=[PROJECT / root for root in ROOTS])
    package = loader.load("connectycube")
    loader.resolve_aliases()
    assert isinstance(package, griffe.Object)
    return package
