"""Spans by OpenTelemetry, sent as OTLP over HTTP. Imported only when traces are on.

A span has a name, a service, times and a status. It never holds contents of requests: no prompt, no error message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.settings import Settings
from shared.telemetry.context import traceparent

# A process that is killed loses the spans it has not sent.
_SEND_EVERY_MS = 1000
# A collector that does not answer must not keep a process from ending.
_SEND_S = 2.0

_propagator = TraceContextTextMapPropagator()


@dataclass(frozen=True, kw_only=True)
class Span:
    """An operation in progress."""

    otel: OtelSpan

    def note(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        """Adds attributes."""
        self.otel.set_attributes(dict(attributes))

    def name(self, name: str) -> None:
        """Changes the name."""
        self.otel.update_name(name)

    def failed(self, code: str) -> None:
        """Marks the operation as failed, with this error code."""
        self.otel.set_status(Status(StatusCode.ERROR, code))


class Spans:
    """The spans of one process. service: its name."""

    def __init__(self, settings: Settings, *, service: str) -> None:
        exporter = OTLPSpanExporter(endpoint=f"{settings.traces_url.rstrip('/')}/v1/traces", timeout=_SEND_S)
        self._provider = TracerProvider(resource=Resource.create({"service.name": f"troupe-{service}"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_EVERY_MS))
        self._tracer = self._provider.get_tracer("troupe")

    @contextmanager
    def span(self, name: str, *, parent: str | None, serves: bool) -> Iterator[Span]:
        """A span while the context lasts, and `traceparent` set to it. parent: traceparent of the operation around it.

        serves: it handles a request; else it takes a message from a queue.
        """
        context = _propagator.extract({} if parent is None else {"traceparent": parent})
        kind = SpanKind.SERVER if serves else SpanKind.CONSUMER
        with self._tracer.start_as_current_span(
            name, context, kind, record_exception=False, set_status_on_exception=False
        ) as otel:
            found: dict[str, str] = {}
            _propagator.inject(found)
            token = traceparent.set(found.get("traceparent"))
            try:
                yield Span(otel=otel)
            finally:
                traceparent.reset(token)

    def close(self) -> None:
        """Sends the remaining spans."""
        self._provider.shutdown()
