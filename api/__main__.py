"""`python -m api`: serves the API with uvicorn, on the host and port of the settings."""

from __future__ import annotations

import asyncio
import sys
from socket import socket

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from shared.environment import EXIT_CONFIG
from shared.settings import Settings
from shared.startup import Startup
from shared.telemetry.log import configure

_NOT_STARTED = 3


class _Server(uvicorn.Server):
    """uvicorn waits for open requests before it tells the app to stop; waiting requests are ended before."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Ends streams and long polls, then everything else."""
        context = self._app.state.context
        await asyncio.gather(context.live.stop(), context.jobs.stop())
        await super().shutdown(sockets)


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = Settings.read_or_exit()
    configure(settings.log_level, service="api")
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        # An access log costs about a tenth of the time of a request, and the reverse proxy writes one.
        access_log=False,
        server_header=False,
        # A balancer that sends a request on a connection which is being closed answers 502 itself.
        timeout_keep_alive=settings.keep_alive_s,
        # Whose headers count is api.http.proxies' to say.
        proxy_headers=False,
        # Whatever does not end by then is cut when the process goes away: their clients retry.
        timeout_graceful_shutdown=3,
    )
    server = _Server(app, config)

    def end() -> None:
        server.should_exit = True

    startup: Startup = app.state.startup
    startup.begin(end)
    server.run()
    if startup.failed:
        sys.exit(EXIT_CONFIG)
    if not server.started:
        # uvicorn has logged the reason. The status is that of its own command.
        sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    main()
