"""What the streams hold."""

from __future__ import annotations

import pytest

from connectycube.bots.fleet.records import decode_problem, encode_record, error_of, problem_of
from connectycube.chat import MessageRefused, MessageTooLong, RecipientBlocked
from connectycube.rest import ConnectyCubeError, InvalidArgument
from connectycube.stanzas import StanzaFault


@pytest.mark.parametrize(
    "error",
    [
        MessageRefused("1", StanzaFault(type="auth", condition="forbidden", text="no")),
        RecipientBlocked("1", None),
        MessageTooLong("1", 20, 10),
        InvalidArgument("to", "is empty"),
    ],
)
def test_our_exceptions_keep_their_class(error: Exception) -> None:
    found = error_of(decode_problem(encode_record(problem_of(error))))
    assert (type(found), str(found), found.args, vars(found)) == (type(error), str(error), error.args, vars(error))


def test_other_exceptions_become_ours() -> None:
    found = error_of(problem_of(OSError(5, "disk")))
    assert (type(found), str(found)) == (ConnectyCubeError, "OSError: [Errno 5] disk")
