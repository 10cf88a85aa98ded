"""The bots' exceptions.

ConnectyCubeError           from connectycube.rest
└── StoreError              the store can't be used
    └── StoreLocked         another process uses it
"""

from __future__ import annotations

from typing import Any

from connectycube.rest import ConnectyCubeError

__all__ = ["StoreError", "StoreLocked"]


class StoreError(ConnectyCubeError):
    """The store can't be opened, read or written.

    :ivar name: the store, such as the path of its file.
    :ivar problem: what is wrong and how to fix it.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"the store {self.name} {self.problem}"


class StoreLocked(StoreError):
    """Another process uses the store.

    :ivar holder: that process.
    """

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(name, f"is in use by {holder}: stop it first, or give each bot its own store")
        self.holder = holder

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.holder)
