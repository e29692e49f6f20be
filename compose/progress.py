"""The progress of a job as text: one moving line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from shared.stages import Stage

_ACTIVITIES = {stage.value: stage.info.activity for stage in Stage}
_BAR = 24
_PLAIN_EVERY = 0.25


class ProgressLines:
    """Writes the changes between one state of a job and the next."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._moves = out.isatty()
        self._told: set[str] = set()
        self._fraction = -1.0
        self._stage: str | None = None

    def show(self, job: Mapping[str, Any]) -> None:
        """Shows one response of the API."""
        for stage, seconds in job["timings"].items():
            if stage not in self._told:
                self._told.add(stage)
                self._line(f"{stage:<12} {'done':<{_BAR + 10}} {seconds:6.2f} s", last=True)
        if job["status"] == "queued":
            place = job["queue"]["position"] if job["queue"] else 0
            self._move("queued", f"{place} jobs ahead" if place else "next", 0.0)
        elif job["status"] == "running" and job["stage"] not in self._told:
            progress = job["progress"]
            self._move(job["stage"], f"{progress['step']}/{progress['steps']}", progress["fraction"])

    def _move(self, stage: str, words: str, fraction: float) -> None:
        if self._moves:
            filled = round(fraction * _BAR)
            self._line(f"{stage:<12} {'█' * filled}{'·' * (_BAR - filled)} {words}", last=False)
        elif stage != self._stage:
            self._line(f"{stage:<12} {_ACTIVITIES.get(stage, words)}", last=True)
            self._fraction = 0.0
        elif fraction - self._fraction >= _PLAIN_EVERY:
            self._line(f"{stage:<12} step {words}", last=True)
            self._fraction = fraction
        self._stage = stage

    def _line(self, text: str, *, last: bool) -> None:
        # Erases the moving line first (ECMA-48, "erase in line").
        start = "\r\x1b[2K" if self._moves else ""
        self._out.write(f"{start}  {text}" + ("\n" if last else ""))
        self._out.flush()
