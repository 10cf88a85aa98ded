"""Errors name the field that can't be written; all else is written so that any XML parser reads it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from lxml import etree

from connectycube.stanzas import (
    Attachment,
    BuildError,
    ChatMessage,
    Delay,
    ExtraParams,
    Markable,
    PrivacyItem,
    Stanza,
    StanzaError,
    parse,
)

BAD = ["\0", "\x01", "\x0b", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff"]
ODD = [
    "<",
    ">",
    "&",
    '"',
    "'",
    "]]>",
    "&amp;",
    "<!--",
    "\t",
    "\n",
    "\r",
    "\r\n",
    " a ",
    "\x7f",
    "\x85",
    "\u2028",
    "é",
    "\U0001f600",
]


def any_(value: object) -> Any:
    return value


def chat(**fields: Any) -> ChatMessage:
    return ChatMessage(type="chat", **fields)


def refuses(made: ChatMessage, field: str, problem: str = ".") -> None:
    with pytest.raises(BuildError, match=problem) as caught:
        made.to_xml()
    assert caught.value.path[-1] == field
    assert caught.value.path[0] == "message"


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"U+{ord(bad):04X}")
def test_characters_that_xml_cannot_carry(bad: str) -> None:
    text = f"a{bad}b"
    problem = rf"U\+{ord(bad):04X}"
    refuses(chat(body=text), "body", problem)
    refuses(chat(body="a", id=text), "id", problem)
    refuses(chat(extra=ExtraParams(dialog_id=text)), "dialog_id", problem)
    refuses(chat(extra=ExtraParams(attachments=(Attachment(type="a", name=text),))), "name", problem)
    refuses(chat(extra=ExtraParams(params={"mood": text})), "params['mood']", problem)
    refuses(chat(extra=ExtraParams(params={"a": {"b": text}})), "params['a']['b']", problem)
    refuses(chat(body="a", unknown_attributes=(("x", text),)), "unknown_attributes['x']", problem)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"U+{ord(bad):04X}")
def test_json_carries_all_characters(bad: str) -> None:
    made = Attachment(type="a", data={"k": [f"a{bad}b"]})
    assert Attachment.parse(made.to_xml()).data == {"k": [f"a{bad}b"]}


@pytest.mark.parametrize(
    "name", ["", " ", "1a", "a b", "a:b", "-a", "a>", "a/", 'a"', "a=", "é\ud800", "é ", "é/", "\0", "<a", 5, None]
)
def test_params_must_be_named_like_elements(name: Any) -> None:
    for params in ({name: "x"}, {name: None}):
        refuses(chat(extra=ExtraParams(params=any_(params))), "params", "is not an XML name")
    refuses(chat(extra=ExtraParams(params=any_({"a": {name: "x"}}))), "params['a']", "is not an XML name")


@pytest.mark.parametrize("name", ["dialog_id", "attachment", "save_to_history", "moduleIdentifier", "date_sent"])
def test_params_cannot_replace_fields(name: str) -> None:
    refuses(chat(extra=ExtraParams(params={name: "x"})), f"params[{name!r}]", "field of its own")
    assert ExtraParams(params={"a": {name: "x"}}).to_xml()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "1"),
        (False, "0"),
        (5, "5"),
        (-1.5, "-1.5"),
        ([1, "a", None], '[1,"a",null]'),
        ((1, 2), "[1,2]"),
        ([], "[]"),
        ("", None),
    ],
)
def test_params(value: Any, text: str | None) -> None:
    (element,) = ET.fromstring(ExtraParams(params={"a": value}).to_xml())
    assert (element.tag, element.text) == ("{jabber:client}a", text)


def test_none_is_left_out() -> None:
    assert ExtraParams(params={"a": None}).to_xml() == ExtraParams().to_xml() == '<extraParams xmlns="jabber:client"/>'


def test_names_beyond_ascii_and_repeated_names() -> None:
    made = ExtraParams(params={"größe": "1", "all": {"one": ("a", "b", {"c": "d"})}})
    assert ExtraParams.parse(made.to_xml()) == made


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", [object()], float("nan"), float("inf"), [float("nan")], dt.date(2026, 2, 4)]
)
def test_params_that_cannot_be_written(value: Any) -> None:
    refuses(chat(extra=ExtraParams(params={"a": value})), "params['a']")


def test_params_inside_themselves() -> None:
    params: dict[str, Any] = {}
    params["a"] = params
    with pytest.raises(BuildError, match="deeper than 100"):
        chat(extra=ExtraParams(params=params)).to_xml()
    listed: list[Any] = []
    listed.append(listed)
    refuses(chat(extra=ExtraParams(params={"a": listed})), "params['a']", "JSON")


def test_json_inside_itself_or_too_deep() -> None:
    deep: Any = "x"
    for _ in range(101):
        deep = [deep]
    for data in (deep, {"a": object()}):
        with pytest.raises(BuildError) as caught:
            Attachment(type="a", data=data).to_xml()
        assert caught.value.path == ("attachment", "data")


def test_bools() -> None:
    text = ExtraParams(save_to_history=True, silent=False).to_xml()
    assert "<save_to_history>1</save_to_history>" in text
    assert "<silent>0</silent>" in text
    values: list[Any] = [1, "1", "true", []]
    for wrong in values:
        refuses(chat(extra=ExtraParams(save_to_history=any_(wrong))), "save_to_history", "True or False")


def test_times() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    made = Delay(stamp=dt.datetime(2026, 2, 4, 20, 0, tzinfo=zone))
    assert 'stamp="2026-02-04T18:00:00Z"' in made.to_xml()
    for wrong in (dt.datetime(2026, 2, 4), dt.date(2026, 2, 4), "2026-02-04T18:00:00Z", 0):
        with pytest.raises(BuildError, match="with a time zone") as caught:
            Delay(stamp=any_(wrong)).to_xml()
        assert caught.value.path == ("delay", "stamp")
    with pytest.raises(BuildError, match="out of range"):
        Delay(stamp=dt.datetime.min.replace(tzinfo=zone)).to_xml()
    sent = any_(dt.datetime(2026, 2, 4))
    refuses(chat(extra=ExtraParams(date_sent=sent)), "date_sent", "with a time zone")
    assert (
        "<date_sent>1770228000</date_sent>"
        in ExtraParams(date_sent=any_(dt.datetime(2026, 2, 4, 18, tzinfo=dt.UTC))).to_xml()
    )


@pytest.mark.parametrize(
    ("field", "wrong"), [("extra", Markable()), ("extra", {}), ("markable", ExtraParams()), ("markable", True)]
)
def test_wrong_classes(field: str, wrong: object) -> None:
    refuses(chat(**{"body": "a", field: wrong}), field, "must be a")


def test_wrong_entries() -> None:
    with pytest.raises(BuildError, match="must be a Attachment, not str"):
        ExtraParams(attachments=any_(("x",))).to_xml()


@pytest.mark.parametrize("wrong", [5, b"x", ["a"], True])
def test_wrong_texts(wrong: Any) -> None:
    refuses(chat(body=wrong), "body", "must be text")
    refuses(chat(body="a", id=wrong), "id", "must be text")


@pytest.mark.parametrize("wrong", ["allow ", "", None, 5, [], {}])
def test_wrong_values_of_a_closed_set(wrong: Any) -> None:
    with pytest.raises(BuildError, match="must be one of allow, deny") as caught:
        PrivacyItem(action=wrong, order=1).to_xml()
    assert caught.value.path == ("item", "action")


@pytest.mark.parametrize("wrong", [-1, 4294967296, True, "1", 1.0, None])
def test_wrong_numbers(wrong: Any) -> None:
    with pytest.raises(BuildError) as caught:
        PrivacyItem(action="deny", order=wrong).to_xml()
    assert caught.value.path == ("item", "order")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "<a>",
        "<a/><b/>",
        "<a/>x",
        "<!--c-->",
        "<p:a/>",
        "</a>",
        "<a/></message>",
        "\0",
        "<a>" * 101 + "</a>" * 101,
        5,
        None,
    ],
)
def test_unknown_children_must_be_elements(wrong: Any) -> None:
    refuses(chat(body="a", unknown=(wrong,)), "unknown")


@pytest.mark.parametrize(
    "wrong",
    [
        ("", "x"),
        ("a b", "x"),
        ("xmlns", "urn:x"),
        ("xmlns:p", "urn:x"),
        ("{", "x"),
        ("{}a", "x"),
        ("{urn:x}", "x"),
        ("p:a", "x"),
        ("{http://www.w3.org/2000/xmlns/}a", "x"),
        ("{urn:\0}a", "x"),
        ("type", "groupchat"),
        ("a", 5),
        (5, "a"),
    ],
)
def test_unknown_attributes_must_be_attributes(wrong: Any) -> None:
    with pytest.raises(BuildError, match="unknown_attributes"):
        chat(body="a", unknown_attributes=(wrong,)).to_xml()


def test_unknown_attributes_are_unique() -> None:
    refuses(chat(body="a", unknown_attributes=(("a", "1"), ("a", "2"))), "unknown_attributes")


def test_unknown_attributes_with_namespaces() -> None:
    attributes = (("{urn:x}a", "1"), ("{urn:y}a", "2"), ("a", "3"), ('{urn:"<&}a', "4"))
    made = chat(body="a", unknown_attributes=attributes)
    assert parse(made.to_xml()) == made


@pytest.mark.parametrize(
    "wrong",
    [
        ("body", "a"),
        ("no such child", "a", "1"),
        ("markable", "a", "1"),
        "body",
        ("body", "a b", "1"),
        ("body", "a", "\0"),
        ("body", "a", 5),
        ("body", "xmlns", "urn:x"),
    ],
)
def test_child_attributes_must_be_attributes(wrong: Any) -> None:
    with pytest.raises(BuildError, match="child_attributes"):
        chat(body="a", child_attributes=(wrong,)).to_xml()


def test_language_of_a_text_is_kept() -> None:
    made = chat(body="Um sieben", child_attributes=(("body", "{http://www.w3.org/XML/1998/namespace}lang", "de"),))
    assert '<body xml:lang="de">Um sieben</body>' in made.to_xml()
    assert parse(made.to_xml()) == made
    made.body = None
    assert "lang" not in made.to_xml()


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_odd_texts_survive_any_parser(odd: str) -> None:
    text = f"a{odd}b"
    extra = ExtraParams(params={"p": text}, attachments=(Attachment(type="x", name=text, data={"t": text}),))
    made = chat(id=text, body=text, extra=extra)
    xml = made.to_xml()
    for root in (ET.fromstring(xml), etree.fromstring(xml.encode())):
        assert root.get("id") == text
        assert root.findtext("{jabber:client}body") == text
        assert root.findtext("{jabber:client}extraParams/{jabber:client}p") == text
        attachment = root.find("{jabber:client}extraParams/{jabber:client}attachment")
        assert attachment is not None
        assert attachment.get("name") == text
        assert json.loads(attachment.get("data", "")) == {"t": text}
    assert parse(xml) == made
    assert parse(made.to_element()) == made


def test_the_path_leads_to_the_field() -> None:
    with pytest.raises(StanzaError, match=r"^message/extraParams/params\['a'\]: holds U\+0000"):
        chat(extra=ExtraParams(params={"a": "\0"})).to_xml()


def test_base_classes_cannot_be_written() -> None:
    with pytest.raises((NotImplementedError, AttributeError)):
        Stanza().to_xml()
