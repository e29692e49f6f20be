"""What stages leave in a real blob store, and what is said when it is gone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from shared.blob_store import BlobStore, stage_folder
from shared.errors import BlobsUnavailable, UnknownPhoto
from shared.orders import Region
from shared.settings import Settings
from shared.stages import Stage
from tests.support.servers import ACCESS_KEY, SECRET_KEY
from worker.output.png import png
from worker.runner.results import (
    PICTURE,
    TEMPLATE,
    Place,
    Results,
    StoredWork,
)
from worker.runner.stage import OnStep

TENANT, DIGEST = "default", "d" * 32
GREY, BLACK = (np.full((8, 8, 3), shade, np.uint8) for shade in (128, 0))
REGION = Region(
    concept=0,
    phrase="the man",
    box_px=(1.24, 2, 30, 40),
    score=0.123456,
    explicit=False,
    face_box_px=(1, 2, 3, 4),
    keypoints_px=((1, 2),),
)


@pytest.fixture
def blobs(s3_url: str) -> BlobStore:
    own = Settings(
        s3_endpoint_url=s3_url,
        s3_bucket=f"t{uuid.uuid4().hex[:12]}",
        s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
    )
    store = BlobStore(own)
    store.ensure_bucket()
    return store


def place(blobs: BlobStore, stage: Stage) -> Place:
    return Place(blobs=blobs, tenant=TENANT, stage=stage, digest=DIGEST)


def work(blobs: BlobStore, stage: Stage, output: dict[str, Any]) -> StoredWork:
    return StoredWork(place=place(blobs, stage), do=lambda _place, _on_step: output)


def on_step(_step: int, _steps: int) -> None:
    """Nobody is told."""


def test_a_result_is_found_once_it_was_made_and_not_before(blobs: BlobStore) -> None:
    asked = work(blobs, Stage.DETECT, {"regions": [REGION.model_dump()]})
    assert asked.find() is None
    made, found = asked.make(on_step), asked.find()
    assert found is not None
    assert (made.reused, found.reused) == (False, True)
    (where,) = found.regions
    assert (where.box_px, where.score) == ((1.2, 2.0, 30.0, 40.0), 0.1235)
    assert work(blobs, Stage.VERIFY, {}).find() is None


def test_work_that_stopped_half_way_left_no_result(blobs: BlobStore) -> None:
    def stop(at: Place, _on_step: OnStep) -> dict[str, Any]:
        at.put_picture(TEMPLATE, png(GREY))
        raise BlobsUnavailable("the line was cut")

    asked = StoredWork(place=place(blobs, Stage.RENDER), do=stop)
    with pytest.raises(BlobsUnavailable):
        asked.make(on_step)
    assert asked.find() is None


def test_what_one_stage_leaves_another_reads(blobs: BlobStore) -> None:
    place(blobs, Stage.RENDER).put_picture(TEMPLATE, png(GREY))
    place(blobs, Stage.RENDER).put_predictions(torch.arange(6.0).reshape(1, 1, 2, 3).mT)
    place(blobs, Stage.IDENTIFY).put_identities([np.ones((2, 512), np.float32), np.zeros((1, 512), np.float32)])
    place(blobs, Stage.DETECT).finish({"regions": [REGION.model_dump()]})
    results = Results(blobs=blobs, tenant=TENANT)
    assert np.array_equal(results.template(DIGEST), GREY)
    assert torch.equal(results.predictions(DIGEST), torch.arange(6.0).reshape(1, 1, 2, 3).mT)
    assert [(rows.shape, float(rows.mean())) for rows in results.identities(DIGEST)] == [((2, 512), 1), ((1, 512), 0)]
    assert results.regions(DIGEST) == [REGION]


def test_the_first_of_two_pictures_stays(blobs: BlobStore) -> None:
    for shade in (GREY, BLACK):
        place(blobs, Stage.PERSONALIZE).put_picture(PICTURE, png(shade))
    assert np.array_equal(Results(blobs=blobs, tenant=TENANT).picture(DIGEST), GREY)


@pytest.mark.parametrize(
    ("read", "error", "words"),
    [
        (Results.template, BlobsUnavailable, r"template.png of stage render \(dddddddddddd\) is no longer stored"),
        (Results.predictions, BlobsUnavailable, "predictions.safetensors of stage render"),
        (Results.regions, BlobsUnavailable, "output.json of stage detect"),
        (Results.picture, BlobsUnavailable, "picture.png of stage personalize"),
        # Goes with its photos only, so trying again cannot help.
        (Results.identities, UnknownPhoto, "erased while the job ran"),
    ],
)
def test_what_is_gone_is_named(
    blobs: BlobStore, read: Callable[[Results, str], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(Results(blobs=blobs, tenant=TENANT), DIGEST)
    assert list(blobs.listed(stage_folder(TENANT, Stage.RENDER, DIGEST))) == []
