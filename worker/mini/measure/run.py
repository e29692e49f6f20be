"""A run of the measure: rows over cases, one after the other, as far as it is let."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from shared.errors import RequestError
from worker.mini.measure.casts import Case, draw_case
from worker.mini.measure.marks import Examiner, Marks, Refusal, Tally
from worker.mini.measure.play import Play, spec_of
from worker.mini.measure.report import Findings
from worker.mini.measure.rows import Row
from worker.mini.measure.sheet import Strip

SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row and how many jobs it gets."""

    row: Row
    jobs: int


@dataclass(kw_only=True)
class Countdown:
    """Progress on a stream: what is done, and how long the rest takes at this pace."""

    total: int
    out: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def tick(self, words: str) -> None:
        """One more is done."""
        self.done += 1
        spent_s = time.monotonic() - self.started_s
        left_s = spent_s / self.done * (self.total - self.done)
        text = f"{self.done}/{self.total}  {words}  {_clock(spent_s)} gone, about {_clock(left_s)} left"
        if self.out.isatty():
            # Erase the moving line first (ECMA-48 "erase in line").
            self.out.write(f"\r\x1b[2K{text}" + ("\n" if self.done == self.total else ""))
        elif self.done % 10 == 0 or self.done == self.total:
            self.out.write(f"{text}\n")
        self.out.flush()


class Measuring:
    """Rows over the cases of one seed. Rows that differ only in name share their marks."""

    def __init__(self, play: Play, examiner: Examiner, findings: Findings) -> None:
        self._play = play
        self._examiner = examiner
        self._findings = findings
        self._cases: dict[tuple[int, int], Case] = {}
        self._marks: dict[tuple[object, ...], Marks | Refusal] = {}
        self._shown: dict[tuple[int, int], dict[str, NDArray[np.uint8] | None]] = {}
        self._templates: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._pictures: dict[tuple[object, ...], NDArray[np.uint8]] = {}

    def measure(self, lines: Sequence[Line], countdown: Countdown) -> None:
        """Every row over its jobs; the findings grow with each."""
        for line in lines:
            tally = self._findings.rows.setdefault(line.row.name, Tally())
            for number in range(line.jobs):
                case = self._case(number, line.row.people)
                key = _key(case, line.row)
                if key not in self._marks:
                    self._marks[key] = self._mark(case, line.row)
                marks = self._marks[key]
                if isinstance(marks, Marks):
                    tally.marks.append(marks)
                else:
                    tally.refused.append(marks)
                if number < SHOWN:
                    shown = self._shown.setdefault((number, line.row.people), {})
                    shown[line.row.name] = self._pictures.get(key)
                countdown.tick(line.row.name)

    def strips(self, people: int) -> list[Strip]:
        """The first jobs with so many people, for the sheet."""
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

    def _mark(self, case: Case, row: Row) -> Marks | Refusal:
        try:
            made = self._play.make(case, row)
        except RequestError as error:
            return self._examiner.refuse(self._play, case, error.code)
        if case.number < SHOWN:
            self._templates[case.number, case.people] = made.template
            self._pictures[_key(case, row)] = made.picture
        return self._examiner.mark(self._play, case, made)


def _key(case: Case, row: Row) -> tuple[object, ...]:
    return (case.number, case.people, row.method, spec_of(case, row).sampling if row.method == "blend" else row.mask)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
