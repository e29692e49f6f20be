"""`troupe keys`: the command of api/auth/commands.py, where the server's libraries are installed."""

from __future__ import annotations

import sys

import typer

from api.cli.connection import FAILED, fail

_ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True}


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(context_settings=_ANYTHING, add_help_option=False)(keys)


def keys(context: typer.Context) -> None:
    """Make, list, disable and rotate API keys, beside the server: needs its Redis (TROUPE_REDIS_URL)."""
    try:
        # Whoever only talks to a server has none of what this needs.
        from api.auth.commands import main  # noqa: PLC0415
    except ModuleNotFoundError as error:
        fail(f"keys are made beside the server: {error.name} is not installed here", FAILED)
    sys.exit(main(context.args))
