"""`docs/wire-facts.md` is what the ids in spec, code, tests and pages refer to."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
FACTS = ROOT / "docs" / "wire-facts.md"

ID = re.compile(r"(?<![\w-])(?:CR|CX|[FXRKUN])-\d{2,3}(?![\w-])")
SECTION = re.compile(r"(?:facts,? (?:part |section )?)(\d\.\d)|(\d\.\d) of the facts")


def anchors() -> list[str]:
    return re.findall(r'<a id="([A-Z]+-\d+)"></a>', FACTS.read_text(encoding="utf-8"))


def cited(pattern: re.Pattern[str]) -> dict[str, str]:
    """Each id or section that a tracked text file cites, with one file that cites it."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    for name in tracked.split("\0"):
        path = ROOT / name
        if path.suffix not in {".py", ".md", ".yaml", ".jinja", ".json", ".toml", ".txt", ".sql", ".mjs"}:
            continue
        # Hashes of packages can look like ids.
        if path == FACTS or path.name == "package-lock.json" or not path.is_file():
            continue
        for match in pattern.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(next((group for group in match.groups() if group), match.group()), name)
    return found


def test_every_row_has_one_anchor() -> None:
    found = anchors()
    assert len(found) == len(set(found))
    rows = re.findall(rf"^\| (?:<a[^>]*></a>)?\**({ID.pattern})\** \|", FACTS.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(found)


def test_every_cited_id_resolves() -> None:
    found = cited(ID)
    assert len(found) > 300, "the search for ids finds too few: is its pattern still right?"
    assert {fact: name for fact, name in found.items() if fact not in set(anchors())} == {}


def test_every_cited_section_exists() -> None:
    headings = set(re.findall(r"^### (\d\.\d) ", FACTS.read_text(encoding="utf-8"), re.M))
    found = cited(SECTION)
    assert found
    assert {section: name for section, name in found.items() if section not in headings} == {}
