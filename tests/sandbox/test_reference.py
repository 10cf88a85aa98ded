"""The examples on the reference pages of the REST calls, as a reader would paste them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectycube.rest import ApiError
from connectycube.sandbox import Sandbox, Settings
from connectycube.sandbox.domain.message_model import Draft

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "generated" / "docs" / "rest"
MYPY_CACHE = ROOT / ".build" / "mypy"

EXAMPLES = {
    f"{page.stem}.{section.partition(chr(10))[0]}": example[1]
    for page in sorted(PAGES.glob("*.md"))
    for section in page.read_text(encoding="utf-8").split("\n## ")[1:]
    if (example := re.search(r"^```python\n((?:import|from) .*?)^```$", section, re.DOTALL | re.MULTILINE))
}

REFUSED = {
    "users.create": "the user has signed up already",
    "users.reset_password": "sends email",
    "users.get_by_facebook_id": "nobody has one",
    "users.get_by_twitter_id": "nobody has one",
    "users.get_by_external_id": "nobody has one",
    "users.delete_by_external_id": "nobody has one",
    "users.get_by_phone": "nobody has one",
    "push_events.create": "nobody has subscribed",
    "push_subscriptions.delete": "nobody has subscribed",
    "link_previews.create": "needs the web",
    "sessions.delete_by_id": "there is one session",
    "admin.list_recordings": "no meeting was recorded",
    "admin.delete_recordings": "no meeting was recorded",
    "meetings.list_recordings": "no meeting was recorded",
}
"""Examples that may be refused, and why: on a new sandbox there is nothing that they are about."""

OF_PUBLIC_DIALOGS = {"dialogs.subscribe", "dialogs.unsubscribe", "dialogs.list_occupants"}


def test_every_call_has_an_example() -> None:
    assert len(EXAMPLES) == sum(page.read_text(encoding="utf-8").count("\n- Request: `") for page in PAGES.glob("*.md"))
    assert REFUSED.keys() <= EXAMPLES.keys()


def test_examples_pass_mypy(tmp_path: Path) -> None:
    for name, source in EXAMPLES.items():
        (tmp_path / f"{name.replace('.', '_')}.py").write_text(source, encoding="utf-8")
    options = ["--config-file=", f"--cache-dir={MYPY_CACHE}", "--strict", "--python-version=3.11"]
    command = [sys.executable, "-m", "mypy", *options, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ids(sandbox: Sandbox) -> dict[str, str]:
    """Create what the examples are about, and map the ids in the examples to those of the sandbox."""
    core = sandbox.core
    mary = core.accounts.create({"login": "mary", "password": "correct-horse-9", "email": "mary@mail.example"})
    others = [core.accounts.create({"login": name, "password": "correct-horse-9"}) for name in ("ada", "bob", "eve")]
    group = core.dialogs.create(
        mary.id, {"type": 2, "occupants_ids": [one.id for one in others[:2]], "name": "Climbing"}
    )
    public = core.dialogs.create(others[0].id, {"type": 4, "name": "Everybody"})
    core.dialogs.subscribe(public.id, mary.id)
    messages = [core.messages.store(group, Draft(sender_id=mary.id, body="hello")) for _ in range(2)]
    file = core.files.create(mary.id, {"name": "a", "content_type": "text/plain", "public": True})
    core.files.put(file, iter([b"x" * 48213]))
    core.files.complete(file.id, mary.id, 48213)
    meeting = core.meetings.create(mary.id, {"name": "x", "start_date": 1, "end_date": 2, "attendees": []})
    board = core.whiteboards.create(mary.id, group.id, "x")
    records = [core.records.create("Movie", mary.id, {"year": 2019, "title": "x"}) for _ in range(4)]
    return {
        **{f"{81001 + number}": f"{user.id}" for number, user in enumerate([mary, *others])},
        "66f1a7c2e4b0d93a51c8e201": group.id,
        "66f1a7c2e4b0d93a51c8e202": public.id,
        "66f1a8d0e4b0d93a51c8e2ff": messages[0].id,
        "66f1a8d0e4b0d93a51c8e300": messages[1].id,
        "66f1b0a4e4b0d93a51c8e401": records[0].id,
        "66f1b0a4e4b0d93a51c8e411": records[1].id,
        "66f1b0a4e4b0d93a51c8e412": records[2].id,
        "66f1b0a4e4b0d93a51c8e419": records[3].id,
        "66f1b3c8e4b0d93a51c8e501": meeting.id,
        "66f1b7d4e4b0d93a51c8e601": f"{board['id']}",
        "9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0": file.uid,
        "5001": f"{file.id}",
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """A sandbox that answers version 1 of the users API, too."""
    with Sandbox(Settings(users_v1=True)) as found:
        yield found


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.reset()
    return server


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_APP_ID", f"{sandbox.app_id}")
    monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", sandbox.auth_key)
    monkeypatch.setenv("CONNECTYCUBE_ADMIN_KEY", sandbox.admin_key)
    monkeypatch.setenv("CONNECTYCUBE_BASE_URL", sandbox.api_url)
    known = sandbox.call(ids, sandbox)
    if name in OF_PUBLIC_DIALOGS:
        known["66f1a7c2e4b0d93a51c8e201"] = known["66f1a7c2e4b0d93a51c8e202"]
    source = re.sub(r"\b\w+\b", lambda word: known.get(word[0], word[0]), EXAMPLES[name])
    try:
        exec(compile(source, name, "exec"), {})
    except ApiError:
        if name not in REFUSED:
            raise
