"""Write pieces of the Python source of a stanza class: annotations, reading, writing."""

from __future__ import annotations

from typing import Any

from ..source_code import literal, snake
from .model import Attribute, Child, Condition, Element, Language, Value

ANNOTATIONS = {
    "text": "str",
    "int": "int",
    "bool": "bool",
    "jid": "str",
    "time": "dt.datetime",
    "unix": "int",
    "enum": "str",
    "base64": "bytes",
    "json": "Any",
}


class Code:
    """Writes the pieces for one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.elements = language.elements

    # -- names

    def class_ref(self, name: str, module: str) -> str:
        home = self.elements[name].module
        return name if home == module else f"_{home}.{name}"

    def reader(self, name: str, module: str) -> str:
        home = self.elements[name].module
        function = f"read_{snake(name)}"
        return function if home == module else f"_{home}.{function}"

    def imports(self, elements: list[Element], module: str) -> list[str]:
        """List the other modules that a module imports."""
        homes = {
            self.elements[child.target].module
            for element in elements
            for child in element.children
            if child.kind == "ref"
        }
        return sorted(homes - {module})

    def has_any(self, elements: list[Element]) -> bool:
        return any(child.kind == "stanza" for element in elements for child in element.children)

    # -- annotations

    def value(self, value: Value) -> str:
        if value.kind == "enum" and value.values:
            known = f"Literal[{', '.join(literal(entry) for entry in value.values)}]"
            return known if value.closed else f"{known} | str"
        return ANNOTATIONS[value.kind]

    def attribute(self, attribute: Attribute) -> str:
        text = self.value(attribute.value)
        optional = not attribute.required and attribute.default is None
        return f"{text} | None" if optional and text != "Any" else text

    def child(self, child: Child, module: str) -> str:
        match child.kind:
            case "flag":
                return "bool"
            case "stanza":
                text = "Stanza"
            case "ref":
                text = self.class_ref(child.target, module)
            case _:
                text = self.value(child.value)
        if child.count == "many":
            return f"tuple[{text}, ...]"
        return f"{text} | None" if child.count == "optional" and text != "Any" else text

    # -- reading

    def read_value(self, value: Value, text: str, what: str) -> str:
        """Write the expression that turns a text into a value."""
        what = literal(what)
        match value.kind:
            case "text":
                return text
            case "int":
                bounds = f", {value.least}, {value.most}" if (value.least, value.most) != (None, None) else ""
                return f"to_int({text}, {what}{bounds})"
            case "jid" if text.isidentifier():
                return f"{text} if is_jid({text}) else no_jid({text}, {what})"
            case "enum" if value.closed:
                return f"to_enum({text}, {what}, {self.values(value)})"
            case "enum":
                return text
            case kind:
                return f"to_{kind}({text}, {what})"

    def values(self, value: Value) -> str:
        return f"frozenset({literal(sorted(value.values))})"

    def differs(self, attribute: Attribute) -> str:
        """Write the condition under which an optional attribute is written."""
        source = f"self.{attribute.field}"
        if attribute.default is None:
            return f"{source} is not None"
        if isinstance(attribute.default, bool):
            return f"{source} is not {attribute.default}"
        return f"{source} != {literal(attribute.default)}"

    # -- writing

    def write_value(self, value: Value, source: str, what: str, place: str) -> str:
        """Write the expression that turns a value into escaped text; `place` is text or attribute."""
        what = literal(what)
        escape = f"escape_{place}"
        match value.kind:
            case "text":
                return f"{escape}({source}, {what})"
            case "int":
                bounds = f", {value.least}, {value.most}" if (value.least, value.most) != (None, None) else ""
                return f"from_int({source}, {what}{bounds})"
            case "bool":
                return f"from_bool{'_words' if value.words else ''}({source}, {what})"
            case "enum" if value.closed:
                return f"from_enum({source}, {what}, {self.values(value)})"
            case "enum":
                return f"{escape}({source}, {what})"
            case "json":
                return f"{escape}(from_json({source}, {what}), {what})"
            case "jid":
                return f"from_jid({source}, {what})"
            case kind:
                return f"from_{kind}({source}, {what})"

    # -- which class of a family

    def condition(self, condition: Condition, tags: bool) -> str:
        """Write the expression for a condition, in terms of `element`, the attributes and, if known, `tags`."""
        if condition.has:
            return self.in_tags(condition.has)
        if condition.lacks and tags:
            return " and ".join(f"{literal(tag)} not in tags" for tag in condition.lacks)
        if condition.lacks:
            return f"not any(child.tag in {literal(condition.lacks)} for child in element)"
        if condition.path:
            found = f"text_at(element, {', '.join(literal(tag) for tag in condition.path)})"
        else:
            found = f"{snake(condition.attribute)}_"
        allowed = [literal(value) for value in condition.allowed] + (["None"] if condition.absent else [])
        if len(allowed) == 1:
            return f"{found} {'is' if allowed[0] == 'None' else '=='} {allowed[0]}"
        return f"{found} in ({', '.join(allowed)})"

    def in_tags(self, tags: tuple[str, ...]) -> str:
        text = " or ".join(f"{literal(tag)} in tags" for tag in tags)
        return f"({text})" if len(tags) > 1 else text

    def matches(self, element: Element) -> str:
        """Write the condition under which an element is of a class that has conditions."""
        tags = bool(self.first_has(element))
        return " and ".join(self.condition(entry, tags) for entry in element.conditions)

    def attributes_of(self, members: list[Element]) -> list[str]:
        """List the attributes that occur in conditions."""
        return sorted({entry.attribute for member in members for entry in member.conditions if entry.attribute})

    def special_tags(self, members: list[Element]) -> list[str]:
        """List the children of which a stanza must have one to be of a class that requires a child."""
        return sorted({tag for member in members for tag in self.first_has(member)})

    @staticmethod
    def first_has(member: Element) -> tuple[str, ...]:
        """Return the first condition on a child, if there is one."""
        return next((entry.has for entry in member.conditions if entry.has), ())

    def runs(self, members: list[Element]) -> list[dict[str, Any]]:
        """Split the members into runs of classes that all require some child, or all don't."""
        found: list[dict[str, Any]] = []
        for member in members:
            special = bool(self.first_has(member))
            if not found or found[-1]["special"] != special:
                found.append({"special": special, "members": []})
            found[-1]["members"].append(member)
        return found

    def needs_tags(self, members: list[Element]) -> bool:
        return any(self.first_has(member) for member in members)
