"""`python -m api.cli`: the command `troupe`."""

from __future__ import annotations

from api.cli.app import main

if __name__ == "__main__":
    main()
