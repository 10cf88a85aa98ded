"""The handlers, one module per resource. Each makes a domain call and puts its result into the wire's form."""

from __future__ import annotations

from ..call import Routes
from . import (
    address_book,
    admin,
    custom_objects,
    dialogs,
    files,
    link_previews,
    meetings,
    messages,
    push,
    search,
    sessions,
    users,
)

__all__ = ["all_routes"]

MODULES = (
    sessions,
    users,
    dialogs,
    messages,
    search,
    files,
    push,
    address_book,
    custom_objects,
    meetings,
    link_previews,
    admin,
)


def all_routes() -> Routes:
    """Return all handlers."""
    found = Routes()
    found.include(module.routes for module in MODULES)
    return found
