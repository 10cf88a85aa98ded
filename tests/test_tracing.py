"""OpenTelemetry spans of the chat and of bots."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from connectycube.bots import Bot, Context
from connectycube.chat import ConnectError, HandlerFailed, MessageNotSent, MessageReceived, Reconnected
from connectycube.sandbox import Sandbox
from tests.integration.support import run

BODY = "a secret body"


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.own: Tracer = self.provider.get_tracer("the program's own")

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> tuple[ReadableSpan, dict[str, Any]]:
        (span,) = self.named(name)
        assert BODY not in span.to_json()
        return span, dict(span.attributes or {})


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    found = Spans()
    monkeypatch.setattr("connectycube.chat._tracing.tracer", found.provider.get_tracer("connectycube.chat"))
    yield found
    found.provider.shutdown()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


def parent_of(span: ReadableSpan) -> int | None:
    found: int | None = None if span.parent is None else span.parent.span_id
    return found


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    found: int = span.context.span_id
    return found


def test_sending_and_processing_are_traced(sandbox: Sandbox, spans: Spans) -> None:
    async def main() -> tuple[str, int, str | None]:
        processed: asyncio.Queue[str | None] = asyncio.Queue()
        with spans.own.start_as_current_span("program"):
            async with sandbox.chat("mary") as mary, sandbox.chat("ada") as ada:

                @ada.on(MessageReceived)
                async def answer(event: MessageReceived) -> None:
                    spans.own.start_span("inside").end()
                    processed.put_nowait(event.message.dialog_id)

                sent = await mary.send(ada.user_id, BODY)
                return sent.id, ada.user_id, await processed.get()

    message_id, recipient_id, dialog_id = run(main())
    send, attributes = spans.one("send")
    (program,), (inside,) = spans.named("program"), spans.named("inside")
    assert send.kind is SpanKind.PRODUCER
    assert (send.status.status_code, parent_of(send)) == (StatusCode.UNSET, id_of(program))
    assert attributes == {
        "messaging.system": "connectycube",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": message_id,
        "messaging.destination.name": str(recipient_id),
        "server.address": "localhost",
        "server.port": sandbox.chat_tls_port,
    }
    process, attributes = spans.one("process")
    assert process.kind is SpanKind.CONSUMER
    assert (parent_of(process), parent_of(inside)) == (None, id_of(process))
    assert attributes == {
        "messaging.system": "connectycube",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": message_id,
        "messaging.destination.name": dialog_id,
        "code.function.name": f"{__name__}.test_sending_and_processing_are_traced.<locals>.main.<locals>.answer",
    }


def test_each_connection_is_traced(sandbox: Sandbox, spans: Spans) -> None:
    async def main() -> None:
        chat = sandbox.chat("mary")
        reconnected = chat.events(Reconnected)
        with spans.own.start_as_current_span("program"):
            await chat.connect()
        sandbox.drop_connections()
        await anext(reconnected)
        await chat.disconnect()

    run(main())
    (program,) = spans.named("program")
    first, again = spans.named("connect")
    assert (parent_of(first), parent_of(again)) == (id_of(program), None)
    assert first.kind is SpanKind.CLIENT
    assert dict(first.attributes or {}) == {
        "messaging.system": "connectycube",
        "server.address": "localhost",
        "server.port": sandbox.chat_tls_port,
    }


def test_failures_are_traced_without_their_text(sandbox: Sandbox, spans: Spans) -> None:
    async def main() -> None:
        async with sandbox.chat("mary") as mary, sandbox.chat("ada") as ada:
            failures = ada.events(HandlerFailed)

            @ada.on(MessageReceived)
            def fail(event: MessageReceived) -> None:
                raise LookupError(event.message.body)

            await mary.send(ada.user_id, BODY)
            await anext(failures)
        with pytest.raises(MessageNotSent):
            await mary.send(ada.user_id, BODY)
        with pytest.raises(ConnectError):
            await sandbox.chat("mary", user_id=99, password="wrong").connect()

    run(main())
    process, attributes = spans.one("process")
    assert (process.status.status_code, process.status.description) == (StatusCode.ERROR, None)
    assert (attributes["error.type"], process.events) == ("builtins.LookupError", ())
    errors = [(span.attributes or {}).get("error.type") for name in ("send", "connect") for span in spans.named(name)]
    assert [error for error in errors if error] == [
        "connectycube.chat.errors.MessageNotSent",
        "connectycube.chat.errors.AuthenticationFailed",
    ]


def test_blocking_handlers_are_traced(sandbox: Sandbox, spans: Spans) -> None:
    with sandbox.chat_sync("mary") as mary, sandbox.chat_sync("ada") as ada:

        @ada.on(MessageReceived)
        def note(event: MessageReceived) -> None:
            spans.own.start_span("inside").end()

        with spans.own.start_as_current_span("program"):
            mary.send(ada.user_id, BODY)
    (program,), (inside,) = spans.named("program"), spans.named("inside")
    assert parent_of(spans.one("send")[0]) == id_of(program)
    process, attributes = spans.one("process")
    assert attributes["code.function.name"].endswith(".note")
    assert parent_of(inside) == id_of(process)


def test_handlers_of_bots_are_traced_with_their_replies(sandbox: Sandbox, spans: Spans) -> None:
    bot = Bot()

    @bot.message()
    async def answer(ctx: Context) -> None:
        await ctx.reply(BODY)

    async def main() -> None:
        async with sandbox.bot(bot) as account, sandbox.chat("mary") as mary:
            answers = mary.events(MessageReceived)
            await mary.send(account.id, BODY)
            await anext(answers)

    run(main())
    process, attributes = spans.one("process")
    assert attributes["code.function.name"].endswith(".answer")
    _, reply = spans.named("send")
    assert parent_of(reply) == id_of(process)


def test_nothing_is_needed_without_opentelemetry() -> None:
    code = """
import sys

sys.modules["opentelemetry"] = None
from connectycube.chat import MessageReceived
from connectycube.sandbox import Sandbox

with Sandbox() as sandbox, sandbox.chat_sync("mary") as mary, sandbox.chat_sync("ada") as ada:
    received = ada.events(MessageReceived)
    mary.send(ada.user_id, "Hello")
    print(next(received).message.body)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("Hello\n", "")
