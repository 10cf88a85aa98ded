"""The texts of the chat's errors, and that errors can be copied and pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from connectycube.chat import (
    ChatError,
    MessageNotSent,
    MessageRefused,
    NotConnected,
    Reason,
    RecipientBlocked,
    RequestRefused,
    RequestUnanswered,
    StreamConflict,
)
from connectycube.stanzas import StanzaFault

NUMBER = "66f1a7c2e4b0d93a51c8e2aa"
FAULT = StanzaFault(type="cancel", condition="forbidden", code=403, text="no")
ERRORS = {
    "there is none": NotConnected("there is none"),
    "another one": StreamConflict("another one", reason=Reason.CONFLICT, condition="conflict"),
    f"message {NUMBER} was not sent: too late": MessageNotSent(NUMBER, "too late"),
    f"message {NUMBER} was not sent: forbidden (no)": MessageRefused(NUMBER, FAULT),
    f"message {NUMBER} was not sent: the server gave no reason; the recipient blocks the user, does not exist, or "
    "can't be reached": RecipientBlocked(NUMBER, None),
    "a ping was refused: forbidden (no)": RequestRefused("a ping", FAULT),
    "a ping was not answered within 2 seconds": RequestUnanswered("a ping", 2.0),
}
AGAIN: list[Callable[[ChatError], ChatError]] = [
    copy.copy,
    copy.deepcopy,
    lambda error: pickle.loads(pickle.dumps(error)),
]


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("words", ERRORS)
def test_errors_can_be_copied_and_pickled(words: str, again: Callable[[ChatError], ChatError]) -> None:
    error = ERRORS[words]
    twin = again(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error) == words
    assert (twin.args, vars(twin)) == (error.args, vars(error))
