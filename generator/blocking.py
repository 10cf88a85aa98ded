"""The blocking chat, derived from the source of the asynchronous one.

A generated class inherits from a base written by hand. Whatever that base defines stays as it is; every other public
member of the asynchronous class gets a method or property of the same signature and docstring that passes the call on
to the chat's event loop. The sources are read as text: the generator never imports the product.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import output
from .templating import COMMAND

CHAT = "xmpp_ext/connectycube/chat"
FOLDER = f"{CHAT}/blocking"


class Twin(NamedTuple):
    """A blocking class and what it is made from. Paths are relative to the folder of the chat."""

    name: str
    module: str
    """Where it is written, below `blocking/`."""
    base: str
    """The base class, written by hand."""
    base_module: str
    source: str
    """The asynchronous class."""
    source_module: str
    target: str
    """The attribute of the base that holds the asynchronous object."""
    constructor: bool = False
    """Whether users construct it: then `__init__` has the signature of the source's."""


TWINS = (
    Twin("Chat", "client.py", "ChatBase", "blocking/base.py", "AsyncChat", "client.py", "_chat", constructor=True),
    Twin("BlockingContacts", "contacts.py", "ContactsBase", "blocking/lists.py", "Contacts", "features/contacts.py",
         "_contacts"),
    Twin("BlockingPrivacy", "privacy.py", "PrivacyBase", "blocking/lists.py", "Privacy", "features/privacy.py",
         "_privacy"),
)  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source:
    """A class in the text of its module."""

    def __init__(self, folder: Path, module: str, name: str) -> None:
        self.folder = folder
        self.module = module
        try:
            text = (folder / module).read_text(encoding="utf-8")
        except OSError as error:
            raise output.GenerationError(f"{CHAT}/{module} can't be read: {error}") from error
        self._lines = text.splitlines()
        self._tree = ast.parse(text)
        found = [node for node in self._tree.body if isinstance(node, ast.ClassDef) and node.name == name]
        if not found:
            raise output.GenerationError(f"{CHAT}/{module} has no class {name}: the blocking chat can't be made")
        self._class = found[0]

    @property
    def imports(self) -> list[str]:
        """The imports of the module and of its bases' modules, written for a module in `blocking/`."""
        found = []
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                names = ", ".join(alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in node.names)
                found.append(f"from {self._origin(node)} import {names}")
            elif isinstance(node, ast.Import):
                found.append(ast.unparse(node))
        return [line for source in self._bases for line in source.imports] + found

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = Path(self.module).parent.parts
        above = parts[: len(parts) - (node.level - 1)]
        return ".." + ".".join([*above, *(node.module or "").split(".")]).strip(".")

    @property
    def _bases(self) -> Iterator[Source]:
        """The bases that come from other modules of the chat."""
        names = {base.id for base in self._class.bases if isinstance(base, ast.Name)}
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and node.level:
                for alias in node.names:
                    if (alias.asname or alias.name) in names:
                        path = self._origin(node).removeprefix("..").replace(".", "/") + ".py"
                        yield Source(self.folder, path, alias.name)

    @property
    def methods(self) -> Iterator[tuple[Source, Function]]:
        """The methods in the order of the text, the bases' last."""
        for node in self._class.body:
            if isinstance(node, Function):
                yield self, node
        for base in self._bases:
            yield from base.methods

    @property
    def names(self) -> set[str]:
        return {method.name for _, method in self.methods}

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self._class) or ""

    def head(self, method: Function) -> str:
        """The text of a method from its decorators to the end of its docstring, without `async`."""
        first = min([method.lineno, *(decorator.lineno for decorator in method.decorator_list)])
        last = method.body[0].end_lineno if _is_head(method) else method.body[0].lineno - 1
        lines = self._lines[first - 1 : last]
        index = method.lineno - first
        lines[index] = lines[index].replace("async def ", "def ", 1)
        return "\n".join(lines)


def _is_head(method: Function) -> bool:
    """Whether the first statement is a docstring, or the `...` of an overload."""
    first = method.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)


