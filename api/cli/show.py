"""Output: plain lines and whole tables for people, JSON for programs. Only progress bars need a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from api.client import Batch, Estimate, Job, JobState

Row = TypeVar("Row", bound=BaseModel)

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_GAP = "  "


def text(words: str) -> None:
    """Prints the result as it is."""
    out.print(words, markup=False)


def note(words: str) -> None:
    """Prints something beside the result, so that a pipe does not get it."""
    err.print(words, markup=False)


def value(found: BaseModel, words: str, *, as_json: bool) -> None:
    """Prints a value in words, or as JSON."""
    if as_json:
        out.print_json(found.model_dump_json())
    else:
        text(words)


def rows(found: Sequence[Row], columns: Mapping[str, Callable[[Row], str]], *, as_json: bool) -> None:
    """Prints a table with a heading, or one line of JSON for each row. columns: heading to the text of a cell."""
    if as_json:
        for row in found:
            text(json.dumps(row.model_dump(mode="json")))
        return
    for line in table([list(columns), *([cell(row) for cell in columns.values()] for row in found)]):
        text(line)


def table(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines whose columns are aligned. No cell is cut."""
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        yield _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def moment(at: datetime | None) -> str:
    """A time as the clock of this machine shows it; empty for None."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def follow(states: Iterable[JobState]) -> None:
    """Shows a job's states as they come: a progress bar on a terminal, a line for each change elsewhere."""
    last = ""
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        line = progress.add_task("", total=1.0, words="")
        for state in states:
            if not err.is_terminal and last != heading(state):
                note(state_line(state))
            last = heading(state)
            progress.update(line, description=last, completed=state.progress.fraction, words=_detail(state))


def state_line(state: JobState) -> str:
    """A job's state in one line."""
    return f"{heading(state)} {_detail(state)}".rstrip()


def job_lines(job: Job) -> str:
    """A job in a few lines."""
    lines = [f"job       {job.id}", f"status    {state_line(job)}"]
    lines += [f"error     {job.error.message} ({job.error.code})"] if job.error else []
    lines += [f"warning   {warning}" for warning in job.warnings]
    lines += _unusual_photos(job)
    lines += [
        f"region    {one.phrase}: {', '.join(f'{side:g}' for side in one.box_px)} ({one.score:.2f})"
        for one in job.regions
    ]
    if job.verification is not None and job.verification.min_identity is not None:
        tries = "1 try" if len(job.tries) == 1 else f"{len(job.tries)} tries"
        lines.append(f"identity  {job.verification.min_identity:.2f} or more for each face, after {tries}")
    seconds = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in job.timings.items())
    lines += [f"stages    {seconds}"] if seconds else []
    lines.append(f"prompt    {job.spec.prompt}")
    return "\n".join(lines)


def batch_lines(batch: Batch) -> str:
    """A batch in a few lines."""
    counts = ", ".join(f"{number} {state}" for state, number in batch.counts.items() if number)
    lines = [f"batch     {batch.id}", f"status    {batch.status} {batch_pace(batch)}".rstrip()]
    lines.append(f"lines     {batch.lines}: {counts}" if counts else f"lines     {batch.lines}")
    lines += [f"reused    {batch.stages_saved} stages"] if batch.stages_saved else []
    return "\n".join(lines)


def batch_pace(batch: Batch) -> str:
    """How fast a batch goes, and when it will be done."""
    pace = "" if batch.pictures_per_minute is None else f"{batch.pictures_per_minute:.1f} pictures/min"
    eta = "" if batch.eta is None else f"done in {span(batch.eta.seconds)}"
    return ", ".join(word for word in (pace, eta) if word)


def estimate_line(estimate: Estimate) -> str:
    """The cost of something in one line."""
    eta = "" if estimate.eta_s is None else f", done in about {estimate.eta_s:.0f} s"
    return f"{estimate.units:g} units in the lane {estimate.lane}{eta}"


def span(seconds: float) -> str:
    """A duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def heading(state: JobState) -> str:
    """The stage of a running job; the status of any other."""
    return state.stage or state.status.value if state.status == "running" else state.status.value


def _unusual_photos(job: Job) -> Iterator[str]:
    for concept, photos in enumerate(job.faces, 1):
        for number, photo in enumerate(photos, 1):
            if photo.found != 1:
                yield f"faces     photo {number} of concept {concept} shows {photo.found or 'no'} faces"


def _detail(state: JobState) -> str:
    if state.queue is not None:
        eta = "" if state.queue.eta_s is None else f", done in about {state.queue.eta_s:.0f} s"
        return f"{state.queue.position} jobs ahead{eta}"
    if state.status == "running" and state.progress.steps:
        return f"{state.progress.step}/{state.progress.steps}"
    return ""
