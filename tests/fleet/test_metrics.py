"""Metrics of a fleet, and traces that continue in another process."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectycube.bots import Context
from connectycube.bots.fleet import metrics
from connectycube.chat import ChatMessage
from connectycube.chat._tracing import continued, receiving, sending, traced, traceparent
from connectycube.sandbox import Sandbox
from tests.bots.conftest import World
from tests.integration.support import eventually, run

from .server import NatsServer

MESSAGE = ChatMessage(id="0a", body="", sender_id=1, recipient_id=2, dialog_id=None, type="chat")


@pytest.fixture(scope="module")
def reader() -> Iterator[InMemoryMetricReader]:
    """Reads what the metrics of this process are. A process can choose only once where they go."""
    found = InMemoryMetricReader()
    provider = MeterProvider([found])
    api.set_meter_provider(provider)
    yield found
    provider.shutdown()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    found, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    monkeypatch.setattr("connectycube.chat._tracing.tracer", provider.get_tracer("connectycube.chat"))
    yield found
    provider.shutdown()


def values(reader: InMemoryMetricReader) -> Counter[tuple[str, ...]]:
    """What each instrument has counted in this process, by name and attributes."""
    data = reader.get_metrics_data()
    found = Counter[tuple[str, ...]]()
    for resource in data.resource_metrics if data else ():
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            for point in metric.data.data_points:
                labels = (str(value) for _, value in sorted((point.attributes or {}).items()))
                count = point.value if isinstance(point, NumberDataPoint) else point.count
                found[metric.name.removeprefix("connectycube.bots."), *labels] = int(count)
    return found


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def test_instruments_are_those_of_the_table(reader: InMemoryMetricReader) -> None:
    for name in metrics.__all__:
        instrument = getattr(metrics, name)
        record = instrument.record if name == "lag" else instrument.add
        record(2, {"kind": "account", "move": "lost"})
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, metric.unit)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if scope.scope.name == "connectycube.bots"
    }
    assert len(found) == len(metrics.__all__)
    for name, unit in found:
        assert f"| `{name}` | {unit if unit == 's' else ''}".rstrip() in str(metrics.__doc__)


def test_trace_continues_from_gateway_to_worker_to_gateway(spans: InMemorySpanExporter) -> None:
    carried: list[str | None] = []

    async def handler() -> None:
        carried.append(traceparent())

    async def main() -> None:
        with receiving("0a", "1"):
            carried.append(traceparent())
        await traced(handler, MESSAGE, carried[0])()
        with continued(carried[1]), sending("0b", ("localhost", 5222)):
            pass
        assert traceparent() is None
        with continued(None), sending("0c", ("localhost", 5222)):
            pass

    run(main())
    receive, process, reply, other = spans.get_finished_spans()
    assert (receive.name, process.name, reply.name) == ("receive", "process", "send")
    assert parent_of(process) == id_of(receive)
    assert parent_of(reply) == id_of(process)
    assert len({trace_of(receive), trace_of(process), trace_of(reply)}) == 1
    assert trace_of(other) != trace_of(receive)
    assert parent_of(other) is None


def test_fleet_is_traced_and_measured(
    nats_server: NatsServer,
    connectycube_sandbox: Sandbox,
    tmp_path: Path,
    spans: InMemorySpanExporter,
    reader: InMemoryMetricReader,
) -> None:
    world = World(connectycube_sandbox, tmp_path)

    async def main() -> None:
        async with (
            world.bot(store=f"{nats_server.url}?partitions=2", attempts=1) as bot,
            world.friends("ada") as (ada,),
        ):

            @bot.message()
            async def work(ctx: Context) -> None:
                if ctx.text == "fail":
                    raise ValueError("no")
                await ctx.reply("hello")

            async with bot.running():
                for text in ("fail", "greet"):
                    await ada.chat.send(world.bot_id, text)
                await ada.texts.wait(1)
                assert (values(reader) - before)["connections",] == 1
                await eventually(lambda: (values(reader) - before)["lease.moves", "partition", "taken"] == 2)

    before = values(reader)
    run(main())
    (failed, receive), processes = named(spans, "receive"), named(spans, "process")
    process = next(span for span in processes if parent_of(span) == id_of(receive))
    assert parent_of(next(span for span in processes if span is not process)) == id_of(failed)
    (reply,) = (span for span in named(spans, "send") if parent_of(span) == id_of(process))
    assert trace_of(reply) == trace_of(receive) != trace_of(failed)
    after = values(reader)
    after.subtract(before)
    assert after["connections",] == after["waiting",] == 0
    assert (after["lag",], after["replies",], after["failures", "message"]) == (2, 1, 1)
    for kind, count in ("account", 1), ("partition", 2):
        assert [after["lease.moves", kind, move] for move in ("taken", "released", "lost")] == [count, count, 0]


def test_nothing_is_needed_without_opentelemetry() -> None:
    code = """
import sys

sys.modules["opentelemetry"] = None
from connectycube.bots import Context
from connectycube.bots.fleet import metrics
from connectycube.chat._tracing import continued, receiving, traceparent

metrics.connections.add(1)
metrics.lag.record(0.1)
metrics.failures.add(1, {"kind": "reply"})
with continued("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), receiving("0a", "1"):
    print(traceparent())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("None\n", "")


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else int(span.parent.span_id)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)
