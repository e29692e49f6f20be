"""A run of the evaluation: rows over cases, one after the other, until done or interrupted."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from shared.errors import RequestError
from worker.mini.measure.cases import Case, draw_case
from worker.mini.measure.metrics import CaseMetrics, RejectedCase, RowResults, Scorer
from worker.mini.measure.pipeline import Pipeline, spec_of
from worker.mini.measure.report import Findings
from worker.mini.measure.rows import Row
from worker.mini.measure.sheet import Strip

SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row and its number of jobs."""

    row: Row
    jobs: int


@dataclass(kw_only=True)
class Countdown:
    """Progress on a stream: the share that is done, and an estimate of the remaining time."""

    total: int
    out: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def tick(self, words: str) -> None:
        """Counts one finished job."""
        self.done += 1
        spent_s = time.monotonic() - self.started_s
        left_s = spent_s / self.done * (self.total - self.done)
        text = f"{self.done}/{self.total}  {words}  {_clock(spent_s)} elapsed, about {_clock(left_s)} left"
        if self.out.isatty():
            # Erase the moving line first (ECMA-48 "erase in line").
            self.out.write(f"\r\x1b[2K{text}" + ("\n" if self.done == self.total else ""))
        elif self.done % 10 == 0 or self.done == self.total:
            self.out.write(f"{text}\n")
        self.out.flush()


class Evaluation:
    """Rows over the cases of one seed. Rows that differ only in name share their metrics."""

    def __init__(self, pipeline: Pipeline, scorer: Scorer, findings: Findings) -> None:
        self._pipeline = pipeline
        self._scorer = scorer
        self._findings = findings
        self._cases: dict[tuple[int, int], Case] = {}
        self._metrics: dict[tuple[object, ...], CaseMetrics | RejectedCase] = {}
        self._shown: dict[tuple[int, int], dict[str, NDArray[np.uint8] | None]] = {}
        self._templates: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._pictures: dict[tuple[object, ...], NDArray[np.uint8]] = {}

    def measure(self, lines: Sequence[Line], countdown: Countdown) -> None:
        """Runs every row over its jobs and adds to the findings."""
        for line in lines:
            results = self._findings.rows.setdefault(line.row.name, RowResults())
            for number in range(line.jobs):
                case = self._case(number, line.row.people)
                key = _key(case, line.row)
                if key not in self._metrics:
                    self._metrics[key] = self._score(case, line.row)
                metrics = self._metrics[key]
                if isinstance(metrics, CaseMetrics):
                    results.metrics.append(metrics)
                else:
                    results.rejected.append(metrics)
                if number < SHOWN:
                    shown = self._shown.setdefault((number, line.row.people), {})
                    shown[line.row.name] = self._pictures.get(key)
                countdown.tick(line.row.name)

    def strips(self, people: int) -> list[Strip]:
        """The first jobs with this number of people, for the sheet."""
        return [
            Strip(case=self._cases[key], template=self._templates[key], pictures=pictures)
            for key, pictures in self._shown.items()
            if key[1] == people and key in self._templates
        ]

    def _case(self, number: int, people: int) -> Case:
        key = (number, people)
        if key not in self._cases:
            self._cases[key] = draw_case(self._findings.seed, number, people)
        return self._cases[key]

    def _score(self, case: Case, row: Row) -> CaseMetrics | RejectedCase:
        try:
            made = self._pipeline.make(case, row)
        except RequestError as error:
            return self._scorer.reject(self._pipeline, case, error.code)
        if case.number < SHOWN:
            self._templates[case.number, case.people] = made.template
            self._pictures[_key(case, row)] = made.picture
        return self._scorer.score(self._pipeline, case, made)


def _key(case: Case, row: Row) -> tuple[object, ...]:
    return (case.number, case.people, row.method, spec_of(case, row).sampling if row.method == "blend" else row.mask)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
