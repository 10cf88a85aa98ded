"""The project's files as pages of the site: where each one goes, and how its links and lists are adapted."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["PROJECT", "adapt", "generated_pages", "place", "sections"]

PROJECT = Path(__file__).parent.parent
# Pages outside docs/, by their place on the site.
ELSEWHERE = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
EXAMPLES = "examples.md"


def place(file: str) -> str | None:
    """Return where a file of the project is on the site, or `None` if it isn't there."""
    if file in ELSEWHERE:
        return ELSEWHERE[file]
    if file in ("examples", "LICENSE"):
        return {"examples": EXAMPLES, "LICENSE": "LICENSE.txt"}[file]
    folder, _, rest = file.partition("/")
    if folder == "docs":
        return rest
    if folder == "examples":
        return f"{EXAMPLES}#{Path(rest).stem}"
    if file.startswith("generated/docs/"):
        return "reference/" + file.removeprefix("generated/docs/")
    return None


def generated_pages() -> Iterator[tuple[str, str]]:
    """Yield the Markdown files from outside docs/: the place on the site, and the file."""
    found = [Path(name) for name in ELSEWHERE] + sorted((PROJECT / "generated" / "docs").rglob("*.md"))
    for path in found:
        file = (PROJECT / path).relative_to(PROJECT).as_posix()
        uri = place(file)
        assert uri is not None
        yield uri, file


def adapt(markdown: str, uri: str, file: str) -> str:
    """Point links to where the files are on the site, and indent lists as Python-Markdown requires.

    A link to a file that is not on the site becomes plain text. Of what a fence says, only the language is kept.
    """

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        name, mark, anchor = target.partition("#")
        if not name or re.match(r"[a-z]+:", target):
            return match.group()
        found = place(posixpath.normpath(posixpath.join(posixpath.dirname(file), name)))
        if found is None:
            return text.removeprefix("!")[1:-1]
        page, _, section = found.partition("#")
        way = os.path.relpath(page, posixpath.dirname(uri) or ".")
        return f"{text}({way}{'#' if section else mark}{section or anchor})"

    def prose(text: str) -> str:
        return re.sub(r"(!?\[[^\]]*\])\(([^()\s]+)\)", link, text)

    plain = re.sub(r"^( *```\w+) [\w ]+$", r"\1", _indented(markdown), flags=re.MULTILINE)
    return outside_code(plain, prose)


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change what is not within fences."""
    parts = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def _indented(markdown: str) -> str:
    """Indent the contents of numbered lists by four spaces instead of three, which GitHub accepts."""
    lines, inside = [], False
    for line in markdown.split("\n"):
        if line and not line.startswith(" "):
            inside = re.match(r"\d\. ", line) is not None
        lines.append(" " + line if inside and line.startswith("   ") else line)
    return "\n".join(lines)


def sections(title: str, intro: str, texts: dict[str, str], language: str) -> str:
    """Return a page that shows each text in a section of its own."""
    parts = [f"# {title}", intro]
    parts += [f"## {name}\n\n```{language}\n{text.strip()}\n```" for name, text in texts.items()]
    return "\n\n".join(parts) + "\n"
