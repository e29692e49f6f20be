"""`troupe batch run | list | status | items | events | download | retry | cancel | delete`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.cli import show
from api.cli.batch_folder import BatchFolder, BatchOptions
from api.cli.connection import (
    FAILED,
    INTERRUPTED,
    UNAVAILABLE,
    AsJson,
    Consent,
    Limit,
    SavedFile,
    client_of,
    fail,
    gather,
)
from api.cli.erasing import print_erased
from api.client import Batch, Client, Item
from api.client.batch_operations import BatchFile
from shared.errors import InvalidField, TransientError

_Id = Annotated[str, typer.Argument(metavar="BATCH", help="Id of the batch.", show_default=False)]
# A batch may change a hundred times a second, which nobody can read.
_LOOK_EVERY_S = 0.5
_NOTE_EVERY_S = 10.0
# Pictures are fetched while the batch runs, each time more of them, because each time the list of all is read.
_FEWEST_NEW = 20
_MORE_EACH_TIME = 0.25


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    batch = typer.Typer(no_args_is_help=True, help="Many pictures from a file of jobs.")
    batch.command()(run)
    batch.command("list")(list_)
    for command in (status, items, events, download, retry, cancel, delete):
        batch.command()(command)
    app.add_typer(batch, name="batch")


def run(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help="One job in each line (JSON), with a custom_id. Photos may be paths relative to the file.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for the pictures.  [default: FILE without its suffix]", show_default=False
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="A name for the batch.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="One invalid line refuses the whole batch.")] = False,
    expires_after_s: Annotated[
        int | None,
        typer.Option("--expires-after", min=1, help="Seconds after which waiting lines expire.", show_default=False),
    ] = None,
    consent: Consent = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run lines again that ended without a picture.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cost and the invalid lines. Photos are neither sent nor checked."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a file of jobs to its end and fetch the pictures.

    After Ctrl-C or a lost connection the batch goes on. Run the same command again to follow it; nothing is drawn or
    fetched twice. At the end the folder contains pictures/, output.jsonl and errors.jsonl.
    """
    if not file.is_file():
        message = f"there is no file {file}"
        raise InvalidField(message)
    options = BatchOptions(name=name or None, strict=strict, expires_after_s=expires_after_s)
    folder = BatchFolder(path=out or file.with_suffix(""), source=file, options=options, consent=consent)
    with client_of(context) as client:
        if dry_run:
            _estimate(client, folder, as_json=as_json)
            return
        made = folder.begin(client)
        again = f"batch {made.id} goes on; run the same command again to follow it"
        try:
            if retry_failed and made.done and made.counts.get("succeeded", 0) < made.lines:
                made = client.retry_batch(made.id)
            done = _follow(client, folder, made)
        except KeyboardInterrupt:
            fail(f"interrupted: {again}", INTERRUPTED)
        except TransientError as error:
            fail(f"{error.message}: {again} ({error.code})", UNAVAILABLE)
    without = done.lines - done.counts.get("succeeded", 0)
    lines = [show.batch_lines(done), f"pictures  {folder.path / 'pictures'}"]
    lines += [f"errors    {folder.path / 'errors.jsonl'} ({without} lines have no picture)"] if without else []
    show.value(done, "\n".join(lines), as_json=as_json)
    if without:
        raise typer.Exit(FAILED)


