"""The API goes and comes back while jobs run: workers do not notice, and people find their jobs as they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from shared.stages import Stage
from tests.faults.conftest import SharedWorkers
from tests.support.api_server import api_server, png_bytes


def test_jobs_go_on_while_the_api_is_away(shared_workers: SharedWorkers, tmp_path: Path) -> None:
    harness = shared_workers.harness
    with api_server(harness.settings, tmp_path / "api") as api, api.client() as person:
        photo = person.post("/v1/photos", files={"photo": ("one.png", png_bytes(), "image/png")}).json()["id"]
        people = [{"phrase": phrase, "photos": [photo]} for phrase in ("the man", "the woman")]
        spec = {"concepts": people, "sampling": {"width_px": 128, "height_px": 128}}
        running = person.post("/v1/jobs", json={**spec, "prompt": "render=wait"}).json()["id"]
        queued = person.post("/v1/jobs", json={**spec, "prompt": "nothing special"}).json()["id"]
        harness.wait_for_run(running, Stage.RENDER)
        os.killpg(api.running.pid, signal.SIGKILL)
        harness.unblock(running)
        harness.wait_until_done(running)
    with api_server(harness.settings, tmp_path / "api again") as api, api.client() as person:
        for job_id in (running, queued):
            harness.check_one_picture(job_id)
            body = person.get(f"/v1/jobs/{job_id}").json()
            assert (body["status"], body["done"]) == ("succeeded", True)
            picture = person.get(f"/v1/jobs/{job_id}/picture", follow_redirects=True)
            assert picture.content == f"the picture of {job_id}".encode()
