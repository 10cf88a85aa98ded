"""The project's pages, their code blocks and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from attrs import frozen

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
README = PROJECT / "README.md"
BOTS = DOCS / "bots.md"
CHAT = DOCS / "chat.md"
CONFIGURATION = DOCS / "configuration.md"
GENERATOR = DOCS / "generator.md"
REST = DOCS / "rest.md"
STANZAS = DOCS / "stanzas.md"


def blocks(page: Path, info: str = "python") -> Iterator[CodeType]:
    """The blocks that are fenced with exactly this; the line numbers of a traceback are those of the page."""
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(rf"^```{info}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, block.start(1))
        yield compile("\n" * line + block.group(1), str(page), "exec")


def fenced(page: Path, info: str) -> str:
    """The only block that is fenced with exactly this."""
    (found,) = re.findall(rf"^```{info}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return str(found)


@frozen
class Block:
    """A block of a page.

    :ivar info: what it is fenced with.
    :ivar file: the file that the page says to save it as; otherwise empty.
    """

    info: str
    text: str
    file: str


def parts(page: Path) -> list[Block]:
    """All blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"(?:Save this as `([\w.]+)`:\n\n)?^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(match[2], match[3], match[1] or "") for match in found]


def source(page: Path) -> str:
    """The Python blocks of a page as one module, with the page's line numbers. Those to save as files are left out."""
    lines: list[str] = []
    inside = False
    text = page.read_text(encoding="utf-8")
    for block in parts(page):
        if block.file:
            text = text.replace(block.text, "\n" * block.text.count("\n"), 1)
    for line in text.splitlines():
        fence = line.startswith("```")
        inside = (not fence and inside) or line.startswith("```python")
        lines.append(line if inside and not fence else "")
    return "\n".join(lines) + "\n"


def kinds(page: Path) -> set[str]:
    """What the blocks of a page are fenced with."""
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return set(fences[::2])


def headings(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles}


def broken_links(page: Path) -> list[str]:
    """Links to files and headings that are not there."""
    broken = []
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if not link.startswith("https://") and not (target.exists() and (not heading or heading in headings(target))):
            broken.append(link)
    return broken
