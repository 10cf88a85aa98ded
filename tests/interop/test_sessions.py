"""Sessions and users of the official SDK, as our client sees them."""

from __future__ import annotations

from typing import Any

import pytest

from connectycube.sandbox import Sandbox, Settings
from tests.interop.javascript import JsError
from tests.interop.stage import PASSWORD, Stage, scenario

EXPIRED = {"code": 401, "info": {"errors": {"base": ["Required session does not exist"]}}}


@scenario
async def test_application_session_becomes_a_user_session_and_back(stage: Stage) -> None:
    ada = stage.user("ada", email="ada@example.org")
    js = await stage.device()
    session = await js.call("createSession")
    assert session["application_id"] == stage.sandbox.app_id
    assert not session["user_id"]
    for who in ({"login": "ada"}, {"email": "ada@example.org"}):
        user = await js.call("login", {**who, "password": PASSWORD})
        assert (user["id"], user["login"]) == (ada, "ada")
    assert (await js.call("getSession"))["user_id"] == ada
    await js.call("logout")
    assert not (await js.call("getSession"))["user_id"]
    await js.call("destroySession")
    with pytest.raises(JsError) as refused:
        await js.call("getSession")
    assert refused.value.code == 401


@scenario
async def test_a_session_with_a_login_and_one_with_an_email(stage: Stage) -> None:
    ada = stage.user("ada", email="ada@example.org")
    js = await stage.device()
    for who in ({"login": "ada"}, {"email": "ada@example.org"}):
        session = await js.call("createSession", {**who, "password": PASSWORD})
        assert (session["user_id"], session["user"]["login"]) == (ada, "ada")


@scenario
async def test_wrong_password_error_has_the_form_that_the_sdk_reads(stage: Stage) -> None:
    stage.user("ada")
    js = await stage.device()
    with pytest.raises(JsError) as refused:
        await js.call("createSession", {"login": "ada", "password": "something else"})
    assert refused.value.code == 401
    assert refused.value.value["info"]["errors"]["base"]


@scenario
async def test_unknown_login_creates_a_user(stage: Stage) -> None:
    js = await stage.device()
    session = await js.call("createSession", {"login": "newcomer", "password": PASSWORD})
    cube = await stage.rest("newcomer")
    assert cube.session is not None
    assert cube.session.user_id == session["user_id"]


@scenario
async def test_a_guest(stage: Stage) -> None:
    js = await stage.device()
    session = await js.call("createSession", {"guest": "1", "full_name": "Passer-by"})
    assert session["user"]["is_guest"]
    assert session["user"]["full_name"] == "Passer-by"
    cube = await stage.rest("ada")
    found = await cube.users.list(filters={"id": session["user_id"]})
    assert [user.full_name for user in found.items] == ["Passer-by"]


@scenario
async def test_sign_up_with_and_without_a_session(stage: Stage) -> None:
    js = await stage.device()
    signed_up = (await js.call("users.signup", {"login": "ada", "password": PASSWORD, "full_name": "Ada L."}))["user"]
    assert (signed_up["login"], signed_up["full_name"]) == ("ada", "Ada L.")
    await js.call("createSession")
    await js.call("users.signup", {"login": "grace", "password": PASSWORD, "tag_list": ["navy", "cobol"]})
    # CR-04: the key is sent only while there is no token.
    without, with_session = [
        call.request_headers for call in stage.sandbox.journal.exchanges() if call.operation == "users_create"
    ]
    assert ("cb-authkey" in without, "cb-token" in without) == (True, False)
    assert ("cb-authkey" in with_session, "cb-token" in with_session) == (False, True)
    cube = await stage.rest("ada")
    (grace,) = (await cube.users.list(filters={"id": stage.user("grace")})).items
    # CR-27: the SDK sends the tags as a list.
    assert grace.user_tags == ["navy", "cobol"]
    # CR-26: the tags come back as text, although its types say a list.
    (grace_of_js,) = (await js.call("users.getV2", {"login": "grace"}))["items"]
    assert grace_of_js["user_tags"] == "navy,cobol"


@scenario
async def test_sdk_uses_a_token_of_our_client(stage: Stage) -> None:
    cube = await stage.rest("ada")
    assert cube.session is not None
    js = await stage.device()
    await js.call("setSession", {"token": cube.session.token, "user_id": cube.session.user_id})
    assert (await js.call("getSession"))["user_id"] == cube.session.user_id


@scenario
async def test_hook_renews_an_expired_session(stage: Stage) -> None:
    js = await stage.js("ada")
    stage.sandbox.expire_sessions()
    listing = js.start("chat.dialog.list", {})
    await js.event("sessionExpired")
    session = await js.call("createSession", {"login": "ada", "password": PASSWORD})
    await js.device.retry(session)
    assert (await listing)["items"] == []


@scenario
async def test_expired_session_is_abandoned(stage: Stage) -> None:
    js = await stage.js("ada")
    stage.sandbox.expire_sessions()
    listing = js.start("chat.dialog.list", {})
    await js.event("sessionExpired")
    await js.device.give_up()
    with pytest.raises(JsError) as refused:
        await listing
    assert refused.value.value == EXPIRED


