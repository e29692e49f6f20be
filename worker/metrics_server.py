"""`/metrics` of a worker: a small server in the supervisor, with the counts of supervisor and executor.

Both count in files of one folder, as prometheus-client does for several processes, so the counts of a killed executor
remain.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack

from shared.settings import Settings
from shared.telemetry.log import get_logger

log = get_logger(__name__)


class MetricsEndpoint:
    """Serves `/metrics` after `open`, if the settings have a port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = ExitStack()

    def open(self, *, with_executor: bool) -> None:
        """Starts the server. Call it before the first count and before the executor starts.

        A worker whose port is already in use works without metrics and logs an error.
        """
        settings = self._settings
        if not settings.metrics or not settings.metrics_port:
            return
        folder = None
        if with_executor:
            folder = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="troupe-metrics-")
            self._open.callback(shutil.rmtree, folder, ignore_errors=True)
        from prometheus_client import REGISTRY, CollectorRegistry, start_http_server  # noqa: PLC0415 - reads that
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = REGISTRY
        if folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        try:
            server, thread = start_http_server(settings.metrics_port, settings.metrics_host, registry)
        except OSError as error:
            log.error("metrics_not_served", port=settings.metrics_port, error=str(error))  # noqa: TRY400
            return
        for end in (thread.join, server.server_close, server.shutdown):
            self._open.callback(end)

    def close(self) -> None:
        """Stops the server and drops the counts."""
        self._open.close()
