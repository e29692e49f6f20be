"""`troupe batch run | status | cancel | delete`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.cli import show
from api.cli.batch_folder import BatchFolder
from api.cli.connection import FAILED, INTERRUPTED, UNAVAILABLE, Consent, client_of, fail
from api.cli.erasing import tell
from api.client import Batch, Client
from shared.errors import InvalidField, TransientError

_Id = Annotated[str, typer.Argument(metavar="BATCH", help="Id of the batch.", show_default=False)]
_AsJson = Annotated[bool, typer.Option("--json", help="The whole batch as JSON.")]
# Changes may come by the hundred a second: nobody reads faster than this.
_LOOK_EVERY_S = 0.5
_SAY_EVERY_S = 10.0
# Pictures are fetched while the batch runs, in larger and larger portions: each time the list of all is read.
_FEWEST_NEW = 20
_MORE_EACH_TIME = 0.25

batch = typer.Typer(no_args_is_help=True, help="Many pictures from a file of lines.")


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    batch.command()(run)
    batch.command()(status)
    batch.command()(cancel)
    batch.command()(delete)
    app.add_typer(batch, name="batch")


def run(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help="One job a line, as POST /v1/jobs takes it, with a custom_id; photos may be paths beside the file.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for the pictures.  [default: FILE without its ending]", show_default=False
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="A name for the batch.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="One bad line refuses them all.")] = False,
    expires_after_s: Annotated[
        int | None,
        typer.Option("--expires-after", min=1, help="Seconds after which no more lines are drawn.", show_default=False),
    ] = None,
    consent: Consent = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for lines that ended without a picture.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what it would cost, and which lines are wrong; photos are not sent or checked."
        ),
    ] = False,
) -> None:
    """Run a file of jobs to its end, and fetch the pictures.

    Interrupted, or the line broke? The batch goes on without you: run the same command again, and it picks it up where
    it stands; nothing is drawn or fetched twice. The folder then holds pictures/, output.jsonl and errors.jsonl.
    """
    if not file.is_file():
        message = f"there is no file {file}"
        raise InvalidField(message)
    folder = BatchFolder(path=out or file.with_suffix(""), source=file, consent=consent)
    options = {"name": name} if name else {}
    options |= {"strict": "true"} if strict else {}
    options |= {"expires_after_s": str(expires_after_s)} if expires_after_s else {}
    with client_of(context) as client:
        if dry_run:
            found = client.dry_run_batch(folder.lines(), unsent_photos="true", **options)
            for one in found.errors:
                why = "; ".join(f"{error.message} ({error.code})" for error in one.errors)
                show.err.print(f"line {one.line}: {why}", markup=False)
            show.print_estimate(found, as_json=False)
            show.out.print(f"{found.lines} lines, {found.invalid} of them wrong", markup=False)
            show.out.print("photos were not sent, and not checked", markup=False)
            return
        made = folder.begin(client, options)
        again = f"batch {made.id} goes on; run the same command again to go on with it"
        try:
            if retry_failed and made.done and made.counts.get("succeeded", 0) < made.lines:
                made = client.retry_batch(made.id)
            done = _follow(client, folder, made)
        except KeyboardInterrupt:
            fail(f"interrupted: {again}", INTERRUPTED)
        except TransientError as error:
            fail(f"{error.message}: {again} ({error.code})", UNAVAILABLE)
    show.out.print(_told(done), markup=False)
    show.out.print(f"pictures  {folder.path / 'pictures'}", markup=False)
    without = done.lines - done.counts.get("succeeded", 0)
    if without:
        show.out.print(f"errors    {folder.path / 'errors.jsonl'} ({without} lines have no picture)", markup=False)
        raise typer.Exit(FAILED)


def status(context: typer.Context, batch_id: _Id, as_json: _AsJson = False) -> None:
    """Show a batch as it is now."""
    with client_of(context) as client:
        _print(client.batch(batch_id), as_json=as_json)


def cancel(context: typer.Context, batch_id: _Id, as_json: _AsJson = False) -> None:
    """Take a batch back; pictures that are there stay."""
    with client_of(context) as client:
        _print(client.cancel_batch(batch_id), as_json=as_json)


def delete(context: typer.Context, batch_id: _Id) -> None:
    """Erase a batch with its jobs and pictures; one that runs stops first."""
    with client_of(context) as client:
        tell(batch_id, gone=client.delete_batch(batch_id))


def _follow(client: Client, folder: BatchFolder, batch: Batch) -> Batch:
    """Shows the batch until it is done, and fetches its pictures meanwhile."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"))
    here, said_s = 0, float("-inf")
    with Progress(*columns, console=show.err, disable=not show.err.is_terminal) as progress:
        line = progress.add_task(batch.status, total=batch.lines, words="")
        while True:
            progress.update(
                line, description=batch.status, total=batch.lines, completed=batch.over, words=_words(batch)
            )
            if not show.err.is_terminal and time.monotonic() - said_s >= _SAY_EVERY_S:
                said_s = time.monotonic()
                show.err.print(f"{batch.status} {batch.over}/{batch.lines} {_words(batch)}".rstrip(), markup=False)
            fresh = batch.counts.get("succeeded", 0) - here
            if batch.done or fresh >= max(_FEWEST_NEW, here * _MORE_EACH_TIME):
                folder.fetch(client, batch)
                here = batch.counts.get("succeeded", 0)
            if batch.done:
                break
            time.sleep(_LOOK_EVERY_S)
            batch = client.batch_change(batch)
    folder.finish(client, batch)
    return batch


def _words(batch: Batch) -> str:
    rate = "" if batch.pictures_per_minute is None else f"{batch.pictures_per_minute:.1f} a minute"
    eta = "" if batch.eta is None else f"done in {_span(batch.eta.seconds)}"
    return ", ".join(word for word in (rate, eta) if word)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _told(batch: Batch) -> str:
    counts = ", ".join(f"{number} {state}" for state, number in batch.counts.items() if number)
    lines = [f"batch     {batch.id}", f"status    {batch.status} {_words(batch)}".rstrip()]
    lines.append(f"lines     {batch.lines}: {counts}" if counts else f"lines     {batch.lines}")
    lines += [f"saved     {batch.stages_saved} stages were made already"] if batch.stages_saved else []
    return "\n".join(lines)


def _print(batch: Batch, *, as_json: bool) -> None:
    if as_json:
        show.out.print_json(batch.model_dump_json())
    else:
        show.out.print(_told(batch), markup=False)