@scenario
async def test_cr_03_a_login_without_a_password_is_dropped(stage: Stage) -> None:
    stage.user("ada")
    js = await stage.device()
    # The documented login with a custom identity provider: the SDK creates an application session.
    assert not (await js.call("createSession", {"login": "token-of-a-provider"}))["user_id"]
    (call,) = stage.sandbox.journal.exchanges()
    assert set(call.request_body) == {"application_id", "auth_key"}


@scenario
async def test_users_are_found_by_fields_and_operators(stage: Stage) -> None:
    ids = {login: stage.user(login, full_name=f"{login} of the test") for login in ("mary", "maryam", "grace")}
    stage.user("ada", phone="380501234567")
    js = await stage.js("ada")

    async def found(**params: Any) -> set[str]:
        page = await js.call("users.getV2", params)
        assert page["total_entries"] == len(page["items"])
        return {user["login"] for user in page["items"]}

    assert await found(login="mary") == {"mary"}
    assert await found(login={"start_with": "mary"}) == {"mary", "maryam"}
    assert await found(id={"in": [ids["mary"], ids["grace"]]}) == {"mary", "grace"}
    assert await found(id={"in": [ids["mary"], ids["grace"]], "nin": [ids["mary"]]}) == {"grace"}
    assert await found(phone="380501234567") == {"ada"}
    page = await js.call("users.getV2", {"id": {"in": [*ids.values()]}, "limit": 2, "offset": 2, "sort_asc": "login"})
    assert [user["login"] for user in page["items"]] == ["maryam"]
    assert (page["limit"], page["skip"], page["total_entries"]) == (2, 2, 3)


@scenario
async def test_user_is_updated_and_deleted(stage: Stage) -> None:
    js = await stage.js("ada")
    changed = (await js.call("users.update", {"full_name": "Ada L.", "custom_data": '{"colour":"red"}'}))["user"]
    assert (changed["full_name"], changed["custom_data"]) == ("Ada L.", '{"colour":"red"}')
    await js.call("users.update", {"password": "another-horse-7", "old_password": PASSWORD})
    with pytest.raises(JsError) as refused:
        await js.call("users.update", {"password": "third-horse-11", "old_password": PASSWORD})
    assert refused.value.code == 422
    await js.call("users.delete")
    cube = await stage.rest("grace")
    assert (await cube.users.list(filters={"id": js.id})).items == []


@scenario
async def test_who_is_online(stage: Stage) -> None:
    js = await stage.js("ada")
    assert (await js.call("users.getOnlineCount"))["count"] == 0
    await js.call("chat.connect", {"userId": js.id, "password": PASSWORD})
    await js.up_to_date()
    assert (await js.call("users.getOnlineCount"))["count"] == 1
    assert [user["id"] for user in (await js.call("users.listOnline", {"limit": 10}))["users"]] == [js.id]


@scenario
async def test_deprecated_user_lookups_are_a_permission(stage: Stage) -> None:
    js = await stage.js("ada")
    with pytest.raises(JsError) as refused:
        await js.call("users.get", js.id)
    assert "/users/v2" in refused.value.value["info"]["errors"]["base"][0]


@scenario
async def test_deprecated_user_lookups(stage: Stage) -> None:
    async with Sandbox(Settings(users_v1=True)) as sandbox, Stage(sandbox, stage.driver) as v1:
        ada = v1.user(
            "ada",
            email="ada@example.org",
            phone="380501234567",
            facebook_id="fb-1",
            twitter_id="tw-1",
            external_user_id=77,
        )
        js = await v1.js("ada")
        for query in (
            {"login": "ada"},
            {"email": "ada@example.org"},
            {"facebook_id": "fb-1"},
            {"twitter_id": "tw-1"},
            {"external": 77},
            # CR-24: the SDK calls /users/phone, which is undocumented.
            {"phone": "380501234567"},
        ):
            assert (await js.call("users.get", query))["user"]["id"] == ada, query
        assert (await js.call("users.get", ada))["user"]["id"] == ada
        # CR-25: the documented name only reaches the list of all users.
        await js.call("users.get", {"external_user_id": 77})
        last = sandbox.journal.exchanges()[-1]
        assert (last.path, last.query) == ("/users.json", [("external_user_id", "77")])


@scenario
async def test_cr_05_a_password_is_reset_with_another_verb(stage: Stage) -> None:
    stage.user("ada", email="ada@example.org")
    js = await stage.device()
    await js.call("createSession")
    await js.call("users.resetPassword", "ada@example.org")
    assert [mail.to for mail in stage.sandbox.journal.sent("mail")] == ["ada@example.org"]
    last = stage.sandbox.journal.exchanges()[-1]
    assert (last.method, last.path, last.query) == ("POST", "/users/password/reset.json", [])
    assert last.request_body == {"email": "ada@example.org"}


@scenario
async def test_cr_01_each_path_has_a_suffix(stage: Stage) -> None:
    js = await stage.device()
    assert await js.get("service.sdkInstance.config.urls.type") == ".json"
