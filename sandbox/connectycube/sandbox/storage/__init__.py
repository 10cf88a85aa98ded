"""The sandbox's data: one SQLite database, in memory or in a file."""

from .database import Database, DataFileError, Unwritable, dump, load

__all__ = ["DataFileError", "Database", "Unwritable", "dump", "load"]
