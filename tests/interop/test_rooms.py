"""Dialogs' rooms with the official SDK: joining is unnecessary, and its responses don't reach the caller."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.chat import OccupantJoined, OccupantKicked, OccupantLeft
from connectycube.rest import DialogType
from tests.interop.javascript import JsError
from tests.interop.stage import Js, Stage, scenario
from tests.interop.test_dialogs import group


def presences(stage: Stage, js: Js) -> list[str]:
    """Return the room's occupants that the server reported to the SDK."""
    return [
        one.xml
        for one in stage.sandbox.journal.stanzas(user_id=js.id)
        if one.direction == "out" and one.xml.startswith("<presence") and "muc#user" in one.xml
    ]


@scenario
async def test_cx_05_joining_and_leaving_never_complete(stage: Stage) -> None:
    js = await stage.js("ada", True)
    dialog_id = await group(js, stage.user("grace"))
    join = js.start("chat.muc.join", dialog_id)
    await js.up_to_date()
    # The response has the id that the SDK waits for (CX-32), and the code.
    (joined,) = presences(stage, js)
    assert 'code="110"' in joined
    assert ':join"' in joined
    assert not join.done()
    leave = js.start("chat.muc.leave", dialog_id)
    await js.up_to_date()
    left = presences(stage, js)[-1]
    assert 'code="110"' in left
    assert 'type="unavailable"' in left
    assert not leave.done()
    for waiting in (join, leave):
        waiting.cancel()
    await asyncio.gather(join, leave, return_exceptions=True)


@scenario
async def test_joining_another_users_room_is_refused(stage: Stage) -> None:
    js, cube = await stage.js("ada", True), await stage.rest("grace")
    foreign = await cube.dialogs.create(type=DialogType.GROUP, name="foreign", occupants_ids=[stage.user("mary")])
    for dialog_id, code in ((foreign.id, "407"), ("5356c64ab35c12bd3b10fa41", "404")):
        with pytest.raises(JsError) as refused:
            await js.call("chat.muc.join", dialog_id)
        assert refused.value.code == code


@scenario
async def test_message_to_another_users_room_is_an_error(stage: Stage) -> None:
    js, cube = await stage.js("ada", True), await stage.rest("grace")
    foreign = await cube.dialogs.create(type=DialogType.GROUP, name="foreign", occupants_ids=[stage.user("mary")])
    number = await js.call("chat.send", foreign.id, {"body": "hello"})
    message_id, error = await js.event("onMessageErrorListener")
    assert (message_id, error["code"]) == (number, 403)


@scenario
async def test_room_occupants_are_listed(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id = await group(js, ours.id)
    await ours.chat.join(dialog_id)
    assert await js.call("chat.muc.listOnlineUsers", dialog_id) == [ours.id]
    join = js.start("chat.muc.join", dialog_id)
    assert await ours.told.one(OccupantJoined, lambda event: event.user_id == js.id) == OccupantJoined(
        dialog_id=dialog_id, user_id=js.id
    )
    assert await js.event("onJoinOccupant") == [dialog_id, ours.id]
    assert sorted(await ours.chat.online_users(dialog_id)) == sorted([js.id, ours.id])
    await ours.chat.leave(dialog_id)
    assert await js.event("onLeaveOccupant") == [dialog_id, ours.id]
    await ours.chat.join(dialog_id)
    leave = js.start("chat.muc.leave", dialog_id)
    assert await ours.told.one(OccupantLeft) == OccupantLeft(dialog_id=dialog_id, user_id=js.id)
    for waiting in (join, leave):
        waiting.cancel()
    await asyncio.gather(join, leave, return_exceptions=True)


@scenario
async def test_cx_05_being_kicked_is_not_reported(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog = await ours.rest.dialogs.create(type=DialogType.GROUP, name="crew", occupants_ids=[js.id])
    assert dialog.id is not None
    await ours.chat.join(dialog.id)
    join = js.start("chat.muc.join", dialog.id)
    await ours.told.one(OccupantJoined, lambda event: event.user_id == js.id)
    await ours.rest.dialogs.update(dialog.id, pull_all={"occupants_ids": [js.id]})
    assert (await ours.told.one(OccupantKicked)).user_id == js.id
    await js.up_to_date()
    assert 'type="unavailable"' in presences(stage, js)[-1]
    assert js.told("onKickOccupant") == []
    join.cancel()
    await asyncio.gather(join, return_exceptions=True)
