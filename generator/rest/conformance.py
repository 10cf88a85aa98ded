"""Conformance tests made from a spec's examples."""

from __future__ import annotations

from .model import Api


def render(api: Api, sources: str) -> dict[str, str]:
    return {}
