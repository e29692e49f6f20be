"""Pages of other origins may use the API from a browser, if the operator names these origins (the Fetch standard)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Request headers that a browser does not send to another origin unasked.
_ALLOWED = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer")
# Response headers that a page of another origin may read.
_EXPOSED = (
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
)
_PREFLIGHT_S = 600


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The app, whose answers these origins may read, errors included. Keys are sent in a header, never as a cookie."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=_ALLOWED,
        expose_headers=_EXPOSED,
        max_age=_PREFLIGHT_S,
    )
