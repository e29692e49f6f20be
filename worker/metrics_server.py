"""`/metrics` of a worker: a small server in the parent, of what parent and pool child count together.

Both count in files of one folder, prometheus-client's way for several processes: what a child counted is still there
when it was killed.
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
    """Serves nothing until it is opened, and never without a port in the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = ExitStack()

    def open(self, *, with_child: bool) -> None:
        """Serves from now on. Before the first thing is counted, and before a child is started.

        A port that is taken is no reason not to work: it is told in the log.
        """
        settings = self._settings
        if not settings.metrics or not settings.metrics_port:
            return
        folder = None
        if with_child:
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
        """Ends the server; what was counted is gone."""
        self._open.close()
