"""`./run troupe`: the command line with `keys`, on the stack that `./run up` started, whichever ports it found."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from api.cli import keys
from api.cli.app import main, make_app
from api.client.connection import URL
from compose.direct import without_proxy
from compose.local import FOLDER, addresses, settings_here


def url_here(folder: Path = FOLDER) -> str:
    """Address of the stack of this machine; the usual one if none runs, for a stack in containers."""
    stack = addresses(folder)
    if stack is None:
        return URL
    # The stack may listen on an address of this machine that is not loopback.
    os.environ.update(without_proxy(os.environ, httpx.URL(stack["api"]).host))
    return stack["api"]


if __name__ == "__main__":
    app = make_app(url_here)
    keys.add(app, settings_here)
    main(app)
