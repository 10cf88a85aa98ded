"""Signatures of attrs classes, whose `__init__` is not in the source: an extension of griffe, for mkdocstrings."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import attrs
import griffe

__all__ = ["AttrsSignatures"]


class AttrsSignatures(griffe.Extension):
    """Adds the `__init__` that attrs makes: order and kinds as attrs has them, types and defaults as in the source."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Complete the attrs classes of a package."""
        for found in _classes(pkg):
            decorators = [one.value for one in found.decorators if isinstance(one.value, griffe.Expr)]
            if "__init__" not in found.members and any(one.canonical_path.startswith("attrs.") for one in decorators):
                found.set_member("__init__", _init(found))


def _classes(module: griffe.Module) -> Iterator[griffe.Class]:
    for member in list(module.members.values()):
        if isinstance(member, griffe.Class):
            yield member
        elif isinstance(member, griffe.Module):
            yield from _classes(member)


def _init(found: griffe.Class) -> griffe.Function:
    made = getattr(import_module(found.module.path), found.name)
    fields = sorted((one for one in attrs.fields(made) if one.init), key=lambda one: one.kw_only)
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    for field in fields:
        source = next(one.members[field.name] for one in (found, *found.mro()) if field.name in one.members)
        assert isinstance(source, griffe.Attribute)
        kind = griffe.ParameterKind.keyword_only if field.kw_only else griffe.ParameterKind.positional_or_keyword
        default = _default(source, field.default)
        parameters.append(griffe.Parameter(field.alias, annotation=source.annotation, kind=kind, default=default))
    return griffe.Function("__init__", parent=found, parameters=griffe.Parameters(*parameters), returns="None")


def _default(source: griffe.Attribute, default: Any) -> str | griffe.Expr | None:
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "..." if default.factory.__name__ == "<lambda>" else f"{default.factory.__name__}()"
    if isinstance(source.value, griffe.ExprCall) and source.value.canonical_path == "attrs.field":
        return None if default is attrs.NOTHING else repr(default)
    return source.value
