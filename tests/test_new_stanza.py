"""A new kind of stanza is one YAML file: the one in docs/stanza-language.md, exchanged by two users over a sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from generator import __main__ as generator
from generator import output

PROJECT = Path(__file__).parent.parent
LANGUAGE = PROJECT / "docs" / "stanza-language.md"

USERS = """
import asyncio
import sys

from connectycube import stanzas
from connectycube.chat import AsyncChat, MessageReceived, RecipientBlocked, StanzaRefused
from connectycube.sandbox import Sandbox
from connectycube.stanzas import Poll, PollMessage, PollPresence, PollRequest, PollResult

assert stanzas.__file__.startswith(sys.argv[1]), stanzas.__file__
POLL = Poll(question="When?", options=("Saturday", "Sunday"))


def chat_of(sandbox, login):
    user = sandbox.create_user(login, "correct-horse-9")
    return AsyncChat(
        user_id=user.id, password="correct-horse-9", app_id=sandbox.app_id, host="localhost",
        port=sandbox.chat_tls_port, ssl_context=sandbox.ssl_context,
    )


async def main(sandbox):
    one, other, absent = (chat_of(sandbox, login) for login in ("mary", "joe", "ann"))
    received = []
    other.on(MessageReceived)(received.append)

    @other.on(PollRequest)
    async def answer(request):
        await other.send_stanza(PollResult(id=request.id, to=request.from_, poll=POLL))

    async with one, other:
        async with other.events(PollMessage, PollPresence) as events:
            sent_id = await one.send_stanza(PollMessage(to=other.jid.partition("/")[0], poll=POLL))
            message = await anext(events)
            assert (type(message), message.id, message.from_, message.poll) == (PollMessage, sent_id, one.jid, POLL)
            await one.send_stanza(PollPresence(to=other.jid, poll=POLL))
            presence = await anext(events)
            assert (type(presence), presence.from_, presence.poll) == (PollPresence, one.jid, POLL)
        result = await one.request(PollRequest(id="", to=other.jid, poll=Poll(question="When?")))
        assert (type(result), result.poll) == (PollResult, POLL)
        for to in ("localhost", one.jid):
            try:
                await other.request(PollRequest(id="", to=to, poll=POLL))
            except StanzaRefused as error:
                assert error.condition == "service-unavailable" and "PollRequest" in str(error)
            else:
                raise AssertionError(f"{to} has answered")
        bare = f"{absent.user_id}-{sandbox.app_id}@localhost"
        await one.send_stanza(PollMessage(to=bare, poll=POLL))
        await other.privacy.block(one.user_id)
        try:
            await one.send_stanza(PollMessage(to=other.jid, poll=POLL))
        except RecipientBlocked:
            pass
        await one.ping()
    kept = absent.events(PollMessage)
    async with absent:
        assert (await anext(kept)).poll == POLL
    assert received == []


with Sandbox() as sandbox:
    asyncio.run(asyncio.wait_for(main(sandbox), 60))
"""


def test_new_stanza_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(PROJECT / "spec", tmp_path / "spec")
    block = re.search(r"^```yaml poll\n(.*?)^```$", LANGUAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert block is not None
    (tmp_path / "spec" / "stanzas" / "poll.yaml").write_text(block[1], encoding="utf-8")
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    generated = tmp_path / "generated"
    output.swap(generator.stanza_part(), generated)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USERS, str(generated)],
        env={**os.environ, "PYTHONPATH": str(generated)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
