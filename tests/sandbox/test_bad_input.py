"""Whatever comes in: the documented error, never a traceback, never a dead server."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

import httpx
import pytest

from connectycube.sandbox import Sandbox
from connectycube.sandbox.domain.dialogs import Dialogs
from connectycube.sandbox.rest import wire
from tests.sandbox.conftest import Join, user_id
from tests.sandbox.test_dialogs import group


@pytest.fixture
def token(join: Join) -> str:
    return str(join("mary").session.token)


def base(answer: httpx.Response) -> list[str]:
    found: list[str] = answer.json()["errors"]["base"]
    return found


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"type": NaN}', "application/json"),
        (b'{"type": 99999999999999999999}', "application/json"),
        (b'{"name": "\\ud800", "type": 4}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"[" * 900 + b"]" * 900, "application/json"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "application/json"),
        (b"a" + b"[a]" * 900 + b"=1", "application/x-www-form-urlencoded"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"a[=1", "application/x-www-form-urlencoded"),
        (b"a=1&a[b]=2", "application/x-www-form-urlencoded"),
        (b"a[]=1&a[b]=2", "application/x-www-form-urlencoded"),
    ],
    ids="cut-off bytes NaN large half deepest lists objects brackets not-text bracket clash mixed".split(),
)
def test_a_malformed_body_is_a_bad_request(http: httpx.Client, token: str, body: bytes, kind: str) -> None:
    answer = http.post("/chat/Dialog", content=body, headers={"CB-Token": token, "Content-Type": kind})
    assert answer.status_code == 400
    assert base(answer)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"3"], ids=["none", "null", "list", "text", "number"])
def test_a_body_of_another_type_is_refused(http: httpx.Client, token: str, body: bytes) -> None:
    headers = {"CB-Token": token, "Content-Type": "application/json"}
    assert http.post("/chat/Dialog", content=body, headers=headers).status_code in (400, 422)


def test_errors_name_the_field_but_do_not_repeat_the_value(http: httpx.Client, sandbox: Sandbox) -> None:
    body = {"user": {"login": "x", "password": "", "full_name": 3}}
    answer = http.post("/users", json=body, headers={"CB-AuthKey": sandbox.auth_key})
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"login", "password"}
    answer = http.post("/users", json={"user": {"login": ["secret-value"]}}, headers={"CB-AuthKey": sandbox.auth_key})
    assert set(answer.json()["errors"]) == {"login", "password"}
    assert "secret-value" not in answer.text


def test_each_missing_field_is_reported(http: httpx.Client, token: str) -> None:
    answer = http.post("/meetings", json={"name": "Sync"}, headers={"CB-Token": token})
    assert answer.json()["errors"] == {name: ["is required"] for name in ("start_date", "end_date", "attendees")}
    body = {"notification_channel": "gcm", "push_token": {}, "device": {}}
    answer = http.post("/subscriptions", json=body, headers={"CB-Token": token})
    assert answer.json()["errors"] == {
        "push_token": ["has no environment"],
        "device": ["has no platform", "has no udid"],
    }


def test_an_oversized_body_is_refused(http: httpx.Client, token: str, sandbox: Sandbox) -> None:
    data = b'{"name": "' + b"x" * sandbox.settings.limits.body_bytes + b'"}'
    answer = http.post("/chat/Dialog", content=data, headers={"CB-Token": token, "Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "larger" in base(answer)[0]


@pytest.mark.parametrize("headers", [{}, {"CB-Token": "wrong"}, {"CB-Token": ""}], ids=["none", "wrong", "empty"])
def test_a_wrong_token_means_an_expired_session(http: httpx.Client, headers: dict[str, str]) -> None:
    answer = http.get("/chat/Dialog", headers=headers)
    assert answer.status_code == 401
    assert base(answer) == ["Required session does not exist"]


@pytest.mark.parametrize(
    "query",
    [
        "type[foo]=1",
        "colour=red",
        "type[in]=a",
        "type[gt]=99999999999999999999",
        "last_message_date_sent[gt]=yesterday",
        "extensions=x",
        "extensions[a][b][c]=1",
        "name[[=1",
        "limit=0",
        "limit=x",
        "skip=-1",
        "sort_asc=name",
        "sort_asc=last_message_date_sent&sort_desc=last_message_date_sent",
        "a=%ff",
    ],
)
def test_a_bad_filter_is_a_bad_request(http: httpx.Client, token: str, query: str) -> None:
    answer = http.get(f"/chat/Dialog?{query}", headers={"CB-Token": token})
    assert answer.status_code == 400
    assert base(answer)


@pytest.mark.parametrize("field", ["_id[in]", "_id[nin]", "name[all]", "extensions[city][all]"])
def test_a_filter_may_have_very_many_values(http: httpx.Client, token: str, field: str) -> None:
    """They come in the body of a GET, where some SDKs put arguments."""
    values = ",".join(map(str, range(100_000)))
    form = {"Content-Type": "application/x-www-form-urlencoded", "CB-Token": token}
    answer = http.request("GET", "/chat/Dialog", content=f"{field}={values}", headers=form)
    assert answer.json()["total_entries"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"_parent_id": ["x"]},
        {"_parent_id": {}},
        {"permissions": 5},
        {"permissions": {"create": {"access": "open"}}},
        {"permissions": {"read": "open"}},
        {"permissions": {"read": {"access": "not_allowed"}}},
        {"permissions": {"read": {"access": "open_for_users_ids", "ids": "1,2"}}},
        {"permissions": {"read": {"access": "open_for_users_ids", "ids": ["x"]}}},
        {"permissions": {"read": {"access": "open_for_groups", "groups": [1]}}},
        {"pull": {"list": {}}},
        {"pull": {"list": {"near": "1,2;3"}}},
        {"inc": {"list": 1}},
    ],
    ids=repr,
)
def test_an_invalid_update_of_a_record_changes_nothing(http: httpx.Client, token: str, body: dict[str, Any]) -> None:
    headers = {"CB-Token": token}
    path = f"/data/Movie/{http.post('/data/Movie', json={'list': [1]}, headers=headers).json()['_id']}"
    before = http.get(path, headers=headers).json()
    assert http.put(path, json={"title": "T", **body}, headers=headers).status_code in (400, 422)
    many = {"record": {"1": {"id": path.rpartition("/")[2], "title": "T", **body}}}
    assert http.put("/data/Movie/multi", json=many, headers=headers).status_code in (400, 422)
    assert http.get(path, headers=headers).json() == before


@pytest.mark.parametrize("place", ["", "1,2", "1;2", "x,2;3", "nan,2;3", "1,2;inf", "1e999,2;3"])
def test_an_invalid_place_is_a_bad_request(http: httpx.Client, token: str, place: str) -> None:
    headers = {"CB-Token": token}
    http.post("/data/Movie", json={"place": [1, 2]}, headers=headers)
    assert http.get("/data/Movie", params={"place[near]": place}, headers=headers).status_code == 400
    criteria: list[dict[str, Any]] = [{"near": place}, {}]
    for one in criteria:
        body = {"search_criteria": {"place": one}, "title": "T"}
        assert http.put("/data/Movie/by_criteria", json=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": "\u0000"}, "message"),
        ({"message": "x", "title": "\ufffe"}, "base"),
        ({"message": "x", "a name": "x"}, "base"),
        ({"message": "x", "nested": {"<": 1}}, "base"),
        ({"message": "x", "attachments": [{"type": "image", "a name": "x"}]}, "attachments"),
    ],
    ids=repr,
)
def test_what_the_chat_cannot_carry_is_refused(
    http: httpx.Client, join: Join, body: dict[str, Any], field: str
) -> None:
    mary, ada = join("mary"), join("ada")
    headers = {"CB-Token": mary.session.token}
    wanted = {**body, "recipient_id": user_id(ada), "send_to_chat": 1}
    answer = http.post("/chat/Message", json=wanted, headers=headers)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})
    assert mary.dialogs.count() == 0
    # The history alone holds whatever JSON does.
    stored = http.post("/chat/Message", json={**wanted, "send_to_chat": 0}, headers=headers).json()
    assert stored["message"] == body["message"]
    answer = http.put(f"/chat/Message/{stored['_id']}/reactions", json={"add": "\u0001"}, headers=headers)
    assert answer.status_code == 422
    system = {"recipientId": user_id(ada), "nested": {"a name": 1}}
    assert http.post("/chat/Message/system", json=system, headers=headers).status_code == 422
    call = {"recipientId": user_id(ada), "sessionID": "\u0001", "platform": "web"}
    assert http.post("/calls/reject", json=call, headers=headers).status_code == 422


def test_too_deep_nesting_is_refused_for_the_chat(http: httpx.Client, join: Join) -> None:
    mary = join("mary")
    nested: dict[str, Any] = {}
    for _ in range(60):
        nested = {"a": nested}
    body = {"recipientId": user_id(join("ada")), "nested": nested}
    answer = http.post("/chat/Message/system", json=body, headers={"CB-Token": mary.session.token})
    assert answer.status_code == 422


def test_unknown_routes_and_methods_are_errors(http: httpx.Client, token: str) -> None:
    headers = {"CB-Token": token}
    for path in ("/nothing", "/chat", "/users/abc", "/chat/Dialog/", "/session/abc"):
        answer = http.get(path, headers=headers)
        assert answer.status_code in (404, 405), path
        assert base(answer)
    assert http.patch("/chat/Dialog", headers=headers).status_code == 405
    for digits in (19, 20, 5000):
        assert http.put(f"/users/{'9' * digits}", json={"user": {}}, headers=headers).status_code == 404


@pytest.mark.parametrize(("method", "row"), [("POST", "R-038"), ("DELETE", "R-039"), ("GET", "R-040")])
def test_a_call_that_is_no_longer_documented_names_its_fact(
    http: httpx.Client, token: str, method: str, row: str
) -> None:
    answer = http.request(method, f"/chat/dialog/{'0' * 24}/block", headers={"CB-Token": token})
    assert answer.status_code == 501
    assert row in base(answer)[0]


def test_the_json_suffix_and_lower_case_dialog_are_accepted(http: httpx.Client, join: Join) -> None:
    mary = join("mary")
    headers = {"CB-Token": mary.session.token}
    assert http.get("/chat/Dialog.json", headers=headers).status_code == 200
    assert http.get("/users/v2.json?login=mary", headers=headers).json()["items"][0]["login"] == "mary"
    dialog = mary.dialogs.create(type=4, name="News")
    assert http.delete(f"/chat/dialog/{dialog.id}/subscribe", headers=headers).status_code == 200


def test_the_journal_keeps_the_path_as_sent_but_faults_match_the_route(http: httpx.Client, sandbox: Sandbox) -> None:
    sent = ["/chat/Dialog.json", "/chat/Dialog", "/chat/dialog/a%20b.json", "/nothing.json", "/blobs/x%20y"]
    sandbox.faults.fail_next(503, path="/chat/Dialog")
    assert [http.get(path, params={"token": "z"}).status_code for path in sent][:2] == [503, 401]
    assert [one.path for one in sandbox.journal.exchanges()] == sent


def test_arguments_of_delete_are_read_from_query_form_or_json(http: httpx.Client, join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    for how in (
        {"params": {"force": "1"}},
        {"content": b"force=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b'{"force": 1}', "headers": {"Content-Type": "application/json"}},
    ):
        dialog = group(mary, ada)
        given: dict[str, Any] = {**how}
        given["headers"] = {**given.get("headers", {}), "CB-Token": mary.session.token}
        assert http.request("DELETE", f"/chat/Dialog/{dialog.id}", **given).status_code == 200
        assert ada.dialogs.count() == 0


def test_the_spellings_of_other_sdks_are_accepted(http: httpx.Client, join: Join, sandbox: Sandbox) -> None:
    """CR-07, CR-11, CR-27, CR-45, U-13 and forms in place of JSON."""
    mary, ada = join("mary"), join("ada")
    headers = {"CB-Token": mary.session.token}
    body: dict[str, Any] = {"type": "2", "name": "x", "occupants_ids": f"{user_id(ada)}, {user_id(mary)}"}
    dialog = http.post("/chat/Dialog", json=body, headers=headers).json()
    assert dialog["occupants_ids"] == [user_id(mary), user_id(ada)]
    body = {"chat_dialog_id": dialog["_id"], "message": "x", "attachments": [{"type": "image"}], "send_to_chat": "1"}
    assert http.post("/chat/Message", json=body, headers=headers).json()["attachments"] == [{"type": "image"}]
    assert http.put(
        "/chat/Message/.json", json={"chat_dialog_id": dialog["_id"], "read": "1"}, headers=headers
    ).is_success
    answer = http.put(f"/users/{user_id(mary)}", json={"user": {"tag_list": ["a", "b"]}}, headers=headers)
    assert answer.json()["user"]["user_tags"] == "a,b"
    form = {"user[login]": "grace", "user[password]": "password-1"}
    assert http.post("/users", data=form, headers={"CB-AuthKey": sandbox.auth_key}).json()["user"]["login"] == "grace"
    answer = http.put(f"/chat/Dialog/{dialog['_id']}/notifications", json={"enabled": 0}, headers=headers)
    assert answer.json() == {"notifications": {"enabled": 0}}


def test_the_page_ignores_invalid_numbers(http: httpx.Client, token: str) -> None:
    whole = http.get("/_sandbox/journal").json()
    assert whole
    for number in ("9" * 5000, "x", "-1", "²"):
        assert http.get("/_sandbox/journal", params={"after": number, "user_id": number}).json() == whole
        with http.stream("GET", "/_sandbox/events", headers={b"Last-Event-ID": number.encode()}) as stream:
            assert stream.status_code == 200
            first = next(line for line in stream.iter_lines() if line.startswith("id: "))
            assert first == f"id: {whole[0]['number']}"


@pytest.mark.parametrize("number", ["x", "²", "1_0", " 1", "9" * 5000, ""])
def test_the_admin_lists_reject_invalid_numbers(http: httpx.Client, sandbox: Sandbox, number: str) -> None:
    headers = {"CB-Administration-API-Key": sandbox.admin_key}
    for path in ("/admin/chat/messages/list", "/admin/chat/messages/list.json"):
        answer = http.get(path, params={"skip": number}, headers=headers)
        assert (answer.status_code, base(answer)) == (400, ["skip is not a number"])


def test_a_number_in_a_string_may_be_too_large(http: httpx.Client, token: str) -> None:
    body = {"recipientId": "9" * 19, "params": {"a": "b"}}
    assert http.post("/chat/Message/system", json=body, headers={"CB-Token": token}).status_code in (400, 422)


def test_invalid_http_does_no_harm(sandbox: Sandbox, http: httpx.Client) -> None:
    host, port = sandbox.api_url.removeprefix("http://").split(":")
    for data in (b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", b"GET "):
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(data)
    assert http.get("/").status_code == 200


def test_an_internal_error_shows_no_traceback(
    http: httpx.Client, token: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a-detail")

    monkeypatch.setattr(Dialogs, "search", broken)
    with caplog.at_level(logging.CRITICAL, "connectycube.sandbox"):
        answer = http.get("/chat/Dialog", headers={"CB-Token": token})
    assert answer.status_code == 500
    assert answer.json() == {"errors": {"base": ["Internal server error"]}}


def test_an_answer_that_breaks_the_spec_is_not_sent(
    http: httpx.Client, token: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wire, "dialog", lambda *_: {"_id": 3})
    with caplog.at_level(logging.CRITICAL, "connectycube.sandbox"):
        answer = http.post("/chat/Dialog", json={"type": 4, "name": "x"}, headers={"CB-Token": token})
    assert answer.status_code == 500
    assert sandbox.call(sandbox.core.db.value, "SELECT count(*) FROM dialogs") == 0


def test_the_journal_holds_no_secrets(http: httpx.Client, join: Join, sandbox: Sandbox) -> None:
    mary = join("mary")
    mary.files.upload(b"x")
    http.get("/session", headers={"CB-Token": mary.session.token})
    http.get("/blobs/abc", params={"token": mary.session.token})
    text = json.dumps([entry.to_dict() for entry in sandbox.journal])
    for secret in (mary.session.token, "correct-horse-9", sandbox.auth_key, "x-amz-signature="):
        assert secret not in text
    assert '"login": "mary"' in text
