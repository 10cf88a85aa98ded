"""The accounts of a fleet."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Account"]


@frozen
class Account:
    """An account of a fleet."""

    login: str | None = None
    password: str = field(default="", repr=False)
    user_id: int | None = None

    @property
    def name(self) -> str:
        return self.login or str(self.user_id)