def _is_decorated(method: Function, name: str) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == name for decorator in method.decorator_list)


def _arguments(method: Function) -> str:
    """What passes the method's own arguments on, with a comma before each."""
    given = method.args
    passed = [_argument(argument) for argument in [*given.posonlyargs, *given.args][1:]]
    if given.vararg is not None:
        passed.append(f"*{given.vararg.arg}")
    passed += [f"{argument.arg}={_argument(argument)}" for argument in given.kwonlyargs]
    return "".join(f", {argument}" for argument in passed)


def _argument(argument: ast.arg) -> str:
    # A generator of the caller's must not run in the loop's thread.
    lazy = argument.annotation is not None and ast.unparse(argument.annotation).startswith("Iterable[")
    return f"drained({argument.arg})" if lazy else argument.arg


def _body(twin: Twin, method: Function) -> str:
    target = f"self.{twin.target}"
    if method.name == "__init__":
        return f"super().__init__({twin.source}({_arguments(method).removeprefix(', ')}))"
    if _is_decorated(method, "property"):
        return f"return {target}.{method.name}"
    # Only a coroutine function is waited for; a plain one must not run beside the loop, which has no locks.
    run = "call" if isinstance(method, ast.AsyncFunctionDef) else "call_sync"
    call = f"self._loop.{run}({target}.{method.name}{_arguments(method)})"
    nothing = isinstance(method.returns, ast.Constant) and method.returns.value is None
    return call if nothing else f"return {call}"


def _docstring(source: Source, base: Source) -> str:
    """The text of the base, if it has any, with the fields of the source."""
    if not base.docstring:
        return source.docstring
    _, field, fields = source.docstring.partition("\n:")
    return f"{base.docstring}\n\n:{fields}" if field else base.docstring


def _module(twin: Twin, folder: Path) -> str:
    source, base = Source(folder, twin.source_module, twin.source), Source(folder, twin.base_module, twin.base)
    kept = base.names - {"__init__"} if twin.constructor else base.names
    members = []
    for owner, method in source.methods:
        if method.name not in kept and (method.name == "__init__" or not method.name.startswith("_")):
            body = "" if _is_decorated(method, "overload") else f"\n        {_body(twin, method)}"
            members.append(owner.head(method) + body)
    docstring = textwrap.indent(_docstring(source, base), "    ").strip()
    end = "\n    " if "\n" in docstring else ""
    own = twin.source_module.removesuffix(".py").replace("/", ".")
    return "\n".join(
        [
            f"# Generated by `{COMMAND}` from {CHAT}/{twin.source_module}: do not edit.\n",
            f'"""`{twin.name}`: `{twin.source}` for code that blocks."""\n',
            "from __future__ import annotations\n",
            *source.imports,
            f"from ..{own} import {twin.source}",
            f"from .{Path(twin.base_module).stem} import {twin.base}",
            "from .lists import drained\n",
            f'__all__ = ["{twin.name}"]\n\n',
            f'class {twin.name}({twin.base}):\n    """{docstring}{end}"""\n',
            "\n\n".join(members),
            "",
        ]
    )


def modules(root: Path) -> dict[str, str]:
    """The generated modules of `blocking/`, by name."""
    return {twin.module: _module(twin, root / CHAT) for twin in TWINS}


def differences(files: output.Files, root: Path) -> list[str]:
    """What differs in `blocking/`. Files without the header are written by hand."""
    folder = root / FOLDER
    extra = [f"extra: {path.name}" for path in sorted(folder.glob("*.py")) if output.is_marked(path)]
    found = [line for line in output.differences(files, folder) if line in extra or not line.startswith("extra: ")]
    return [line.replace(": ", f": {FOLDER}/", 1) for line in found]


def write(files: output.Files, root: Path) -> None:
    """Put each file in place of the old one, written beside it first."""
    for name, text in files.items():
        place = root / FOLDER / name
        beside = place.with_name(f".{name}-new")
        output.write({beside.name: text}, place.parent)
        beside.replace(place)
