"""`troupe delete | photo delete | tenant delete`: what is erased is gone, with all that only it has."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import show
from api.cli.connection import client_of

_LATER = "goes as soon as nothing of it runs"
_REST = "is gone, and the last of its faces go in a while"

photo = typer.Typer(no_args_is_help=True, help="Photos that are kept.")
tenant = typer.Typer(no_args_is_help=True, help="All that is yours.")


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(delete)
    photo.command("delete")(delete_photo)
    tenant.command("delete")(delete_tenant)
    app.add_typer(photo, name="photo")
    app.add_typer(tenant, name="tenant")


def delete(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)],
) -> None:
    """Erase a job with its pictures; one that runs stops first."""
    with client_of(context) as client:
        tell(job, gone=client.delete(job))


def delete_photo(
    context: typer.Context,
    photo_id: Annotated[str, typer.Argument(metavar="PHOTO", help="Id of the photo.", show_default=False)],
) -> None:
    """Erase a photo and the embeddings of its faces; pictures made with it stay."""
    with client_of(context) as client:
        tell(photo_id, gone=client.delete_photo(photo_id), later=_REST)


def delete_tenant(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the tenant, so that nobody erases all by a slip.", show_default=False
        ),
    ],
) -> None:
    """Erase every job, picture, photo, batch and webhook of the tenant of your key."""
    with client_of(context) as client:
        tell(f"all of {name}", gone=client.delete_tenant(name))


def tell(what: str, *, gone: bool, later: str = _LATER) -> None:
    """Says what became of it."""
    show.out.print(f"{what} {'is gone' if gone else later}", markup=False)
