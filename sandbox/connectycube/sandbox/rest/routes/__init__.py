"""Handlers, one module per resource. Each turns a call into a domain call and its result into the wire's form."""

from __future__ import annotations

from ..call import Routes
from . import dialogs, messages, sessions, users

__all__ = ["all_routes"]


def all_routes() -> Routes:
    """All handlers."""
    found = Routes()
    found.include(module.routes for module in (sessions, users, dialogs, messages))
    return found
