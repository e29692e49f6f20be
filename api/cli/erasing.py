"""What the commands that erase print, and `troupe tenant delete`."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import BaseModel

from api.cli import show
from api.cli.connection import AsJson, client_of

_LATER = "is erased as soon as none of its jobs runs"


class Erased(BaseModel):
    """What became of a request to erase. erased: False while something of it still runs."""

    subject: str
    erased: bool


def add(app: typer.Typer) -> None:
    """Adds the command."""
    tenant = typer.Typer(no_args_is_help=True, help="Everything that belongs to your tenant.")
    tenant.command("delete")(delete_tenant)
    app.add_typer(tenant, name="tenant")


def delete_tenant(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the tenant of your key, as a confirmation.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Erase every job, picture, photo, batch and webhook of your tenant."""
    with client_of(context) as client:
        print_erased(f"everything of {name}", gone=client.delete_tenant(name), as_json=as_json)


def print_erased(what: str, *, gone: bool, as_json: bool, later: str = _LATER) -> None:
    """Prints whether it is gone already."""
    show.value(Erased(subject=what, erased=gone), f"{what} {'is gone' if gone else later}", as_json=as_json)
