"""Privacy lists of the official SDK, compared with the platform's rules and our chat."""

from __future__ import annotations

from typing import Any

import pytest

from connectycube.chat import MessageBlocked, MessageReceived, PrivacyRule, RecipientBlocked
from tests.interop.javascript import JsError
from tests.interop.stage import Js, Stage, scenario
from tests.interop.test_dialogs import group


def deny(user_id: int, *, mutual: bool = False) -> dict[str, Any]:
    return {"user_id": user_id, "action": "deny", "mutualBlock": mutual}


async def block(js: Js, *items: dict[str, Any], name: str = "blocked") -> None:
    """Activate a list."""
    await js.call("chat.privacylist.create", {"name": name, "items": [*items]})
    await js.call("chat.privacylist.setAsDefault", name)


@scenario
async def test_life_of_a_privacy_list(stage: Stage) -> None:
    js, grace, mary = await stage.js("ada", True), stage.user("grace"), stage.user("mary")
    assert await js.call("chat.privacylist.getNames") == {"default": None, "active": None, "names": []}
    await js.call("chat.privacylist.create", {"name": "blocked", "items": [deny(grace)]})
    assert await js.call("chat.privacylist.getList", "blocked") == {
        "name": "blocked",
        "items": [{"user_id": grace, "action": "deny"}],
    }
    await js.call("chat.privacylist.setAsDefault", "blocked")
    # CX-26: the default list's name occurs twice.
    assert await js.call("chat.privacylist.getNames") == {
        "default": "blocked",
        "active": None,
        "names": ["blocked", "blocked"],
    }
    await js.call("chat.privacylist.setAsDefault", None)
    # CX-27: an update adds to the list.
    await js.call("chat.privacylist.update", {"name": "blocked", "items": [deny(mary)]})
    listed = await js.call("chat.privacylist.getList", "blocked")
    assert [one["user_id"] for one in listed["items"]] == [grace, mary]
    await js.call("chat.privacylist.update", {"name": "blocked", "items": [{"user_id": grace, "action": "allow"}]})
    listed = await js.call("chat.privacylist.getList", "blocked")
    assert [one["user_id"] for one in listed["items"]] == [mary]
    await js.call("chat.privacylist.delete", "blocked")
    assert (await js.call("chat.privacylist.getNames"))["names"] == []
    # F-107: a missing list is returned as an empty one.
    assert await js.call("chat.privacylist.getList", "blocked") == {"name": "", "items": []}


@scenario
async def test_impossible_operations_are_refused(stage: Stage) -> None:
    js = await stage.js("ada", True)
    for method in ("setAsDefault", "delete"):
        with pytest.raises(JsError) as refused:
            await js.call(f"chat.privacylist.{method}", "no such list")
        assert refused.value.code == 404


@scenario
async def test_blocked_user_receives_an_error_in_private_and_nothing_in_groups(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id = await group(js, ours.id)
    await block(js, deny(ours.id))
    with pytest.raises(RecipientBlocked):
        await ours.chat.send(js.id, "hello?")
    assert (await ours.told.one(MessageBlocked)).user_id == js.id
    await ours.chat.send(dialog_id, "hello, group?")
    await js.up_to_date()
    assert js.told("onMessageListener") == []
    # A one-way block: the blocking user may still write.
    await js.call("chat.send", ours.id, {"body": "I may"})
    assert (
        await ours.told.one(MessageReceived, lambda event: event.message.sender_id == js.id)
    ).message.body == "I may"
    await js.call("chat.privacylist.setAsDefault", None)
    await ours.chat.send(js.id, "and now?")
    _, message = await js.event("onMessageListener")
    assert message["body"] == "and now?"


@scenario
async def test_sdk_is_notified_that_it_is_blocked(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id = await group(js, ours.id)
    await ours.chat.privacy.block(js.id)
    number = await js.call("chat.send", ours.id, {"body": "hello?"})
    message_id, error = await js.event("onMessageErrorListener")
    assert (message_id, error["code"]) == (number, 503)
    await js.call("chat.send", dialog_id, {"body": "hello, group?"})
    await js.event("onMessageListener")
    await ours.up_to_date()
    assert ours.told.of(MessageReceived) == []
    await js.up_to_date()
    assert js.told("onMessageErrorListener") == []


@scenario
async def test_mutual_block_stops_both_directions(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await block(js, deny(ours.id, mutual=True))
    number = await js.call("chat.send", ours.id, {"body": "I may not"})
    # XEP-0016 section 2.13 sends the blocking user `not-acceptable`; what the platform sends is undocumented.
    message_id, error = await js.event("onMessageErrorListener")
    assert (message_id, error["code"]) == (number, 406)
    with pytest.raises(RecipientBlocked):
        await ours.chat.send(js.id, "nor may I")
    assert ours.told.of(MessageReceived) == []


@scenario
async def test_lists_are_the_same_for_both_clients(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("ada")
    grace, mary = stage.user("grace"), stage.user("mary")
    await js.call("chat.privacylist.create", {"name": "blocked", "items": [deny(grace), deny(mary, mutual=True)]})
    assert await ours.chat.privacy.get("blocked") == (PrivacyRule(grace), PrivacyRule(mary, mutual=True))
    await ours.chat.privacy.set("other", [PrivacyRule(mary)])
    assert await js.call("chat.privacylist.getList", "other") == {
        "name": "other",
        "items": [{"user_id": mary, "action": "deny"}],
    }
    assert sorted((await js.call("chat.privacylist.getNames"))["names"]) == ["blocked", "other"]


@scenario
async def test_cx_25_and_cx_27_update_makes_a_mutual_block_one_way(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("ada")
    grace, mary = stage.user("grace"), stage.user("mary")
    await js.call("chat.privacylist.create", {"name": "blocked", "items": [deny(grace, mutual=True)]})
    listed = await js.call("chat.privacylist.getList", "blocked")
    # CX-25: the SDK doesn't report that a block is mutual, so writing the list again loses this.
    assert listed["items"] == [{"user_id": grace, "action": "deny"}]
    await js.call("chat.privacylist.update", {"name": "blocked", "items": [deny(mary)]})
    assert await ours.chat.privacy.get("blocked") == (PrivacyRule(grace), PrivacyRule(mary))
