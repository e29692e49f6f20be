"""The command `troupe`: the Python client in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from api.cli import batches, erasing, jobs, photos, service, top, webhooks
from api.cli.connection import Connection, one_line_failures
from api.client import __version__
from api.client.connection import URL

_HELP = """Put several real people into one generated picture.

Exit status: 0 success, 1 refused or failed, 2 wrong usage, 3 no answer from the server, 4 timeout, 130 interrupted.
"""


def make_app(find_url: Callable[[], str] = lambda: URL) -> typer.Typer:
    """The command with all that a client can do. find_url: the server's address where no option names one."""
    app = typer.Typer(
        name="troupe",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Plain text, also in a pipe.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        help=_HELP,
    )

    @app.callback()
    def troupe(
        context: typer.Context,
        url: Annotated[
            str | None,
            typer.Option(envvar="TROUPE_URL", help=f"Address of the server.  [default: {URL}]", show_default=False),
        ] = None,
        key: Annotated[
            str | None,
            typer.Option(envvar="TROUPE_KEY", help="API key, if the server requires one.", show_default=False),
        ] = None,
        _version: Annotated[
            bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
        ] = False,
    ) -> None:
        context.obj = Connection(url=url or find_url(), key=key, is_named=url is not None)

    for part in (jobs, batches, photos, webhooks, service, top, erasing):
        part.add(app)
    return app


def main(app: typer.Typer | None = None, words: Sequence[str] | None = None) -> None:
    """Runs the command and ends the process. words: its arguments; those of the process by default."""
    with one_line_failures():
        (app or make_app())(args=words, prog_name="troupe")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"troupe {__version__}")
        raise typer.Exit
