"""The peer of the API benchmark: the least FastAPI app that makes the same Redis calls, and nothing else.

It checks nothing and answers what Redis says. Run by the benchmark as `python -m tests.benchmarks.bare_api PORT`.
"""

from __future__ import annotations

import json
import secrets
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import connect_async
from shared.store.tenants.audit import NO_KEY, recorded_by


def create_app(settings: Settings) -> FastAPI:
    """Two routes, as one would write them on the first day."""
    app = FastAPI()
    redis: Any = connect_async(settings)
    prefix = settings.key_prefix
    submit_script = scripts.Script(redis, prefix, "jobs/submit")
    place_script = scripts.Script(redis, prefix, "queue/position")

    @app.post("/v1/jobs", status_code=202)
    async def submit(spec: dict[str, Any]) -> dict[str, Any]:
        photos = [photo for concept in spec["concepts"] for photo in concept["photos"]]
        await redis.mget([keys.photo_key(prefix, "default", photo) for photo in photos])
        job_id = secrets.token_hex(16)
        made = await submit_script(
            id=job_id,
            lane="interactive",
            tenant="default",
            units=1_000_000,
            spec=json.dumps(spec),
            requests=None,
            pixels=16384,
            by=recorded_by(NO_KEY, settings),
            fields=("due", "identify", "until", "verify"),
        )
        return {"id": job_id, "status": "queued", "made": made}

    @app.get("/v1/jobs/{job_id}")
    async def look(job_id: str) -> dict[str, Any]:
        fields: dict[str, Any] = await redis.hgetall(keys.job_key(prefix, job_id))
        if "ended" not in fields:
            fields["place"] = await place_script(id=job_id)
        return fields

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    return app


if __name__ == "__main__":
    # The same server, with the same options, as api/__main__.py.
    uvicorn.run(
        create_app(Settings()),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        server_header=False,
    )
