"""Faults of a spec: where each is, what is wrong and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong in a spec."""

    file: str
    line: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.file}:{self.line}: {self.problem}. {self.remedy}.")


class SpecFaults(Exception):
    """All faults that a run found. It has written nothing."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(map(str, self.faults)))


def printable(text: str) -> str:
    """Escape a text of a spec for a terminal: one line, no control characters."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for an unknown name: the closest known one, or `otherwise` if none is close."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Write {near[0]!r}" if near else otherwise
