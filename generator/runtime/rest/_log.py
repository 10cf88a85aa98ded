"""The log, as the environment turns it on."""

from __future__ import annotations

import logging
import os

from . import errors


def show_log() -> None:
    """Write the log of all parts to the standard error stream if `CONNECTYCUBE_LOG` is `debug` or `info`.

    :raises ConfigurationError: if it is something else.
    """
    level = os.environ.get("CONNECTYCUBE_LOG")
    if not level:
        return
    if level.lower() not in ("debug", "info"):
        raise errors.ConfigurationError(f"CONNECTYCUBE_LOG must be debug or info, not {level!r}")
    log = logging.getLogger("connectycube")
    log.setLevel(level.upper())
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)
