"""Counts and latencies of HTTP responses. Every request passes here: a dictionary and a list, no library.

A request with `wait` is counted without its duration, which the caller chose.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Awaitable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# A method that a caller invents must not become a label.
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
_OTHER, _NOWHERE = "other", "none"
_GONE = 499


class Requests(Collector):
    """Counts of responses by route, method and status, and the seconds until their headers."""

    def __init__(self) -> None:
        # By (route, method, status): responses in each bucket and above the last, responses that waited, seconds.
        self._found: dict[tuple[str, str, int], list[float]] = {}

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts one response. Call it only from the event loop."""
        route = scope.get("route")
        key = (route.path if route is not None else _NOWHERE, scope["method"], status)
        counts = self._found.get(key)
        if counts is None:
            if key[1] not in _METHODS:
                key = (key[0], _OTHER, status)
            counts = self._found.setdefault(key, [0] * (len(_BOUNDS_S) + 3))
        if "waits" in scope:
            counts[-2] += 1
        else:
            counts[bisect_left(_BOUNDS_S, seconds)] += 1
            counts[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        """Both metric families."""
        answers = CounterMetricFamily(
            "troupe_http_requests", "HTTP requests with a response", labels=["route", "method", "status"]
        )
        times = HistogramMetricFamily(
            "troupe_http_request_seconds", "Seconds until the response headers", labels=["route", "method"]
        )
        by_route: dict[tuple[str, str], list[float]] = {}
        for (route, method, status), counts in sorted(self._found.items()):
            answers.add_metric([route, method, str(status)], sum(counts[:-1]))
            all_of_it = by_route.setdefault((route, method), [0] * len(counts))
            for place, count in enumerate(counts):
                all_of_it[place] += count
        for (route, method), counts in by_route.items():
            names = [*(str(bound) for bound in _BOUNDS_S), "+Inf"]
            buckets = list(zip(names, accumulate(counts[:-2]), strict=True))
            times.add_metric([route, method], buckets=buckets, sum_value=counts[-1])
        yield answers
        yield times


class MetricsMiddleware:
    """Counts every response. The outermost middleware, so that it sees responses to bugs too."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request. Not a coroutine, which would cost 1 % of the time of a request."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        started_s = time.perf_counter()

        def send_counted(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._requests.note(scope, message["status"], time.perf_counter() - started_s)
            return send(message)

        return self._app(scope, receive, send_counted)
