"""A local ConnectyCube for development and tests: REST and chat over one store.

It plays what is documented, by the documented rules, and says 501 to the rest. It is no production server.
"""

from __future__ import annotations

from ._sandbox import Sandbox
from .clock import Clock
from .config import Limits, Settings
from .faults import Faults
from .journal import Entry, Exchange, Journal, StanzaSeen
from .seeding import SeedError
from .storage import DataFileError

__all__ = [
    "Clock",
    "DataFileError",
    "Entry",
    "Exchange",
    "Faults",
    "Journal",
    "Limits",
    "Sandbox",
    "SeedError",
    "Settings",
    "StanzaSeen",
]
