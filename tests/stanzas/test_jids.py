"""Addresses of the platform (facts 3.1 and 3.4), built and parsed."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.stanzas import GroupPrivacyValue, JIDError, OccupantJID, RoomJID, StanzaError, UserJID

DIALOG = "66f1a7c2e4b0d93a51c8e201"
USER = "81001-7001@chat.connectycube.com"
ROOM = f"7001_{DIALOG}@muc.chat.connectycube.com"


def test_user() -> None:
    """Facts 3.1: user bare JID and login name."""
    made = UserJID(user_id=81001, app_id=7001)
    assert str(made) == USER
    assert made.login == "81001-7001"
    assert UserJID.parse(USER) == made == made.bare


def test_resource_is_kept_unchanged() -> None:
    text = f"{USER}/Phone/1 @ Home"
    found = UserJID.parse(text)
    assert found.resource == "Phone/1 @ Home"
    assert str(found) == text
    assert str(found.bare) == USER


def test_room() -> None:
    """Facts 3.1: room JID; the nick is the plain user id."""
    made = RoomJID(app_id=7001, dialog_id=DIALOG)
    assert str(made) == ROOM
    assert RoomJID.parse(ROOM) == made
    occupant = made.occupant(81001)
    assert str(occupant) == f"{ROOM}/81001"
    assert OccupantJID.parse(f"{ROOM}/81001") == occupant
    assert (occupant.room, occupant.user_id) == (made, 81001)


def test_privacy_value_for_groups() -> None:
    """Facts 3.1 and 3.4: domain and resource, no local part."""
    made = GroupPrivacyValue(user_id=81001)
    assert str(made) == "muc.chat.connectycube.com/81001"
    assert GroupPrivacyValue.parse(str(made)) == made


def test_hosts_are_lower_case() -> None:
    assert str(UserJID.parse("1-2@Chat.Example.COM/X")) == "1-2@chat.example.com/X"
    assert str(RoomJID.parse(f"2_{DIALOG.upper()}@MUC.Example.com")) == f"2_{DIALOG}@muc.example.com"
    assert str(GroupPrivacyValue.parse("MUC.Example.com/1")) == "muc.example.com/1"
    assert UserJID(user_id=1, app_id=2, host="A.B") == UserJID(user_id=1, app_id=2, host="a.b")


WRONG: dict[Any, list[str]] = {
    UserJID: [
        ROOM,
        f"{ROOM}/81001",
        "muc.chat.connectycube.com/81001",
        "81001@c",
        "81001-@c",
        "-7001@c",
        "81001_7001@c",
        "a-b@c",
        "81001-7001",
        "81001-7001@",
        "81001-7001@c/",
        f" {USER}",
        f"{USER} ",
        "81001-7001@c d",
        "81001-7001@-c",
        "81001-7001@c..d",
        "81001 -7001@c",
        "+1-2@c",
        "1--2@c",
        "\u0661-2@c",
        f"{'9' * 20}-1@c",
        f"1-2@{'a' * 64}.com",
        f"1-2@{'a.' * 130}com",
        f"{USER}/{'a' * 1024}",
        f"{USER}/{'é' * 512}",
        f"{USER}/a\0",
        f"{USER}/a\nb",
        f"{USER}/\x7f",
        f"{USER}\n",
        f"{USER}/a\n",
        f"{USER}/\ud800",
        "1-2@c\0",
        "1-2@\u2003.com",
        "1-2@c@d",
    ],
    RoomJID: [
        USER,
        f"{ROOM}/81001",
        "muc.chat.connectycube.com/81001",
        f"{DIALOG}@muc",
        f"7001_{DIALOG[:-1]}@muc",
        f"7001_{DIALOG}0@muc",
        f"7001_{'g' * 24}@muc",
        f"7001-{DIALOG}@muc",
        f"x_{DIALOG}@muc",
        f"7001_{DIALOG}",
        f"{ROOM}\n",
        f"{ROOM} ",
        f" {ROOM}",
        f"{ROOM}/",
        f"{ROOM}\0",
        f"{'9' * 20}_{DIALOG}@muc",
    ],
    OccupantJID: [
        USER,
        ROOM,
        f"{USER}/81001",
        f"{ROOM}/",
        f"{ROOM}/bob",
        f"{ROOM}/-1",
        f"{ROOM}/1 ",
        f"{ROOM}/1\n",
        f"{ROOM}/{'9' * 20}",
        f"{ROOM}/1/2",
        f"{ROOM}/\u0661",
    ],
    GroupPrivacyValue: [
        USER,
        ROOM,
        f"{ROOM}/81001",
        "muc.chat.connectycube.com",
        "muc.chat.connectycube.com/",
        "/81001",
        "muc/bob",
        "muc/1/2",
        "muc /1",
        " muc/1",
        "muc/1 ",
        "muc/1\n",
        f"muc/{'9' * 20}",
        "muc/\u0661",
        "m\0uc/1",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, texts in WRONG.items() for text in ["", " ", "@", "/", "\0", "x" * 5000, *texts]],
)
def test_wrong_texts(kind: Any, text: str) -> None:
    with pytest.raises(JIDError):
        kind.parse(text)


@pytest.mark.parametrize("wrong", [-1, 10**19, True, 1.0, "1", None, "x"])
def test_wrong_ids(wrong: Any) -> None:
    with pytest.raises(JIDError):
        UserJID(user_id=wrong, app_id=1)
    with pytest.raises(JIDError):
        UserJID(user_id=1, app_id=wrong)
    with pytest.raises(JIDError):
        RoomJID(app_id=wrong, dialog_id=DIALOG)
    with pytest.raises(JIDError):
        GroupPrivacyValue(user_id=wrong)
    with pytest.raises(JIDError):
        RoomJID(app_id=1, dialog_id=DIALOG).occupant(wrong)


@pytest.mark.parametrize(
    "wrong", ["", " ", "a b", "a/b", "a@b", "-a", "a-", ".a", "a..b", "a" * 64, "a.\n", "\u2003", "a\0", None, 5.5]
)
def test_wrong_hosts(wrong: Any) -> None:
    with pytest.raises(JIDError):
        UserJID(user_id=1, app_id=2, host=wrong)


@pytest.mark.parametrize("wrong", ["", "a\0", "\x1f", "\x7f", "a" * 1024, "\ud800", 5, b"x"])
def test_wrong_resources(wrong: Any) -> None:
    with pytest.raises(JIDError):
        UserJID(user_id=1, app_id=2, resource=wrong)


@pytest.mark.parametrize("wrong", ["", DIALOG[:-1], DIALOG + "0", "g" * 24, DIALOG + "\n", None, 5])
def test_wrong_dialogs(wrong: Any) -> None:
    with pytest.raises(JIDError):
        RoomJID(app_id=1, dialog_id=wrong)


@pytest.mark.parametrize("wrong", [None, 5, b"1-2@c", [USER]])
def test_wrong_types(wrong: Any) -> None:
    for kind in WRONG:
        with pytest.raises((JIDError, TypeError)):
            kind.parse(wrong)


def test_errors_are_stanza_errors() -> None:
    assert issubclass(JIDError, StanzaError)


IDS = st.integers(0, 10**19 - 1)
LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
RESOURCES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=200)
DIALOGS = st.text("0123456789abcdef", min_size=24, max_size=24)


@given(IDS, IDS, HOSTS, st.none() | RESOURCES)
def test_users_survive(user_id: int, app_id: int, host: str, resource: str | None) -> None:
    made = UserJID(user_id=user_id, app_id=app_id, host=host, resource=resource)
    assert UserJID.parse(str(made)) == made


@given(IDS, IDS, HOSTS, DIALOGS)
def test_rooms_survive(user_id: int, app_id: int, host: str, dialog: str) -> None:
    made = RoomJID(app_id=app_id, dialog_id=dialog, host=host)
    assert RoomJID.parse(str(made)) == made
    assert OccupantJID.parse(str(made.occupant(user_id))) == made.occupant(user_id)
    value = GroupPrivacyValue(user_id=user_id, host=host)
    assert GroupPrivacyValue.parse(str(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_rejected(text: str) -> None:
    for kind in WRONG:
        try:
            found = kind.parse(text)
        except JIDError:
            continue
        assert kind.parse(str(found)) == found
