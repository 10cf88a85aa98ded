"""A sandbox with a process of its own, as the command runs it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from ._sandbox import Sandbox
from .config import Settings
from .core import Core
from .demo import BOT, PASSWORD, SEED, Echo

__all__ = ["Alone"]


class Alone(Sandbox):
    """A sandbox with a process of its own.

    :param demo: whether to start with the data of the demo, and a user who echoes; other arguments are those of
        `Sandbox`.
    """

    def __init__(self, settings: Settings, *, demo: bool, **others: Any) -> None:
        if demo:
            others["seed"] = SEED
        super().__init__(settings, **others)
        self._demo = demo

    def _make_core(self) -> Core:
        core = super()._make_core()
        if self._demo:
            Echo(core)
        # Modules stay loaded, and scanning them takes the garbage collector a tenth of a second each time.
        core.loaded = gc.freeze
        return core

    def endpoints(self, *, ca_file: bool = True) -> dict[str, Any]:
        """Return all that a client needs to connect, including the demo's account."""
        account = {"login": BOT, "password": PASSWORD} if self._demo else {}
        return super().endpoints(ca_file=ca_file) | account

    @property
    def keeps_authority(self) -> bool:
        """Whether the TLS authority is kept after this run."""
        return self._ca_file is not None

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call a function when the sandbox ends, for whatever reason."""
        assert self._server is not None
        self._server.stopped.add_done_callback(lambda _: callback())
