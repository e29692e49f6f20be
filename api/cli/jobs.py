"""`troupe submit | wait | get | list | picture | events | cancel | retry | delete`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import show
from api.cli.connection import FAILED, AsJson, Consent, Limit, SavedFile, client_of, gather
from api.cli.erasing import print_erased
from api.cli.options import GivenFields, pairs, with_field_options
from api.client import Client, Job, Stage, Status, scene
from api.client.job_operations import Image
from api.client.saving import WholeFile
from shared.errors import InvalidField

_Id = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write the picture (PNG) to this file.", show_default=False),
]
_WITHOUT_PICTURE = (Stage.IDENTIFY, Stage.RENDER, Stage.DETECT)


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(with_field_options(submit))
    app.command("list")(list_)
    for command in (wait, get, picture, events, cancel, retry, delete):
        app.command()(command)


def submit(
    context: typer.Context,
    given: GivenFields,
    prompt: Annotated[str | None, typer.Argument(help="The scene.", show_default=False)] = None,
    cast: Annotated[
        list[str] | None,
        typer.Option(
            "--cast",
            "-c",
            metavar="PHRASE=PHOTO",
            help="A person: a phrase of the scene, and a photo (a file or an id). Repeat it for other people, or for "
            "more photos of the same person.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="The job as JSON, in place of the scene and --cast. Photos may be paths relative to the file; other "
            "options replace its fields.",
            show_default=False,
        ),
    ] = None,
    consent: Consent = None,
    out: _Out = None,
    wait_for: Annotated[
        bool, typer.Option("--wait", "-w", help="Show the job until it is done; --out does so too.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="The same key returns the same job for 24 hours.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the cost; nothing is stored or queued.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue a picture and print the job's id.

    troupe submit "a man and a woman on the beach" -c "the man=ben.png" -c "the woman=anna.png" -o beach.png
    """
    if (file is None) == (prompt is None):
        raise typer.BadParameter("give either the scene or --file", param_hint="PROMPT")
    document = _scene(prompt or "", cast or [], given) if file is None else _from_file(file, given)
    until = document.get("until")
    if out is not None and until in _WITHOUT_PICTURE:
        message = f"a job that ends after {until} has no picture"
        raise typer.BadParameter(message, param_hint="--out")
    folder = file.parent if file else None
    with client_of(context) as client:
        if dry_run:
            estimate = client.dry_run(document, folder=folder, consent=consent)
            show.value(estimate, show.estimate_line(estimate), as_json=as_json)
            return
        job = client.submit(document, idempotency_key=key, folder=folder, consent=consent)
        if out is None and not wait_for:
            show.value(job, job.id, as_json=as_json)
            return
        show.note(f"job {job.id}")
        _finish(client, job.id, out, as_json=as_json, timeout_s=None)


