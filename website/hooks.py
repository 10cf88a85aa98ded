"""Hooks of mkdocs. They add the pages outside docs/, and link names to the reference, which has to be complete."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs_autorefs import AutorefsPlugin

from website import pages, plots, reference

PROJECT = pages.PROJECT


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that aren't in docs/, and expand the folders in the navigation."""
    # The headings of pages, such as that of the call `list`, are not names to refer to.
    autorefs(config).scan_toc = False
    made = {uri: (PROJECT / file).read_text("utf-8") for uri, file in pages.generated_pages()}
    made |= {page.uri: page.markdown() for page in reference.pages()}
    made["reference/index.md"] = (PROJECT / "website" / "reference.md").read_text("utf-8")
    made["reference/commands.md"] = commands()
    made["examples.md"] = examples()
    made["LICENSE.txt"] = (PROJECT / "LICENSE").read_text("utf-8")
    for name in ("site.css", "favicon.svg"):
        made[name] = (PROJECT / "website" / name).read_text("utf-8")
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    config.nav = [expand(entry, made) for entry in config.nav or []]
    return files


def autorefs(config: MkDocsConfig) -> AutorefsPlugin:
    """Return the plugin that links names."""
    plugin = config.plugins["autorefs"]
    assert isinstance(plugin, AutorefsPlugin)
    return plugin


def expand(entry: Any, made: dict[str, str]) -> Any:
    """Replace each folder in the navigation by its pages: the index first, the others by title."""
    if isinstance(entry, dict):
        return {title: expand(inner, made) for title, inner in entry.items()}
    if isinstance(entry, list):
        return [expand(inner, made) for inner in entry]
    if not entry.endswith("/"):
        return entry
    titles = {uri: heading(text) for uri, text in made.items() if uri.startswith(entry)}
    index = f"{entry}index.md"
    return [index, *({title: uri} for uri, title in sorted(titles.items(), key=lambda one: one[1]) if uri != index)]


def heading(text: str) -> str:
    """Return the heading of a page, without the name of its group."""
    (found, *_) = re.findall(r"^# (?:.*: )?(.*)$", text, re.MULTILINE)
    return str(found)


def examples() -> str:
    """Return a page with the sources of all examples."""
    found = {path.stem: path.read_text("utf-8") for path in sorted((PROJECT / "examples").glob("*.py"))}
    return pages.sections("Examples", "The programs in the folder `examples/`.", found, "python")


def commands() -> str:
    """Return a page with what each command prints for `--help`."""
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    found = {}
    for name in sorted([*scripts, *(f"connectycube {verb}" for verb in ("export", "import", "send", "tail"))]):
        script, *verb = name.split()
        command = [str(Path(sys.executable).with_name(script)), *verb, "--help"]
        found[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return pages.sections("Command line", "What each command prints for `--help`.", found, "text")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt the links of a page, and add the anchors of public names, diagrams and plots."""
    uri = page.file.src_uri
    file = dict(pages.generated_pages()).get(uri, f"docs/{uri}")
    if file.startswith("generated/"):
        markdown = reference.anchored(markdown, uri)
    markdown = re.sub(r"^<!-- diagram: ([\w-]+) -->$", diagram, markdown, flags=re.MULTILINE)
    title, newline, rest = markdown.partition("\n")
    markdown = f"{title}{newline}\n{plots.plots(uri)}{rest}"
    return markdown if uri.startswith("reference/") and file.startswith("docs/") else pages.adapt(markdown, uri, file)


def diagram(match: re.Match[str]) -> str:
    """Return the diagram of a state machine, which the generator has drawn from its table."""
    page = (PROJECT / "generated" / "docs" / "machines" / f"{match.group(1)}.md").read_text("utf-8")
    (found,) = re.findall(r"^```mermaid\n.*?^```$", page, re.DOTALL | re.MULTILINE)
    return str(found)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link each public name in inline code to its place in the reference."""
    for name in re.findall(r'<a id="(connectycube\.[\w.]+)">', html):
        autorefs(config).register_anchor(page, name)
    package = next((one for one in reference.PACKAGES if re.match(rf"(reference/)?{one}\b", page.file.src_uri)), None)
    names = reference.names(package)

    def link(match: re.Match[str]) -> str:
        name = match.group()
        return f'<autoref identifier="{names[name]}">{name}</autoref>' if name in names else name

    def code(match: re.Match[str]) -> str:
        # On a generated page, a name may be a part of a type.
        pattern = r"(?<![\w./])[A-Z]\w+" if page.file.src_uri.startswith("reference/") else r"^[A-Z]\w+$"
        return f"<code>{re.sub(pattern, link, match.group(1))}</code>"

    parts = re.split(r"(<(a|autoref|h\d|pre)\b.*?</\2>)", html, flags=re.DOTALL)
    parts[::3] = [re.sub(r"<code>([^<]*)</code>", code, part) for part in parts[::3]]
    del parts[2::3]
    return "".join(parts)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a public name has no entry in the reference."""
    reference_pages = Path(config.site_dir, "reference").rglob("*.html")
    found = {anchor for page in reference_pages for anchor in re.findall(r'id="([\w.]+)"', page.read_text("utf-8"))}
    names = [
        f"connectycube.{package}.{name}" for package in reference.PACKAGES for name in reference.public_names(package)
    ]
    if missing := [name for name in names if name not in found]:
        raise PluginError(f"these public names are missing from the reference: {', '.join(missing)}")
