"""A sandbox that has its process to itself, as the command has."""

from __future__ import annotations

import gc
from collections.abc import Callable

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

    @property
    def keeps_authority(self) -> bool:
        """Whether TLS's authority outlives this run."""
        return self._ca_file is not None

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Have a function called when it ends, also by itself."""
        assert self._server is not None
        self._server.stopped.add_done_callback(lambda _: callback())
