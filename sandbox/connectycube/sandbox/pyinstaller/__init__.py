"""Tells PyInstaller which files the sandbox reads."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """Return the folder of the hooks. PyInstaller calls this through an entry point."""
    return [str(Path(__file__).parent)]
