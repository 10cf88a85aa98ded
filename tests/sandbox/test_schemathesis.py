"""Whatever a request holds, the answer is one that the spec knows."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from connectycube.sandbox import Sandbox
from connectycube.sandbox.domain.message_model import Draft
from connectycube.sandbox.rest.document import load_document
from tests.properties import CI

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = {GenerationMode.POSITIVE: 6 if CI else 2, GenerationMode.NEGATIVE: 4 if CI else 2}
"""In CI enough to find most mistakes in half a minute; a mistake that is hunted may want more."""


@cache
def schema() -> Any:
    """The bundled spec as the sandbox prepares it, without uploads to the storage."""
    document = load_document()
    source = copy.deepcopy(document.source)
    for operation in document.elsewhere.values():
        if operation.id != "link_previews_create":
            del source["paths"][operation.path][operation.method.lower()]
    for item in source["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                media = response.get("content", {}).get("application/json", {})
                if media.get("schema", {}).get("x-merged") is False:
                    # One id is answered with nothing, several with a list of fates; OpenAPI can't say so.
                    del response["content"]
    return schemathesis.openapi.from_dict(source)


def operations() -> list[Any]:
    return [result.ok() for result in schema().get_all_operations()]


class World:
    """Things for calls to be about. What a call took away is made again."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.token = ""
        self.ids: dict[str, Any] = {}

    def ensure(self) -> None:
        core = self.sandbox.core
        if self.ids and core.sessions.find_token(self.token) is not None and self._whole():
            return
        core.db.clear()
        mary, ada = (core.accounts.create({"login": name, "password": "password"}) for name in ("mary", "ada"))
        session = core.sessions.open_for(mary.id)
        self.token = session.token
        dialog = core.dialogs.create(mary.id, {"type": 2, "occupants_ids": [ada.id], "name": "Climbing"})
        message = core.messages.store(dialog, Draft(sender_id=mary.id, body="hello"))
        file = core.files.create(mary.id, {"name": "a", "content_type": "text/plain", "public": True})
        core.files.put(file, iter([b"data"]))
        core.files.complete(file.id, mary.id, 4)
        meeting = core.meetings.create(mary.id, {"name": "x", "start_date": 1, "end_date": 2, "attendees": []})
        board = core.whiteboards.create(mary.id, dialog.id, "x")
        record = core.records.create("Movie", mary.id, {"year": 2019})
        self.ids = {
            "user_id": ada.id,
            "session_id": session.id,
            "dialog_id": dialog.id,
            "chat_dialog_id": dialog.id,
            "message_id": message.id,
            "message_ids": [message.id],
            "file_id": file.id,
            "file_uid": file.uid,
            "meeting_id": meeting.id,
            "whiteboard_id": board["id"],
            "class_name": "Movie",
            "object_id": record.id,
            "recipientId": ada.id,
            "recipient_id": ada.id,
            "occupants_ids": [ada.id],
        }

    def _whole(self) -> bool:
        value = self.sandbox.core.db.value
        tables = ("dialogs", "messages", "files", "meetings", "whiteboards", "records")
        return value("SELECT count(*) FROM users") >= 2 and all(
            value(f"SELECT 1 FROM {table} LIMIT 1") for table in tables
        )

    def fill(self, part: Any) -> Any:
        """The same with ids of what is there."""
        if not isinstance(part, dict):
            return part
        return {name: self.ids.get(name, value) for name, value in part.items()}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Sandbox() as sandbox:
        yield World(sandbox)


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.definition.raw["operationId"])
@pytest.mark.parametrize("mode", EXAMPLES, ids=lambda mode: mode.value)
def test_every_answer_conforms_to_the_spec(operation: Any, mode: GenerationMode, world: World) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        for filled in (False, True):
            world.sandbox.call(world.ensure)
            if filled:
                case.path_parameters = world.fill(case.path_parameters)
                case.query = world.fill(case.query)
                case.body = world.fill(case.body)
            headers = {
                "CB-Token": world.token,
                "CB-AuthKey": world.sandbox.auth_key,
                "CB-Administration-API-Key": world.sandbox.admin_key,
            }
            case.call_and_validate(
                base_url=world.sandbox.api_url, headers=headers, checks=CHECKS, allow_redirects=False
            )

    # What can't be wrong can't be made wrong.
    with suppress(Unsatisfiable):
        run()
