"""The command `troupe`: jobs and batches from a terminal, over the Python client."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import audit, batches, erasing, jobs, keys, top
from api.cli.connection import Connection, failures_told

app = typer.Typer(
    name="troupe",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Several real people in one generated picture.\n\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 the server does not answer, 4 time is over, "
    "130 interrupted.",
)


@app.callback()
def troupe(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="TROUPE_URL", help="Address of the API.")] = "http://127.0.0.1:8000",
    key: Annotated[
        str | None,
        typer.Option(envvar="TROUPE_KEY", help="API key, where the server asks for one.", show_default=False),
    ] = None,
) -> None:
    """Notes where to ask."""
    context.obj = Connection(url=url, key=key)


jobs.add(app)
batches.add(app)
erasing.add(app)
audit.add(app)
top.add(app)
keys.add(app)


def main() -> None:
    """Runs the command and ends the process."""
    with failures_told():
        app(prog_name="troupe")
