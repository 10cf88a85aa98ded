"""Answers to calls that the spec describes and the sandbox does not simulate: the examples that the spec gives."""

from __future__ import annotations

from ..errors import Refused
from .call import Answer, Call
from .document import resolve

__all__ = ["MARK", "example_answer"]

MARK = "X-Sandbox"
"""The header, with the value `example`, that tells such an answer from a simulated one."""


def example_answer(call: Call) -> Answer:
    """Answer with the example of the operation's successful response.

    :raises Refused: 501 if the response has a body in the spec, but no example of it.
    """
    operation = call.operation
    status = operation.success
    content = operation.response(status).get("content")
    headers = {MARK: "example"}
    if not content:
        return Answer(status=status, headers=headers)
    media = content.get("application/json", {})
    if "example" in media:
        return Answer(status=status, body=media["example"], headers=headers)
    for example in media.get("examples", {}).values():
        return Answer(status=status, body=resolve(call.operation.document, example)["value"], headers=headers)
    hint = f"add an `example` to its {status} response (application/json) in spec/rest and run `make generate`"
    problem = f"The sandbox does not simulate {operation.id}, and the spec has no example to answer with: {hint}"
    raise Refused(501, {"base": [problem]})
