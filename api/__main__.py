"""`python -m api`: the API on uvicorn, at the host and port of the settings."""

from __future__ import annotations

import uvicorn

from api.app import create_app
from shared.log import configure
from shared.settings import Settings


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = Settings()
    configure(settings.log_level, room="api")
    uvicorn.run(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        # A line a request costs about a tenth of its time, and the proxy in front writes one anyway.
        access_log=False,
        server_header=False,
        # Long-polls are cut when the process goes away: whoever waits asks again.
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
