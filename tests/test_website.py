"""The documentation site's own rules: where links lead, and that the reference has every public name.

`make docs` builds the site.
"""

from __future__ import annotations

import re
from pathlib import Path

import griffe
import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

from tests.pages import PROJECT
from website import hooks, pages, plots, reference
from website.signatures import AttrsSignatures


@pytest.mark.parametrize(
    ("uri", "file", "markdown", "expected"),
    [
        ("index.md", "README.md", "[chat](docs/chat.md#send)", "[chat](chat.md#send)"),
        ("index.md", "README.md", "![page](docs/sandbox.png)", "![page](sandbox.png)"),
        ("index.md", "README.md", "[licence](LICENSE)", "[licence](LICENSE.txt)"),
        ("chat.md", "docs/chat.md", "[top](#send), [web](https://a.b/c)", "[top](#send), [web](https://a.b/c)"),
        (
            "recipes.md",
            "docs/recipes.md",
            "[an example](../examples/echo_bot.py)",
            "[an example](examples.md#echo_bot)",
        ),
        ("recipes.md", "docs/recipes.md", "[set up](../README.md#install)", "[set up](index.md#install)"),
        ("guides/docker.md", "docs/guides/docker.md", "[bots](../bots.md)", "[bots](../bots.md)"),
        ("guides/docker.md", "docs/guides/docker.md", "[the spec](../../spec/rest/users.yaml)", "the spec"),
        (
            "reference/rest/users.md",
            "generated/docs/rest/users.md",
            "[R-027](../../../docs/wire-facts.md#R-027)",
            "[R-027](../../wire-facts.md#R-027)",
        ),
        ("chat.md", "docs/chat.md", "```python chat\na[b](c)\n```", "```python\na[b](c)\n```"),
        (
            "chat.md",
            "docs/chat.md",
            "1. One\n\n   ```yaml\n   a: 1\n   ```",
            "1. One\n\n    ```yaml\n    a: 1\n    ```",
        ),
    ],
)
def test_pages_are_adapted_to_the_site(uri: str, file: str, markdown: str, expected: str) -> None:
    assert pages.adapt(markdown, uri, file) == expected


@pytest.mark.parametrize("package", reference.PACKAGES)
def test_each_public_name_has_one_place_in_the_reference(package: str) -> None:
    names = [name for page in reference.pages() if page.package == package for name in page.names]
    for uri, file in pages.generated_pages():
        if uri.startswith(f"reference/{package}/"):
            text = reference.anchored((PROJECT / file).read_text("utf-8"), uri)
            names += re.findall(rf'<a id="connectycube\.{package}\.(\w+)">', text)
    assert sorted(names) == sorted(reference.public_names(package))


def test_attrs_classes_have_signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from attrs import define, field, frozen

@frozen(kw_only=True)
class Base:
    name: str

@define
class Rule(Base):
    hosts: list[str] = field(factory=list)
    limit: int = 2 * 60
    _hidden: bool = field(default=False, init=False)
    check: bool = field(default=True, kw_only=True)
"""
    (tmp_path / "signed.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = griffe.load("signed", search_paths=[tmp_path], extensions=griffe.load_extensions(AttrsSignatures))
    function = module["Rule.__init__"]
    signature = "__init__(hosts: list[str] = list(), limit: int = 2 * 60, *, name: str, check: bool = True) -> None"
    assert function.signature() == signature


def test_names_link_to_the_package_of_the_page() -> None:
    assert reference.names("chat")["ChatMessage"] == "connectycube.chat.ChatMessage"
    assert reference.names("stanzas")["ChatMessage"] == "connectycube.stanzas.ChatMessage"
    assert "ChatMessage" not in reference.names(None)


@pytest.mark.parametrize("figure", plots.figures(), ids=lambda figure: f"{figure['chart']}-{figure['label']}")
def test_plots_show_what_the_tables_say(figure: dict[str, str]) -> None:
    text = (PROJECT / "docs" / figure["page"]).read_text("utf-8")
    value = re.escape(plots.number(figure["value"]))
    assert re.search(rf"(?<![\d.,]){value}(?![\d.,])", text)
    assert figure["unit"] in text
    assert f"{plots.number(figure['value'])} {figure['unit']}</text>" in plots.plots(figure["page"])


def test_only_build_folders_are_written_to() -> None:
    config = (PROJECT / "mkdocs.yml").read_text("utf-8")
    (folder,) = re.findall(r"^site_dir: (.*)$", config, re.MULTILINE)
    assert f"{folder.split('/')[0]}/" in (PROJECT / ".gitignore").read_text("utf-8").splitlines()


def test_build_fails_if_the_reference_lacks_a_name(tmp_path: Path) -> None:
    page = tmp_path / "reference" / "bots" / "index.html"
    page.parent.mkdir(parents=True)
    names = [
        f"connectycube.{package}.{name}" for package in reference.PACKAGES for name in reference.public_names(package)
    ]
    page.write_text("".join(f'<h2 id="{name}"></h2>' for name in names), "utf-8")
    config = MkDocsConfig()
    config.site_dir = str(tmp_path)
    hooks.on_post_build(config)
    page.write_text("".join(f'<h2 id="{name}"></h2>' for name in names if name != "connectycube.bots.Bot"), "utf-8")
    with pytest.raises(PluginError, match=r"missing from the reference: connectycube\.bots\.Bot$"):
        hooks.on_post_build(config)
