"""`troupe submit | wait | get | cancel | retry | queue`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import show
from api.cli.connection import FAILED, Consent, client_of
from api.client import Client, Job, scene
from shared.errors import InvalidField
from shared.stages import LAST_STAGE, Stage

_Id = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)]
_AsJson = Annotated[bool, typer.Option("--json", help="The whole job as JSON.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write the picture (PNG) here.", show_default=False),
]
_Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0, help="Seconds to wait at most.", show_default=False)
]


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (submit, wait, get, cancel, retry, queue):
        app.command()(command)


def submit(
    context: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="The scene.", show_default=False)] = None,
    cast: Annotated[
        list[str] | None,
        typer.Option(
            "--cast",
            "-c",
            metavar="PHRASE=PHOTO",
            help="One person: a phrase of the scene, and a photo "
            "(a file or an id). Repeat it for more people, or for more photos of one.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="The whole job as JSON instead; photos may be paths beside it.", show_default=False
        ),
    ] = None,
    sampling: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="A value of the sampling, such as seed=7 or steps=30.",
            show_default=False,
        ),
    ] = None,
    min_identity: Annotated[
        float | None,
        typer.Option(help="A picture falls short when a face in it is less like its person.", show_default=False),
    ] = None,
    max_tries: Annotated[int, typer.Option(help="Pictures to draw at most until one does not fall short.")] = 1,
    until: Annotated[
        Stage,
        typer.Option(help="The job succeeds after this stage: identify checks the photos, detect shows who is where."),
    ] = LAST_STAGE,
    embed_settings: Annotated[
        bool, typer.Option("--embed-settings", help="The picture's PNG says how it was drawn.")
    ] = False,
    lane: Annotated[str, typer.Option(help="interactive, or batch for work that can wait.")] = "interactive",
    consent: Consent = None,
    out: _Out = None,
    wait_for: Annotated[
        bool, typer.Option("--wait", "-w", help="Show the job until it is done; --out does, too.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key", help="Asking again with the same key makes no second job.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost; nothing is kept.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Queue a picture; prints the job's id.

    troupe submit "a man and a woman on the beach" -c "the man=ben.png" -c "the woman=anna.png" -o beach.png
    """
    if (file is None) == (prompt is None):
        raise typer.BadParameter("give either the scene or --file", param_hint="PROMPT")
    if out is not None and until.is_before(Stage.PERSONALIZE):
        raise typer.BadParameter(f"a job until {until.value} has no picture to write", param_hint="--out")
    wishes = {
        "min_identity": min_identity,
        "max_tries": max_tries,
        "until": until.value,
        "embed_settings": embed_settings,
        "lane": lane,
    }
    document = _asked(prompt or "", cast or [], sampling or [], wishes) if file is None else _read(file)
    folder = file.parent if file else None
    with client_of(context) as client:
        if dry_run:
            show.print_estimate(client.dry_run(document, folder=folder, consent=consent), as_json=as_json)
            return
        job = client.submit(document, idempotency_key=key, folder=folder, consent=consent)
        if out is None and not wait_for:
            _print(job, as_json=as_json, short=True)
            return
        show.err.print(f"job {job.id}", markup=False)
        _finish(client, job.id, out, as_json=as_json, timeout_s=None)


def wait(
    context: typer.Context, job: _Id, out: _Out = None, timeout: _Timeout = None, as_json: _AsJson = False
) -> None:
    """Show a job until it is done; exit status 1 unless it succeeded."""
    with client_of(context) as client:
        _finish(client, job, out, as_json=as_json, timeout_s=timeout)


def get(context: typer.Context, job: _Id, out: _Out = None, as_json: _AsJson = False) -> None:
    """Show a job as it is now."""
    with client_of(context) as client:
        _print(client.get(job), as_json=as_json)
        if out is not None:
            out.write_bytes(client.picture(job))


def cancel(context: typer.Context, job: _Id, as_json: _AsJson = False) -> None:
    """Take a job back; a running one stops at its next step."""
    with client_of(context) as client:
        _print(client.cancel(job), as_json=as_json)


def retry(context: typer.Context, job: _Id, as_json: _AsJson = False) -> None:
    """Do a job over that failed, was canceled or expired; prints the new job's id."""
    with client_of(context) as client:
        _print(client.retry(job), as_json=as_json, short=True)


def queue(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="The numbers as JSON.")] = False
) -> None:
    """Show how busy the service is."""
    with client_of(context) as client:
        found = client.queue()
    if as_json:
        show.out.print_json(found.model_dump_json())
        return
    for name, lane in found.lanes.items():
        eta = "" if lane.eta_s is None else f", the last done in about {lane.eta_s:.0f} s"
        words = f"{lane.depth} wait, {lane.running} with workers, {lane.pictures_per_min:.1f} a minute{eta}"
        show.out.print(f"{name:<12}{words}", markup=False)
    backlog = "not known yet" if found.backlog_s is None else f"{found.backlog_s:.0f} s"
    show.out.print(f"{'backlog':<12}{backlog}, of everybody", markup=False)


def _finish(client: Client, job_id: str, out: Path | None, *, as_json: bool, timeout_s: float | None) -> None:
    if timeout_s is None:
        show.follow(client.events(job_id))
    job = client.wait(job_id, timeout_s=timeout_s)
    if out is not None and job.urls.get("picture"):
        out.write_bytes(client.picture(job_id))
    _print(job, as_json=as_json)
    if job.status != "succeeded":
        raise typer.Exit(FAILED)


def _print(job: Job, *, as_json: bool, short: bool = False) -> None:
    if as_json:
        show.out.print_json(job.model_dump_json())
    else:
        show.out.print(job.id if short else show.told(job), markup=False)


def _asked(prompt: str, cast: list[str], sampling: list[str], wishes: Mapping[str, object]) -> dict[str, object]:
    people: dict[str, list[Any]] = {}
    for pair in cast:
        phrase, equals, photo = pair.partition("=")
        if not equals or not phrase or not photo:
            raise typer.BadParameter(f"{pair!r} is not PHRASE=PHOTO", param_hint="--cast")
        people.setdefault(phrase, []).append(photo)
    if not people:
        raise typer.BadParameter("nobody is in the cast: give --cast PHRASE=PHOTO", param_hint="--cast")
    values = {}
    for pair in sampling:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        values[name] = _value(value)
    return scene(prompt, people, **wishes, **({"sampling": values} if values else {}))


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        message = f"{file} is not readable as JSON: {error}"
        raise InvalidField(message) from error
    if not isinstance(document, dict):
        message = f"{file} is not a job: it must be a JSON object"
        raise InvalidField(message)
    return document
