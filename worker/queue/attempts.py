"""Metrics and traces of attempts: how each attempt at a stage ended, for Prometheus and as a span."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.settings import Settings
from shared.stages import Stage
from shared.store.queue.values import Claim
from shared.telemetry.context import trace_of
from shared.telemetry.metrics import meters

if TYPE_CHECKING:
    from shared.telemetry.spans import Span, Spans


class Attempt:
    """One attempt. Record its end once."""

    def __init__(self, stage: Stage, span: Span | None) -> None:
        self._stage = stage
        self._span = span

    def done(self, seconds: float, *, reused: bool) -> None:
        """The stage has finished."""
        meters().stage_seconds.labels(self._stage.value, str(reused).lower()).observe(seconds)
        if self._span is not None:
            self._span.note({"troupe.reused": reused})
        self.ended("done")

    def ended(self, ending: str, *, code: str = "") -> None:
        """The attempt ended. code: of the error that it failed with."""
        meters().attempts.labels(self._stage.value, ending).inc()
        if self._span is not None:
            self._span.note({"troupe.ending": ending})
            if code:
                self._span.failed(code)


class AttemptTelemetry:
    """Metrics and traces of all attempts of an executor. Opens no connection unless traces are on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spans: Spans | None = None

    def open(self) -> None:
        """Call in the executor process, before the first attempt."""
        # Imports the library now, so that the first attempt does not wait for it.
        meters()
        if self._settings.traces_url:
            from shared.telemetry.spans import Spans  # noqa: PLC0415 - costs nothing when traces are off

            self._spans = Spans(self._settings, service=f"worker-{self._settings.role}")

    def close(self) -> None:
        """Sends the remaining spans."""
        if self._spans is not None:
            self._spans.close()

    @contextmanager
    def begin(self, stage: Stage, claim: Claim, worker: str) -> Iterator[Attempt]:
        """An attempt, with a span in the job's trace."""
        if self._spans is None:
            yield Attempt(stage, None)
            return
        with self._spans.span(stage.value, parent=claim.trace or trace_of(claim.job.id), serves=False) as span:
            span.note(
                {
                    "troupe.job_id": claim.job.id,
                    "troupe.stage": stage.value,
                    "troupe.attempt": claim.attempt,
                    "troupe.worker": worker,
                }
            )
            yield Attempt(stage, span)
