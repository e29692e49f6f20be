"""Jobs that end early, over HTTP: which pictures they have, what they cost, and what they found."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from shared.stages import Stage
from tests.support.api_server import (
    FACE,
    REGION,
    ApiServer,
    png_bytes,
)


def asked(client: httpx.Client, **options: object) -> dict[str, Any]:
    photo = client.post("/v1/photos", content=png_bytes(), headers={"Content-Type": "image/png"}).json()["id"]
    people = [
        {"phrase": "the man", "photos": [photo]},
        {"phrase": "the dog", "photos": [photo], "box_px": [0, 0, 9, 9]},
    ]
    return {"prompt": "a man on the beach", "concepts": people, **options}


def why(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_check_of_the_photos_has_faces_and_no_picture_of_any_kind(server: ApiServer, client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json=asked(client, until="identify")).json()
    assert (job["spec"]["until"], job["faces"], job["regions"]) == ("identify", [], [])
    path = job["urls"]["self"]
    # Not even while it waits: there never will be one.
    assert why(client.get(f"{path}/picture")) == (409, "no_picture")
    server.run_stages(job["id"], until=Stage.IDENTIFY)
    job = client.get(path).json()
    assert (job["status"], list(job["timings"])) == ("succeeded", ["identify"])
    assert job["faces"] == [[FACE.model_dump(mode="json")]] * 2
    for name in ("picture", "template", "masks", "previews/picture"):
        assert why(client.get(f"{path}/{name}")) == (409, "no_picture")
    assert {job["urls"][name] for name in ("picture", "template", "masks")} == {None}


def test_a_preview_has_the_template_the_masks_and_who_is_where(server: ApiServer, client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json=asked(client, until="detect")).json()
    path = job["urls"]["self"]
    server.run_stages(job["id"], until=Stage.DETECT)
    job = client.get(path).json()
    assert (job["status"], job["done"]) == ("succeeded", True)
    place = {"box_px": list(REGION.box_px), "score": 0.75}
    assert job["regions"] == [
        {"concept": 0, "phrase": "the man", "explicit": False, **place},
        {"concept": 1, "phrase": "the dog", "explicit": True, **place},
    ]
    assert [client.get(job["urls"][name]).status_code for name in ("template", "masks")] == [307, 307]
    assert why(client.get(f"{path}/picture")) == (409, "no_picture")


def test_a_job_costs_what_its_stages_cost(client: httpx.Client) -> None:
    body = asked(client, sampling={"width_px": 128, "height_px": 256, "steps": 10})
    units = {
        until: client.post("/v1/jobs", params={"dry_run": "true"}, json={**body, "until": until}).json()["units"]
        for until in ("identify", "detect", "personalize", "verify")
    }
    assert units == {"identify": 0.033, "detect": 0.328, "personalize": 0.983, "verify": 0.983}


@pytest.mark.parametrize("option", [{"until": "paint"}, {"until": "detect", "max_tries": 2}])
def test_an_end_that_does_not_fit_is_refused_by_its_name(client: httpx.Client, option: dict[str, object]) -> None:
    answer = client.post("/v1/jobs", json=asked(client, **option))
    assert why(answer) == (422, "invalid_field")
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/until"]


def test_a_form_and_the_lines_of_a_batch_may_end_early_too(client: httpx.Client) -> None:
    form = {"prompt": "a man", "phrase": "the man", "until": "identify", "embed_settings": "true"}
    job = client.post("/v1/jobs", data=form, files={"photo": ("me.png", png_bytes(), "image/png")}).json()
    assert (job["spec"]["until"], job["spec"]["embed_settings"]) == ("identify", True)
    body = asked(client, until="detect")
    line = json.dumps({**body, "custom_id": "one"})
    headers = {"Content-Type": "application/jsonl"}
    dry = client.post("/v1/batches", params={"dry_run": "true"}, content=line, headers=headers).json()
    assert (dry["lines"], dry["invalid"]) == (1, 0)
    alone = client.post("/v1/jobs", params={"dry_run": "true"}, json=body).json()
    assert dry["units"] == alone["units"]
