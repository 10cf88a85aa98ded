"""Models as Python objects."""

from __future__ import annotations

import copy
import datetime as dt
import inspect
import pickle

import attrs
import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, NotFound, RawResponse
from connectycube.rest.models import Attachment, Dialog, DialogType, Message, Session, User

from .lists import ListServer, client, numbered
from .schemas import MODELS, identities
from .test_lenient import EXAMPLES, argument


@pytest.mark.parametrize("name", MODELS)
def test_model_has_slots_and_takes_keywords(name: str) -> None:
    model = MODELS[name]
    given = {argument(key): value for key, value in identities(name).items()}
    empty = model(**given)
    assert attrs.fields_dict(model).keys() == {*inspect.signature(model).parameters}
    with pytest.raises(AttributeError):
        empty.no_such_field = 1
    assert not hasattr(empty, "__dict__")
    with pytest.raises(TypeError):
        model("positional", **given)
    with pytest.raises(TypeError):
        model(no_such_field=1, **given)
    for key in given:
        with pytest.raises(TypeError, match=key):
            model(**{other: value for other, value in given.items() if other != key})
    assert model(**given) == empty
    assert model(**given) is not empty
    assert empty.extra is not model(**given).extra


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_copies_are_equal_and_independent(name: str, example: dict[str, object]) -> None:
    found = MODELS[name].from_dict(example)
    found.extra["unknown"] = [1]
    for twin in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found)), attrs.evolve(found)):
        assert twin == found
        assert type(twin) is type(found)
        assert twin.to_dict() == found.to_dict()
    deep = copy.deepcopy(found)
    deep.extra["unknown"].append(2)
    assert deep != found


def test_models_differ_by_any_field() -> None:
    assert Dialog(id="a") != Dialog(id="b")
    others: list[object] = [Message(id="a"), {"_id": "a"}, None]
    assert Dialog(id="a") not in others
    assert Dialog(id="a", extra={"a": 1}) != Dialog(id="a")


def test_fields_can_be_set() -> None:
    dialog = Dialog(id="d")
    dialog.name = "Crew"
    assert dialog.to_dict() == {"_id": "d", "name": "Crew"}


def test_to_dict_is_independent_of_the_model() -> None:
    dialog = Dialog(id="d", occupants_ids=[1], extra={"a": 1})
    written = dialog.to_dict()
    written["occupants_ids"].append(2)
    written["a"] = 2
    assert dialog == Dialog(id="d", occupants_ids=[1], extra={"a": 1})


def test_repr_shows_the_fields_that_are_set() -> None:
    assert repr(Dialog(id="d", type=DialogType.GROUP, occupants_ids=[1, 2], unread_messages_count=0)) == (
        "Dialog(id='d', type=<DialogType.GROUP: 2>, occupants_ids=[1, 2], unread_messages_count=0)"
    )
    assert repr(User(id=5, extra={"shoe size": 42})) == "User(id=5, extra={'shoe size': 42})"
    message = Message(id="m", attachments=[Attachment(type="photo")])
    assert repr(message) == "Message(id='m', attachments=[Attachment(type='photo')])"


def test_repr_is_short() -> None:
    long = Message(id="m", message="x" * 10_000, read_ids=list(range(1000)), extra={"y": "z" * 10_000})
    assert len(repr(long)) < 400
    full = Dialog.from_dict({"_id": "d", "name": "n" * 500, "occupants_ids": [10**9] * 500, "last_message": "m" * 900})
    assert len(repr(full)) < 400


def test_repr_hides_the_token_in_a_session_and_its_container() -> None:
    session = Session(id=1, token="sesame", ts=dt.datetime(2026, 2, 3, tzinfo=dt.UTC))
    assert "sesame" not in repr(session)
    assert "sesame" not in repr([session])
    assert "token" not in repr(session)


def test_repr_of_clients_and_their_parts() -> None:
    server = ListServer(numbered(3), cap=2)
    with client(server.answer) as cube:
        assert repr(cube) == "<ConnectyCube https://api.connectycube.com>"
        assert repr(AsyncConnectyCube("1", "sesame")) == "<AsyncConnectyCube https://api.connectycube.com>"
        page = cube.dialogs.list()
        assert repr(page) == "<Page of 2 items, total_entries=3>"
        raw = cube.dialogs.with_raw_response.list()
        assert isinstance(raw, RawResponse)
        assert repr(raw) == "<RawResponse 200 of dialogs.list>"
        for part in (cube, page, raw, cube.dialogs, cube.session):
            assert "token" not in repr(part)
            assert len(repr(part)) < 100


def test_errors_can_be_copied_and_pickled() -> None:
    error = NotFound(404, errors={"base": ["gone"]}, operation="dialogs.get")
    twin = pickle.loads(pickle.dumps(error))
    assert repr(twin) == repr(error) == "NotFound(status=404, operation='dialogs.get', errors={'base': ['gone']})"
    assert str(copy.copy(error)) == str(error)


def test_repr_of_a_client_without_credentials() -> None:
    assert repr(ConnectyCube()) == "<ConnectyCube https://api.connectycube.com>"