def wait(
    context: typer.Context,
    job: _Id,
    out: _Out = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Largest number of seconds to wait.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a job until it is done. The exit status is 1 unless it succeeds."""
    with client_of(context) as client:
        _finish(client, job, out, as_json=as_json, timeout_s=timeout)


def get(context: typer.Context, job: _Id, out: _Out = None, as_json: AsJson = False) -> None:
    """Show a job as it is now."""
    with client_of(context) as client:
        _print(client.get(job), as_json=as_json)
        if out is not None:
            _write(out, client.picture(job))


def list_(
    context: typer.Context,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this state.", show_default=False)] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List your jobs, the newest first. Jobs of a batch are listed by `batch items`."""
    with client_of(context) as client:

        def page(cursor: str | None, size: int) -> tuple[tuple[Job, ...], str | None]:
            found = client.jobs(status=status, cursor=cursor, limit=size)
            return found.jobs, found.next

        jobs = gather(page, limit)
    show.rows(
        jobs,
        {
            "job": lambda job: job.id,
            "created": lambda job: show.moment(job.created_at),
            "status": show.heading,
            "error": lambda job: job.error.code if job.error else "",
            "prompt": lambda job: job.spec.prompt,
        },
        as_json=as_json,
    )


def picture(
    context: typer.Context,
    job: _Id,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.", show_default=False)],
    image: Annotated[Image, typer.Option(help="Which picture of the job.")] = "picture",
    preview: Annotated[bool, typer.Option("--preview", help="A small JPEG in place of the PNG.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the picture of a job, its template or its masks."""
    with client_of(context) as client:
        _write(out, client.picture(job, image, preview=preview))
    show.value(SavedFile(file=out), str(out), as_json=as_json)


def events(
    context: typer.Context,
    job: _Id,
    previews: Annotated[bool, typer.Option("--previews", help="With addresses of small pictures (in JSON).")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a line for each change of a job until it is done."""
    with client_of(context) as client:
        for state in client.events(job, previews=previews):
            show.text(state.model_dump_json() if as_json else show.state_line(state))


def cancel(context: typer.Context, job: _Id, as_json: AsJson = False) -> None:
    """Cancel a job. A running job stops at its next step."""
    with client_of(context) as client:
        _print(client.cancel(job), as_json=as_json)


def retry(context: typer.Context, job: _Id, as_json: AsJson = False) -> None:
    """Repeat a job that failed, was canceled or expired, and print the new job's id."""
    with client_of(context) as client:
        again = client.retry(job)
    show.value(again, again.id, as_json=as_json)


def delete(context: typer.Context, job: _Id, as_json: AsJson = False) -> None:
    """Erase a job and its pictures. A running job stops first."""
    with client_of(context) as client:
        print_erased(job, gone=client.delete(job), as_json=as_json)


def _finish(client: Client, job_id: str, out: Path | None, *, as_json: bool, timeout_s: float | None) -> None:
    if timeout_s is None:
        show.follow(client.events(job_id))
    job = client.wait(job_id, timeout_s=timeout_s)
    if out is not None and job.urls.get("picture"):
        _write(out, client.picture(job_id))
    _print(job, as_json=as_json)
    if job.status is not Status.SUCCEEDED:
        raise typer.Exit(FAILED)


def _print(job: Job, *, as_json: bool) -> None:
    show.value(job, show.job_lines(job), as_json=as_json)


def _write(path: Path, data: bytes) -> None:
    with WholeFile(path) as file:
        file.write(data)


def _scene(prompt: str, cast: list[str], given: GivenFields) -> dict[str, object]:
    people: dict[str, dict[str, object]] = {}
    photos: dict[str, list[str]] = {}
    for phrase, photo in pairs(cast, "--cast"):
        photos.setdefault(phrase, []).append(photo)
    if not photos:
        raise typer.BadParameter("give at least one person: --cast PHRASE=PHOTO", param_hint="--cast")
    unknown = sorted(given.people.keys() - photos.keys())
    if unknown:
        message = f"no --cast has the phrase {unknown[0]!r}"
        raise typer.BadParameter(message, param_hint="--cast")
    people = {phrase: {"photos": files, **given.people.get(phrase, {})} for phrase, files in photos.items()}
    return scene(prompt, people, **given.job)


def _from_file(file: Path, given: GivenFields) -> dict[str, object]:
    if given.people:
        raise typer.BadParameter("people are described in the file", param_hint="--file")
    try:
        document: Any = json.loads(file.read_bytes())
    except ValueError as error:
        message = f"{file} is not readable as JSON: {error}"
        raise InvalidField(message) from error
    if not isinstance(document, dict):
        message = f"{file} is not a job: it must contain a JSON object"
        raise InvalidField(message)
    merged = {**document, **given.job}
    if isinstance(document.get("sampling"), dict) and "sampling" in given.job:
        merged["sampling"] = {**document["sampling"], **dict[str, Any](given.job["sampling"])}  # type: ignore[call-overload]
    return merged
