"""The reference pages of the REST calls are complete, their links resolve, and no text breaks out of its place."""

from __future__ import annotations

import ast
import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from connectycube.rest import AsyncConnectyCube, ConnectyCube
from generator.rest.conformance import arguments
from generator.rest.docs import render
from generator.rest.generate import load, package
from generator.rest.model import Operation, Resource
from generator.source import plain

from .support import ROOT, run, tree

SPEC = ROOT / "spec/rest"
_, API = package(load(SPEC, ROOT), SPEC, "spec/rest")
PAGES = render(API, "spec/rest", "connectycube.rest")
FACTS = ROOT / "docs/wire-facts.md"
LIBRARY = ROOT / "tests/generator/golden/spec.yaml"

HOSTILE = "a | b `c|d` ``` <script>x</script> | [x](javascript:y) \\| `` \\ \n# title\n~~~ <!-- --> **bold** | &lt;"

OPERATIONS = [
    pytest.param(resource, operation, id=f"{resource.name}.{operation.name}")
    for resource in API.resources
    for operation in resource.operations
]


@cache
def tokens(text: str) -> list[Token]:
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        found += [token, *(token.children or ())]
    return found


def headings(text: str) -> list[str]:
    found = tokens(text)
    return [found[number + 1].content for number, token in enumerate(found) if token.type == "heading_open"]


def section(resource: Resource, operation: Operation) -> str:
    return PAGES[f"{resource.name}.md"].partition(f"\n## {operation.name}\n")[2].partition("\n## ")[0]


def test_every_resource_has_a_page() -> None:
    assert set(PAGES) == {"index.md", "models.md", *(f"{resource.name}.md" for resource in API.resources)}
    for resource in API.resources:
        assert headings(PAGES[f"{resource.name}.md"])[1:] == [operation.name for operation in resource.operations]
        for operation in resource.operations:
            link = f"[`{operation.name}`]({resource.name}.md#{operation.name})"
            assert PAGES["index.md"].count(link) == 1


@pytest.mark.parametrize(("resource", "operation"), OPERATIONS)
def test_operation_is_described(resource: Resource, operation: Operation) -> None:
    text = section(resource, operation)
    assert f"- Request: `{operation.method} /" in text
    for fact in operation.facts:
        assert f"[{fact}](../../../docs/wire-facts.md#{fact})" in text
    for argument in (*operation.arguments, *filter(None, [operation.additional])):
        assert text.count(f"\n| `{argument.name}` | ") >= 1
    for status, _ in operation.statuses:
        assert f"\n| {status} | `" in text
    for _, example in operation.result.examples:
        assert example is None or json.dumps(example, indent=2, ensure_ascii=False) in text
    (call,) = re.findall(rf"cube\.{resource.name}\.{operation.name}\(", text)
    assert call
    assert all(name in text for name in arguments(operation))


@pytest.mark.parametrize(("resource", "operation"), OPERATIONS)
def test_signatures_are_those_of_the_methods(resource: Resource, operation: Operation) -> None:
    stubs = ast.parse(section(resource, operation).partition("```python\n")[2].partition("```")[0]).body
    for stub, client in zip(stubs, (ConnectyCube(1, "key"), AsyncConnectyCube(1, "key")), strict=True):
        assert isinstance(stub, ast.AsyncFunctionDef if isinstance(client, AsyncConnectyCube) else ast.FunctionDef)
        signature = inspect.signature(getattr(getattr(client, resource.name), operation.name))
        assert [one.arg for one in stub.args.args + stub.args.kwonlyargs] == list(signature.parameters)
        required = [name for name, one in signature.parameters.items() if one.default is one.empty]
        defaults = dict(zip(stub.args.kwonlyargs, stub.args.kw_defaults, strict=True))
        assert [one.arg for one in stub.args.args] + [
            one.arg for one, default in defaults.items() if default is None
        ] == required


def test_links_resolve() -> None:
    anchors = {name: {one.lower() for one in headings(text)} for name, text in PAGES.items()}
    facts = set(re.findall(r'<a id="([A-Z]+-\d+)">', FACTS.read_text(encoding="utf-8")))
    seen = 0
    for text in PAGES.values():
        for token in tokens(text):
            if token.type == "link_open":
                page, _, anchor = str(token.attrGet("href")).partition("#")
                assert anchor in (facts if page.endswith("wire-facts.md") else {"", *anchors[page]})
                seen += 1
    assert seen > 5 * len(OPERATIONS)


def hostile(node: Any) -> Any:
    """Copy a document with hostile descriptions, and a hostile text in its examples."""
    if isinstance(node, dict):
        texts = ("description", "summary", "title")
        return {
            key: HOSTILE if key in texts and isinstance(value, str) else hostile(value) for key, value in node.items()
        }
    if isinstance(node, list):
        return [hostile(entry) for entry in node]
    return HOSTILE if node == "Emma" else node


def test_no_text_breaks_out(tmp_path: Path) -> None:
    """The pages of another document, which have no links to the platform's facts."""
    pages = {}
    for name, document in (("plain", plain(load(LIBRARY))), ("odd", hostile(plain(load(LIBRARY))))):
        source = tmp_path / f"{name}.json"
        source.write_text(json.dumps(document))
        assert run("--spec", source, "--out", tmp_path / name, "--package", "library").status == 0
        pages[name] = {
            path: text.decode() for path, text in tree(tmp_path / name / "library/docs").items() if path.endswith(".md")
        }
    assert {"index.md", "models.md", "books.md"} <= set(pages["odd"])
    assert pages["odd"].keys() == pages["plain"].keys()
    kinds = ("heading_open", "td_open", "tr_open", "fence", "link_open", "bullet_list_open")
    for name, text in pages["odd"].items():
        assert HOSTILE.partition(" ")[0] in text
        assert "wire-facts" not in text
        found, wanted = tokens(text), tokens(pages["plain"][name])
        for kind in kinds:
            assert sum(one.type == kind for one in found) == sum(one.type == kind for one in wanted), (name, kind)
        assert {token.content for token in found if token.type == "html_inline"} <= {"<code>", "</code>"}
        assert len([token for token in found if token.type == "html_block"]) == 1
        assert not [token for token in found if token.type in ("strong_open", "em_open", "hr", "code_block")]