def list_(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List your batches, the newest first."""
    with client_of(context) as client:

        def page(cursor: str | None, size: int) -> tuple[tuple[Batch, ...], str | None]:
            found = client.batches(cursor=cursor, limit=size)
            return found.batches, found.next

        batches = gather(page, limit)
    show.rows(
        batches,
        {
            "batch": lambda one: one.id,
            "status": lambda one: one.status,
            "lines": lambda one: str(one.lines),
            "pictures": lambda one: str(one.counts.get("succeeded", 0)),
            "name": lambda one: one.name,
        },
        as_json=as_json,
    )


def status(context: typer.Context, batch_id: _Id, as_json: AsJson = False) -> None:
    """Show a batch as it is now."""
    with client_of(context) as client:
        _print(client.batch(batch_id), as_json=as_json)


def items(
    context: typer.Context,
    batch_id: _Id,
    state: Annotated[
        str | None, typer.Option("--status", help="Only lines in this state, such as failed.", show_default=False)
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the lines of a batch: those that ended, those that run, those that wait."""
    with client_of(context) as client:

        def page(cursor: str | None, size: int) -> tuple[tuple[Item, ...], str | None]:
            found = client.batch_items(batch_id, status=state, cursor=cursor, limit=size)
            return found.items, found.next

        lines = gather(page, limit)
    show.rows(
        lines,
        {
            "line": lambda one: str(one.line),
            "custom_id": lambda one: one.custom_id or "",
            "status": lambda one: one.status,
            "job": lambda one: one.job or "",
            "error": lambda one: "; ".join(f"{error.message} ({error.code})" for error in one.errors),
        },
        as_json=as_json,
    )


def events(context: typer.Context, batch_id: _Id, as_json: AsJson = False) -> None:
    """Print a line for each change of a batch until it is done."""
    with client_of(context) as client:
        for found in client.batch_events(batch_id):
            show.text(found.model_dump_json() if as_json else _progress_line(found))


def download(
    context: typer.Context,
    batch_id: _Id,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.", show_default=False)],
    file: Annotated[
        BatchFile, typer.Option(help="zip: the pictures; output, errors, manifest: the lines as JSONL.")
    ] = "zip",
    as_json: AsJson = False,
) -> None:
    """Download a file of a batch as it is now."""
    with client_of(context) as client:
        client.save_batch_file(batch_id, file, out)
    show.value(SavedFile(file=out), str(out), as_json=as_json)


def retry(context: typer.Context, batch_id: _Id, as_json: AsJson = False) -> None:
    """Run the lines of a batch again that ended without a picture."""
    with client_of(context) as client:
        _print(client.retry_batch(batch_id), as_json=as_json)


def cancel(context: typer.Context, batch_id: _Id, as_json: AsJson = False) -> None:
    """Cancel a batch. Pictures that exist already stay."""
    with client_of(context) as client:
        _print(client.cancel_batch(batch_id), as_json=as_json)


def delete(context: typer.Context, batch_id: _Id, as_json: AsJson = False) -> None:
    """Erase a batch, its jobs and its pictures. A running batch stops first."""
    with client_of(context) as client:
        print_erased(batch_id, gone=client.delete_batch(batch_id), as_json=as_json)


def _estimate(client: Client, folder: BatchFolder, *, as_json: bool) -> None:
    found = folder.dry_run(client)
    for one in found.errors:
        why = "; ".join(f"{error.message} ({error.code})" for error in one.errors)
        show.note(f"line {one.line}: {why}")
    words = f"{show.estimate_line(found)}\n{found.lines} lines, {found.invalid} of them invalid"
    show.value(found, f"{words}\nphotos were neither sent nor checked", as_json=as_json)


def _follow(client: Client, folder: BatchFolder, batch: Batch) -> Batch:
    """Shows the batch until it is done and fetches its pictures meanwhile."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"))
    here, noted_s = 0, float("-inf")
    with Progress(*columns, console=show.err, disable=not show.err.is_terminal) as progress:
        line = progress.add_task(batch.status, total=batch.lines, words="")
        while True:
            progress.update(
                line, description=batch.status, total=batch.lines, completed=batch.over, words=show.batch_pace(batch)
            )
            if not show.err.is_terminal and time.monotonic() - noted_s >= _NOTE_EVERY_S:
                noted_s = time.monotonic()
                show.note(_progress_line(batch))
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


def _progress_line(batch: Batch) -> str:
    return f"{batch.status} {batch.over}/{batch.lines} {show.batch_pace(batch)}".rstrip()


def _print(batch: Batch, *, as_json: bool) -> None:
    show.value(batch, show.batch_lines(batch), as_json=as_json)
