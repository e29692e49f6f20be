"""`troupe photo upload | get | delete`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from api.cli import show
from api.cli.connection import AsJson, Consent, client_of
from api.cli.erasing import print_erased
from api.client.saving import WholeFile

_Id = Annotated[str, typer.Argument(metavar="PHOTO", help="Id of the photo.", show_default=False)]
_REST = "is gone, and the embeddings of its faces are erased within minutes"


class UploadedPhoto(BaseModel):
    """A photo that the server has. id: sha256 of the file."""

    id: str
    file: Path


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    photo = typer.Typer(no_args_is_help=True, help="Photos on the server.")
    for command in (upload, get, delete):
        photo.command()(command)
    app.add_typer(photo, name="photo")


def upload(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Photos to send.", show_default=False)],
    consent: Consent = None,
    direct: Annotated[bool, typer.Option("--direct", help="Send them to the S3 server, past the API.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send photos and print their ids, which jobs may name in place of files."""
    with client_of(context) as client:
        sent = [UploadedPhoto(id=client.upload(file, consent=consent, direct=direct), file=file) for file in files]
    show.rows(sent, {"photo": lambda one: one.id, "file": lambda one: str(one.file)}, as_json=as_json)


def get(
    context: typer.Context,
    photo_id: _Id,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the photo (PNG) to this file.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the consent that a photo was sent with."""
    with client_of(context) as client:
        record = client.photo_record(photo_id)
        if out is not None:
            with WholeFile(out) as file:
                file.write(client.photo(photo_id))
    show.value(record, f"photo     {record.id}\nconsent   {record.consent or 'none'}", as_json=as_json)


def delete(context: typer.Context, photo_id: _Id, as_json: AsJson = False) -> None:
    """Erase a photo and the embeddings of its faces. Pictures made with it stay."""
    with client_of(context) as client:
        print_erased(photo_id, gone=client.delete_photo(photo_id), as_json=as_json, later=_REST)
