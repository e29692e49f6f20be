"""Jobs for people: a moving line while one works, a few plain lines everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from api.client import Estimate, Job, JobState

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def follow(states: Iterable[JobState]) -> JobState | None:
    """Shows a job's states as they come; gives the last one."""
    last: JobState | None = None
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        line = progress.add_task("", total=1.0, words="")
        for state in states:
            if not err.is_terminal and (last is None or _head(last) != _head(state)):
                err.print(f"{_head(state)} {_words(state)}".rstrip(), markup=False)
            last = state
            progress.update(line, description=_head(state), completed=state.progress.fraction, words=_words(state))
    return last


def told(job: Job) -> str:
    """A job in a few lines."""
    lines = [f"job       {job.id}", f"status    {_head(job)} {_words(job)}".rstrip()]
    lines += [f"error     {job.error.message} ({job.error.code})"] if job.error else []
    lines += [f"warning   {warning}" for warning in job.warnings]
    lines += _photos(job)
    lines += [
        f"region    {one.phrase}: {', '.join(f'{side:g}' for side in one.box_px)} ({one.score:.2f})"
        for one in job.regions
    ]
    if job.verification is not None and job.verification.min_identity is not None:
        lines.append(f"identity  {job.verification.min_identity:.2f} at least, in {len(job.tries)} tries")
    seconds = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in job.timings.items())
    lines += [f"stages    {seconds}"] if seconds else []
    lines.append(f"prompt    {job.spec.get('prompt', '')}")
    return "\n".join(lines)


def print_estimate(estimate: Estimate, *, as_json: bool) -> None:
    """What something would cost."""
    if as_json:
        out.print_json(estimate.model_dump_json())
        return
    eta = "" if estimate.eta_s is None else f", done in about {estimate.eta_s:.0f} s"
    out.print(f"{estimate.units:g} units in the lane {estimate.lane}{eta}", markup=False)


def _photos(job: Job) -> Iterator[str]:
    """What is unusual about the photos."""
    for concept, own in enumerate(job.faces, 1):
        for number, photo in enumerate(own, 1):
            if photo.found != 1:
                yield f"faces     photo {number} of concept {concept} shows {photo.found or 'no'} faces"


def _head(state: JobState) -> str:
    return state.stage or state.status.value if state.status == "running" else state.status.value


def _words(state: JobState) -> str:
    if state.queue is not None:
        eta = "" if state.queue.eta_s is None else f", done in about {state.queue.eta_s:.0f} s"
        return f"{state.queue.position} before it{eta}"
    if state.status == "running" and state.progress.steps:
        return f"{state.progress.step}/{state.progress.steps}"
    return ""
