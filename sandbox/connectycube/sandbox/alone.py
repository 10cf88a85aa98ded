"""A sandbox that has its process to itself, as the command has."""

from __future__ import annotations

import gc

from ._sandbox import Sandbox
from .core import Core

__all__ = ["Alone"]


class Alone(Sandbox):
    """A sandbox that has its process to itself."""

    def _make_core(self) -> Core:
        core = super()._make_core()
        # What is loaded stays: the collector would look through it for a tenth of a second, again and again.
        core.loaded = gc.freeze
        return core
