"""Read and build the benchmark's five stanzas with the other libraries."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.plugins.xep_0045.stanza import MUCPresence, MUCStatus, MUCUserItem
from slixmpp.plugins.xep_0333.stanza import Markable, Received
from slixmpp.stanza.roster import RosterItem
from slixmpp.xmlstream import ElementBase, register_stanza_plugin

Read = Callable[[bytes], Any]
Build = Callable[[], str]

USER = "81001-7001@chat.connectycube.com/phone"
PEER = "81002-7001@chat.connectycube.com"
ROOM = "7001_66f1a7c2e4b0d93a51c8e201@muc.chat.connectycube.com/81003"
ID = "66f1a8d0e4b0d93a51c8e303"
UID = "9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0"
DIALOG = "66f1a7c2e4b0d93a51c8e201"
CONTACTS = [(f"{81100 + number}-7001@chat.connectycube.com", f"Contact {number}") for number in range(10)]


class Extra(ElementBase):
    """The platform's parameters, for which slixmpp has no plugin."""

    name = "extraParams"
    namespace = "jabber:client"
    plugin_attrib = "extra"
    interfaces: ClassVar[set[str]] = {"save_to_history", "dialog_id", "date_sent", "mood"}
    sub_interfaces: ClassVar[set[str]] = interfaces


class Attachment(ElementBase):
    name = "attachment"
    namespace = "jabber:client"
    plugin_attrib = "attachment"
    interfaces: ClassVar[set[str]] = {"type", "id", "uid", "content-type"}


for outer, inner in (
    (slixmpp.Message, Extra),
    (Extra, Attachment),
    (slixmpp.Message, Markable),
    (slixmpp.Message, Received),
    (slixmpp.Presence, MUCPresence),
    (MUCPresence, MUCUserItem),
    (MUCPresence, MUCStatus),
):
    register_stanza_plugin(outer, inner)


def slix_group(xml: bytes) -> Any:
    found = slixmpp.Message(xml=ET.fromstring(xml))
    extra = found["extra"]
    attachment = extra["attachment"]
    return (
        (found["id"], str(found["from"]), str(found["to"]), found["body"]),
        (extra["save_to_history"] == "1", extra["dialog_id"], int(extra["date_sent"]), extra["mood"]),
        (attachment["type"], attachment["id"], attachment["uid"], attachment["content-type"]),
    )


def slix_private(xml: bytes) -> Any:
    found = slixmpp.Message(xml=ET.fromstring(xml))
    extra = found["extra"]
    ids = (found["id"], str(found["from"]), str(found["to"]), found["type"], found["body"])
    markable = found.get_plugin("markable", check=True) is not None
    return ids, (markable, extra["dialog_id"], int(extra["date_sent"]))


def slix_mark(xml: bytes) -> Any:
    found = slixmpp.Message(xml=ET.fromstring(xml))
    ids = (found["id"], str(found["from"]), str(found["to"]))
    return ids, found["received"]["id"], found["extra"]["dialog_id"]


def slix_presence(xml: bytes) -> Any:
    found = slixmpp.Presence(xml=ET.fromstring(xml))
    muc = found["muc"]
    ids = (found["id"], str(found["from"]), str(found["to"]))
    return ids, muc["item"]["affiliation"], muc["item"]["role"], int(muc["status"]["code"])


def slix_roster(xml: bytes) -> Any:
    found = slixmpp.Iq(xml=ET.fromstring(xml))
    items = found["roster"]["items"].items()
    return found["id"], [(str(jid), item["name"], item["subscription"]) for jid, item in items]


def slix_build_group() -> str:
    made = slixmpp.Message()
    made["id"], made["from"], made["to"], made["type"], made["body"] = ID, ROOM, USER, "groupchat", "Who drives?"
    extra = made["extra"]
    extra["save_to_history"], extra["dialog_id"] = "1", DIALOG
    extra["date_sent"], extra["mood"] = "1770231600", "happy"
    attachment = extra["attachment"]
    attachment["type"], attachment["id"], attachment["uid"] = "photo", UID, UID
    attachment["content-type"] = "image/png"
    return str(made)


def slix_build_private() -> str:
    made = slixmpp.Message()
    made["id"], made["from"], made["to"], made["type"], made["body"] = ID, USER, PEER, "chat", "See you at seven"
    made.enable("markable")
    extra = made["extra"]
    extra["dialog_id"], extra["date_sent"] = DIALOG, "1770231600"
    return str(made)


def slix_build_mark() -> str:
    made = slixmpp.Message()
    made["id"], made["from"], made["to"], made["type"] = ID, USER, PEER, "chat"
    made["received"]["id"] = ID
    made["extra"]["dialog_id"] = DIALOG
    return str(made)


def slix_build_presence() -> str:
    made = slixmpp.Presence()
    made["id"], made["from"], made["to"] = ID, ROOM, USER
    muc = made["muc"]
    muc["item"]["affiliation"], muc["item"]["role"] = "member", "participant"
    muc["status"]["code"] = "110"
    return str(made)


def slix_build_roster() -> str:
    made = slixmpp.Iq()
    made["id"], made["to"], made["type"] = ID, USER, "result"
    roster = made["roster"]
    for jid, name in CONTACTS:
        item = RosterItem()
        item["jid"], item["name"], item["subscription"] = jid, name, "both"
        roster.append(item)
    return str(made)


SLIXMPP: dict[str, tuple[Read, Build]] = {
    "group message": (slix_group, slix_build_group),
    "1-1 message": (slix_private, slix_build_private),
    "delivered mark": (slix_mark, slix_build_mark),
    "room presence": (slix_presence, slix_build_presence),
    "roster of 10": (slix_roster, slix_build_roster),
}


def aioxmpp_readers() -> dict[str, Read]:
    """Return the functions that read each stanza with aioxmpp's classes.

    :raises ImportError: If aioxmpp is not installed or does not run on this Python.
    """
    try:
        import aioxmpp
        import aioxmpp.muc.xso
        import aioxmpp.roster.xso
        from aioxmpp import xso
    except (AttributeError, TypeError) as error:
        raise ImportError(str(error)) from error

    namespace: dict[str, Any] = {"TAG": ("jabber:client", "attachment")}
    for name in ("type", "id", "uid", "content-type"):
        namespace[name.replace("-", "_")] = xso.Attr(name, default=None)
    attachment = type(xso.XSO)("AioAttachment", (xso.XSO,), namespace)
    namespace = {"TAG": ("jabber:client", "extraParams"), "attachment": xso.Child([attachment])}
    for name in ("save_to_history", "dialog_id", "date_sent", "mood"):
        namespace[name] = xso.ChildText(("jabber:client", name), default=None)
    extra = type(xso.XSO)("AioExtra", (xso.XSO,), namespace)
    aioxmpp.Message.extra_params = xso.Child([extra])

    def reader(cls: Any) -> Read:
        return lambda xml: aioxmpp.xml.read_single_xso(io.BytesIO(xml), cls)

    readers = dict.fromkeys(SLIXMPP, reader(aioxmpp.Message))
    return readers | {"room presence": reader(aioxmpp.Presence), "roster of 10": reader(aioxmpp.IQ)}
