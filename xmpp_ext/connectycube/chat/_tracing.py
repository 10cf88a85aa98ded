"""OpenTelemetry spans, where `opentelemetry-api` is installed. They hold neither the text of messages nor secrets.

Attributes follow OpenTelemetry's semantic conventions for messaging. Texts of exceptions are left out, since those of a
handler may quote a message.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from connectycube.rest import __version__

from .models import ChatMessage

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind

try:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError:
    if TYPE_CHECKING:
        raise  # Type checkers have it, and would complain that the names may be missing.
    TRACED = False
else:
    TRACED = True
    # A proxy until the program chooses where spans go, which may be later.
    tracer = trace.get_tracer("connectycube.chat", __version__)
    carried = TraceContextTextMapPropagator()

__all__ = ["connecting", "continued", "processing", "receiving", "sending", "traced", "traceparent"]

UNTRACED: Final[AbstractContextManager[None]] = nullcontext()
SYSTEM: Final[dict[str, str | int]] = {"messaging.system": "connectycube"}


def connecting(dial: tuple[str, int], *, again: bool) -> AbstractContextManager[Span | None]:
    """Trace an attempt to connect.

    :param dial: host and port.
    :param again: whether no caller waits for it; it then belongs to no trace of the program's.
    """
    if not TRACED:
        return UNTRACED
    return _span("connect", trace.SpanKind.CLIENT, {"server.address": dial[0], "server.port": dial[1]}, root=again)


def sending(message_id: str, dial: tuple[str, int]) -> AbstractContextManager[Span | None]:
    """Trace a message until the server has it. Its destination is added once it is known.

    :param dial: host and port.
    """
    if not TRACED:
        return UNTRACED
    attributes: dict[str, str | int] = {
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": message_id,
        "server.address": dial[0],
        "server.port": dial[1],
    }
    return _span("send", trace.SpanKind.PRODUCER, attributes)


def receiving(message_id: str, dialog: str) -> AbstractContextManager[Span | None]:
    """Trace how a message is passed on to another process, which continues the trace."""
    if not TRACED:
        return UNTRACED
    attributes: dict[str, str | int] = {
        "messaging.operation.name": "receive",
        "messaging.operation.type": "receive",
        "messaging.message.id": message_id,
        "messaging.destination.name": dialog,
    }
    return _span("receive", trace.SpanKind.CONSUMER, attributes, root=True)


def processing(
    call: Callable[..., Any], message: object, origin: str | None = None
) -> AbstractContextManager[Span | None]:
    """Trace a handler that processes a message.

    The trace begins here: the connection, which calls the handler, may have been made for anything. Handlers of the
    SDK's own only pass the message on.

    :param origin: the `traceparent` of the process that received the message; the trace then continues.
    """
    if not TRACED or not isinstance(message, ChatMessage) or (name := _name(call)).startswith("connectycube."):
        return UNTRACED
    attributes: dict[str, str | int] = {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": message.id or "",
        "messaging.destination.name": message.dialog_id or str(message.sender_id or ""),
        "code.function.name": name,
    }
    return _span("process", trace.SpanKind.CONSUMER, attributes, root=True, origin=origin)


def traced(
    call: Callable[..., Coroutine[Any, Any, object]], message: ChatMessage, origin: str | None = None
) -> Callable[..., Coroutine[Any, Any, object]]:
    """Return a coroutine function that is traced while it processes a message, as by `processing`."""
    if not TRACED:
        return call

    async def run(*args: Any, **kwargs: Any) -> object:
        with processing(call, message, origin):
            return await call(*args, **kwargs)

    run.__qualname__ = call.__qualname__  # All that anyone asks for; `functools.wraps` would cost as much as the span.
    return run


def traceparent() -> str | None:
    """Return the current span as W3C `traceparent`, for the process that continues its trace."""
    if not TRACED:
        return None
    carrier: dict[str, str] = {}
    carried.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def continued(origin: str | None) -> Generator[None]:
    """Let what is done in a block belong to the trace of another process.

    :param origin: its `traceparent`; nothing is changed without it.
    """
    if not TRACED or origin is None:
        yield
        return
    token = context.attach(_remote(origin))
    try:
        yield
    finally:
        context.detach(token)


def _remote(origin: str | None) -> context.Context:
    return carried.extract({} if origin is None else {"traceparent": origin}, context.Context())


@contextmanager
def _span(
    name: str, kind: SpanKind, attributes: dict[str, str | int], *, root: bool = False, origin: str | None = None
) -> Generator[Span]:
    with tracer.start_as_current_span(
        name,
        _remote(origin) if root else None,
        kind,
        SYSTEM | attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", _name(type(error)))
            span.set_status(trace.StatusCode.ERROR)
            raise


def _name(found: Callable[..., Any]) -> str:
    return f"{found.__module__}.{getattr(found, '__qualname__', type(found).__qualname__)}"
