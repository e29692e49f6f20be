"""Where each subject of the API begins."""

from __future__ import annotations

JOBS = "/v1/jobs"
BATCHES = "/v1/batches"
PHOTOS = "/v1/photos"
WEBHOOKS = "/v1/webhooks"
