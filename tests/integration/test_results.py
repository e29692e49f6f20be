"""What stages leave in a real blob store, and what is said when it is gone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from shared.blob_store import BlobStore, faces_key, stage_folder, stage_key
from shared.errors import BlobDamaged, BlobsUnavailable, UnknownPhoto
from shared.job import Concept, Job, JobSpec, Progress, Status
from shared.orders import Order, Region
from shared.settings import Settings
from shared.stages import Stage
from shared.verification import ConceptRegion, StageFindings
from tests.support.servers import ACCESS_KEY, SECRET_KEY
from worker.models.bundle import Bundle
from worker.output.png import png
from worker.runner.assignment import OnStep
from worker.runner.detect import encode_regions, read_regions
from worker.runner.identify import encode_identities, read_identities
from worker.runner.models import Models
from worker.runner.personalize import PICTURE, read_picture
from worker.runner.photos import Photos
from worker.runner.render import TEMPLATE, encode_predictions, read_predictions, read_template
from worker.runner.results import Results
from worker.runner.runner import StageRunner, StoredAssignment
from worker.runner.stage import StageResult, WorkerStage

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
FOUND = StageFindings(warnings=("dark",), regions=(ConceptRegion(box_px=(1.2, 2, 30, 40), score=0.1235),))
MODELS = Models(bundle=Bundle(name="none", device=torch.device("cpu"), detection=None, generation=None))


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


class InkOrder(Order):
    """Draw the template again in ink."""

    stage: Literal[Stage.PERSONALIZE] = Stage.PERSONALIZE
    template: str
    scene: str


class InkStage(WorkerStage[InkOrder]):
    """A stage that exists in this test alone. A scene without ink is not drawn."""

    stage = Stage.PERSONALIZE

    def order(self, job: Job) -> InkOrder:
        return InkOrder(bundle=self.models.bundle.name, template=job.outputs[Stage.RENDER], scene=job.spec.prompt)

    def run(self, order: InkOrder, inputs: Results, on_step: OnStep) -> StageResult:
        on_step(0, 1)
        inked = read_template(inputs, order.template) // 2
        if "ink" not in order.scene:
            raise BlobsUnavailable("the ink is gone")
        return StageResult(files={PICTURE: png(inked)}, findings=FOUND)

    def picture_key(self, order: InkOrder, inputs: Results) -> str:
        return inputs.key(self.stage, order.digest(), PICTURE)


def job(prompt: str, template: str = DIGEST) -> Job:
    return Job(
        id=uuid.uuid4().hex,
        spec=JobSpec(prompt=prompt, concepts=(Concept(phrase="the man", photos=("0" * 64,)),)),
        status=Status.RUNNING,
        stage=Stage.PERSONALIZE,
        progress=Progress(),
        lane="interactive",
        tenant=TENANT,
        attempt=1,
        sequence=1,
        created_at=0.0,
        outputs={Stage.RENDER: template},
    )


def assigned(blobs: BlobStore, prompt: str) -> StoredAssignment[InkOrder]:
    return StageRunner(stage=InkStage(MODELS), blobs=blobs).assign(job(prompt))


def put(blobs: BlobStore, stage: Stage, files: Mapping[str, bytes]) -> Results:
    results = Results(blobs=blobs, tenant=TENANT)
    results.store(stage, DIGEST, files, FOUND)
    return results


def on_step(_step: int, _steps: int) -> None:
    """Nobody is told."""


def test_a_new_stage_is_one_class_and_its_result_is_found_by_every_equal_job_once_it_was_made(blobs: BlobStore) -> None:
    results = put(blobs, Stage.RENDER, {TEMPLATE: png(GREY)})
    asked = assigned(blobs, "a man in ink")
    assert asked.find() is None
    made, found = asked.make(on_step), assigned(blobs, "a man in ink").find()
    assert found is not None
    assert (made.reused, found.reused) == (False, True)
    assert (found.digest, found.findings, found.picture) == (made.digest, FOUND, made.picture)
    assert made.picture == stage_key(TENANT, Stage.PERSONALIZE, made.digest, PICTURE)
    assert np.array_equal(read_picture(results, made.digest), GREY // 2)
    assert assigned(blobs, "a woman in ink").find() is None


def test_work_that_stopped_half_way_left_no_result(blobs: BlobStore) -> None:
    put(blobs, Stage.RENDER, {TEMPLATE: png(GREY)})
    asked = assigned(blobs, "a man")
    with pytest.raises(BlobsUnavailable):
        asked.make(on_step)
    assert asked.find() is None


def test_what_one_stage_leaves_another_reads(blobs: BlobStore) -> None:
    predictions = torch.arange(6.0).reshape(1, 1, 2, 3).mT
    identities = [np.ones((2, 512), np.float32), np.zeros((1, 512), np.float32)]
    put(blobs, Stage.RENDER, {TEMPLATE: png(GREY), "predictions.safetensors": encode_predictions(predictions)})
    put(blobs, Stage.IDENTIFY, {"identities.safetensors": encode_identities(identities)})
    results = put(blobs, Stage.DETECT, {"regions.json": encode_regions([REGION])})
    assert np.array_equal(read_template(results, DIGEST), GREY)
    assert torch.equal(read_predictions(results, DIGEST), predictions)
    assert [(rows.shape, float(rows.mean())) for rows in read_identities(results, DIGEST)] == [
        ((2, 512), 1),
        ((1, 512), 0),
    ]
    assert read_regions(results, DIGEST) == [REGION]


def test_the_first_of_two_pictures_stays(blobs: BlobStore) -> None:
    for shade in (GREY, BLACK):
        put(blobs, Stage.PERSONALIZE, {PICTURE: png(shade)})
    assert np.array_equal(read_picture(Results(blobs=blobs, tenant=TENANT), DIGEST), GREY)


@pytest.mark.parametrize(
    ("read", "error", "words"),
    [
        (read_template, BlobsUnavailable, r"template.png of stage render \(dddddddddddd\) is no longer stored"),
        (read_predictions, BlobsUnavailable, "predictions.safetensors of stage render"),
        (read_regions, BlobsUnavailable, "regions.json of stage detect"),
        (read_picture, BlobsUnavailable, "picture.png of stage personalize"),
        # Goes with its photos only, so trying again cannot help.
        (read_identities, UnknownPhoto, "erased while the job ran"),
    ],
)
def test_what_is_gone_is_named(
    blobs: BlobStore, read: Callable[[Results, str], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(Results(blobs=blobs, tenant=TENANT), DIGEST)
    assert list(blobs.listed(stage_folder(TENANT, Stage.RENDER, DIGEST))) == []


def cut(blobs: BlobStore, key: str) -> None:
    """Takes the second half of a blob away and leaves what is said of it, as a full disk does."""
    there = blobs._client.get_object(Bucket=blobs._bucket, Key=key)
    data = there["Body"].read()
    blobs._client.put_object(Bucket=blobs._bucket, Key=key, Body=data[: len(data) // 2], Metadata=there["Metadata"])


@pytest.mark.parametrize("file", ["output.json", PICTURE])
def test_a_result_of_which_a_file_was_cut_or_is_gone_is_made_again(blobs: BlobStore, file: str) -> None:
    results = put(blobs, Stage.RENDER, {TEMPLATE: png(GREY)})
    made = assigned(blobs, "a man in ink").make(on_step)
    key = results.key(Stage.PERSONALIZE, made.digest, file)
    if file == PICTURE:
        blobs.delete([key])
    else:
        cut(blobs, key)
    assert assigned(blobs, "a man in ink").find() is None
    assigned(blobs, "a man in ink").make(on_step)
    assert assigned(blobs, "a man in ink").find() is not None
    assert np.array_equal(read_picture(results, made.digest), GREY // 2)


def test_a_cut_file_fails_the_job_with_its_own_code_and_is_made_again_by_the_next_equal_one(blobs: BlobStore) -> None:
    results = put(blobs, Stage.RENDER, {TEMPLATE: png(GREY)})
    cut(blobs, results.key(Stage.RENDER, DIGEST, TEMPLATE))
    with pytest.raises(BlobDamaged, match=r"template.png in the blob store is not what was written"):
        assigned(blobs, "a man in ink").make(on_step)
    assert results.find(Stage.RENDER, DIGEST) is None
    put(blobs, Stage.RENDER, {TEMPLATE: png(GREY)})
    assigned(blobs, "a man in ink").make(on_step)


def test_cut_faces_of_a_photo_are_detected_again(blobs: BlobStore) -> None:
    photos = Photos(blobs=blobs, tenant=TENANT, bundle="mini@abc")
    key = faces_key(TENANT, "0" * 64, "mini@abc")
    blobs.put(key, save({"faces": np.array(0)}), "application/octet-stream")
    assert photos.stored("0" * 64) is not None
    cut(blobs, key)
    assert photos.stored("0" * 64) is None
