"""Says which extra to install where a dependency is missing."""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["MissingExtra", "bots", "cli", "missing_extra", "sandbox"]


class MissingExtra(ModuleNotFoundError):
    """A dependency is missing, because an extra is not installed."""


def missing_extra(extra: str, error: ModuleNotFoundError) -> MissingExtra:
    """Return the error that names the extra to install.

    :param extra: the extra that the dependency belongs to.
    :param error: the failed import.
    """
    name = (error.name or "a dependency").partition(".")[0]
    text = f'connectycube.{extra} needs {name}, which is not installed: pip install "connectycube[{extra}]"'
    return MissingExtra(text, name=error.name)


def _run(command: str, module: str) -> int:
    """Run a command's `main`, and return its exit status. A missing extra is reported in one line."""
    try:
        status: int = import_module(module).main()
    except MissingExtra as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def bots() -> int:
    """Run `connectycube-bots`."""
    return _run("connectycube-bots", "connectycube.bots.cli")


def cli() -> int:
    """Run `connectycube`."""
    return _run("connectycube", "connectycube.cli.app")


def sandbox() -> int:
    """Run `connectycube-sandbox`."""
    return _run("connectycube-sandbox", "connectycube.sandbox.cli")
