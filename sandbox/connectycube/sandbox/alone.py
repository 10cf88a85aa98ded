"""A sandbox with a process of its own, as the command runs it."""

from __future__ import annotations

import gc
from collections.abc import Callable

from ._sandbox import Sandbox
from .core import Core

__all__ = ["Alone"]


class Alone(Sandbox):
    """A sandbox with a process of its own."""

    def _make_core(self) -> Core:
        core = super()._make_core()
        # Modules stay loaded, and scanning them takes the garbage collector a tenth of a second each time.
        core.loaded = gc.freeze
        return core

    @property
    def keeps_authority(self) -> bool:
        """Whether the TLS authority is kept after this run."""
        return self._ca_file is not None

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call a function when the sandbox ends, for whatever reason."""
        assert self._server is not None
        self._server.stopped.add_done_callback(lambda _: callback())
