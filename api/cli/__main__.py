"""`python -m api.cli`: the command `troupe` next to the server, with `troupe keys` for the operator."""

from __future__ import annotations

from api.cli import keys
from api.cli.app import main, make_app
from shared.settings import Settings

if __name__ == "__main__":
    operator = make_app()
    keys.add(operator, Settings.read_or_exit)
    main(operator)
