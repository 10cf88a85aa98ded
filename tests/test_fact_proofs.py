"""Every feature of `docs/wire-facts.md` has a test that proves it, except for those of other systems."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.test_wire_facts import anchors

TESTS = Path(__file__).parent
PROOFS: dict[str, str] = yaml.safe_load((TESTS / "fact_proofs.yaml").read_text(encoding="utf-8"))

OTHER_SYSTEMS = {"X-50": "the conference server (Janus)", "X-54": "another chat server (SAMA)"}


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    found = re.findall(r"^(?:async )?def (test_\w+)", (TESTS / path).read_text(encoding="utf-8"), re.M)
    return frozenset(found)


def test_every_feature_has_a_proof() -> None:
    features = {fact for fact in anchors() if fact[:2] in ("F-", "X-")}
    assert set(PROOFS) == features - set(OTHER_SYSTEMS)
    assert sum(fact.startswith("F-") for fact in PROOFS) == 109
    assert sum(fact.startswith("X-") for fact in PROOFS) == 54


@pytest.mark.parametrize("fact", PROOFS)
def test_proof_exists(fact: str) -> None:
    path, _, name = PROOFS[fact].partition("::")
    assert name in names_in(path)
