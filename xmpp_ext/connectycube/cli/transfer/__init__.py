"""Export of an account's or application's dialogs, messages and files to a folder, and import from it."""

from .exporting import export
from .importing import import_
from .state import TransferError
from .summary import Progress, Summary
from .users import read_users

__all__ = ["Progress", "Summary", "TransferError", "export", "import_", "read_users"]
