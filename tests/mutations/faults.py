"""The mutations, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A fault: the text `old`, which occurs once in a file, becomes `new`.

    Code moves, so there may be several files; the first that contains the text is used.
    """

    name: str
    files: tuple[str, ...]
    old: str
    new: str


def rest(module: str) -> tuple[str, ...]:
    """Where a module of the REST client's runtime is, or was."""
    return f"generator/runtime/rest/{module}.py", f"generator/templates/rest/package/{module}.py.jinja"


CALLS = "generator/templates/rest/package/calls.py.jinja"
MODELS = "generator/templates/rest/package/models.py.jinja"
REST = "generated/connectycube/rest"
STANZAS = "generated/connectycube/stanzas"
MACHINES = "xmpp_ext/connectycube/chat/machines"
TABLES = "spec/machines"

MUTATIONS = [
    # The REST client: runtime, templates, generated code
    Mutation(
        "a POST is repeated after 503",
        rest("_retry"),
        "    if not call.repeatable or (status != 429 and not call.operation.idempotent):\n",
        "    if not call.repeatable:\n",
    ),
    Mutation(
        "every call renews a lost session",
        rest("_session"),
        "                return self.renewal, False, None\n",
        "                pass\n",
    ),
    Mutation(
        "a call is repeated as another user",
        rest("_session"),
        "            return self.user_id == mark.user_id\n",
        "            return True\n",
    ),
    Mutation(
        "a list in a query is not repeated but joined",
        rest("_wire"),
        "        found = [(key, query_text(entry)) for entry in members(value)]\n",
        "        found = [(key, ','.join(query_text(entry) for entry in members(value)))]\n",
    ),
    Mutation(
        "a path argument may be empty",
        rest("_wire"),
        "    segment = text(name, value, min_length=1)\n    if not segment.strip() or",
        "    segment = str(value)\n    if",
    ),
    Mutation(
        "404 raises a plain ApiError",
        (f"{REST}/errors.py",),
        "    404: NotFound,\n",
        "",
    ),
    Mutation(
        "a model is written under its Python names",
        (MODELS,),
        "            data[{{ f.wire | lit }}] =",
        "            data[{{ f.name | lit }}] =",
    ),
    Mutation(
        "no call is marked as a POST that must not be repeated",
        (CALLS,),
        "{% if not op.idempotent %}\n",
        "{% if false %}\n",
    ),
    Mutation(
        "one operation uses the wrong method",
        (f"{REST}/_calls/dialogs.py",),
        '    "dialogs.update",\n    "PUT",\n',
        '    "dialogs.update",\n    "PATCH",\n',
    ),
    Mutation(
        "one argument of the async client is optional",
        (f"{REST}/resources/whiteboards.py",),
        "    def list(\n        self,\n        *,\n        chat_dialog_id: str | models.Dialog,\n",
        '    def list(\n        self,\n        *,\n        chat_dialog_id: str | models.Dialog = "",\n',
    ),
    # The stanzas. The generator tries their templates on the examples, so these faults are put into its output.
    Mutation(
        "text of a stanza is written without escapes",
        (f"{STANZAS}/_xml.py",),
        "    _check_characters(value, what)\n    return _text(value)\n",
        "    return value\n",
    ),
    Mutation(
        "a reader ignores the element's name",
        (f"{STANZAS}/_xml.py",),
        "if element.tag != cls.tag:",
        "if False:",
    ),
    Mutation(
        "one stanza has the wrong namespace",
        (f"{STANZAS}/ping.py",),
        """out = "<ping" if outer == "urn:xmpp:ping" else '<ping xmlns="urn:xmpp:ping"'""",
        """out = "<ping" if outer == "urn:xmpp:ping" else '<ping xmlns="urn:xmpp:pong"'""",
    ),
    Mutation(
        "one stanza loses a field that it reads",
        (f"{STANZAS}/delay.py",),
        'found.stamp = to_time(text, "stamp")',
        'found.stamp = to_time("2026-01-01T00:00:00Z", "stamp")',
    ),
    # The machines and their tables
    Mutation(
        "a backoff grows too slowly",
        (f"{MACHINES}/connection.py",),
        "factor: float = field(default=2.0,",
        "factor: float = field(default=1.5,",
    ),
    Mutation(
        "effects come in the wrong order",
        (f"{MACHINES}/connection.py",),
        "(StopTimers(), *step.effects)",
        "(*step.effects, StopTimers())",
    ),
    Mutation(
        "a resumed stream does not resend",
        (f"{MACHINES}/stream_management.py",),
        "        effects += (Resend(tuple(islice(machine.queue, covered, None))),)\n",
        "        effects += ()\n",
    ),
    Mutation(
        "a machine accepts an undefined event",
        (f"{MACHINES}/privacy_lists.py",),
        "    (State.DECLINING, Done): _finish(_no_default),\n",
        "    (State.DECLINING, Done): _finish(_no_default),\n    (State.UNKNOWN, Done): _finish(_no_default),\n",
    ),
    Mutation(
        "a table expects another state",
        (f"{TABLES}/stream-management.yaml",),
        "      - {event: {managed: true, resume: false}, to: enabling, effects: [{WriteEnable: {resume: false}}]}\n",
        "      - {event: {managed: true, resume: false}, to: pinging, effects: [{WriteEnable: {resume: false}}]}\n",
    ),
    Mutation(
        "a table expects another variable",
        (f"{TABLES}/connection.yaml",),
        "then: {attempt: 0, been_online: false, begun: false, told: false}, why: a new start",
        "then: {attempt: 0, been_online: true, begun: false, told: false}, why: a new start",
    ),
]
