"""What becomes of the mini bundle's pictures on their way out: checked, marked, signed; and what then is not stored."""

from __future__ import annotations

import uuid

import pytest

from shared.blob_store import BlobStore, stage_folder, stage_key
from shared.errors import UnsafeContent
from shared.job import JobSpec, Sampling
from shared.settings import Settings
from shared.stages import STAGES, Stage
from tests.support.mini_jobs import (
    MiniStages,
    couple,
    draw,
    signing_settings,
)
from tests.support.provenance import validated
from tests.support.queue_records import Records
from tests.support.safety import ALWAYS, NEVER, write_safety
from worker.output.png import pixels
from worker.output.watermark import read_watermark
from worker.runner.assignment import Show
from worker.runner.personalize import PICTURE
from worker.runner.render import TEMPLATE
from worker.runner.runner import load_stages


@pytest.fixture(scope="module")
def own(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return signing_settings(s3_url, tmp_path_factory.mktemp("c2pa"))


def play_with(settings: Settings, **changed: str) -> MiniStages:
    loaded = load_stages(settings.model_copy(update=changed), "all")
    loaded.connect()
    return MiniStages(stages=loaded.stages, blobs=BlobStore(settings))


@pytest.fixture(scope="module")
def lenient(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> MiniStages:
    """Pictures are checked and marked, and none is forbidden."""
    folder = write_safety(tmp_path_factory.mktemp("never"), NEVER)
    return play_with(own, watermark="example.org", safety_checkpoint=str(folder))


@pytest.fixture(scope="module")
def strict(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> MiniStages:
    """Every picture is forbidden."""
    return play_with(own, safety_checkpoint=str(write_safety(tmp_path_factory.mktemp("always"), ALWAYS)))


def test_a_picture_and_its_template_are_marked_and_then_signed(lenient: MiniStages) -> None:
    job, _, _ = lenient.run(lenient.job(couple(lenient)[:1], "a man on the beach", seed=3, steps=4))
    for stage, file in ((Stage.RENDER, TEMPLATE), (Stage.PERSONALIZE, PICTURE)):
        data = lenient.blobs.get(stage_key(job.tenant, stage, job.outputs[stage], file))
        assert data is not None
        assert (read_watermark(pixels(data)), validated(data)[0]) == ("example.org", "Valid")


def test_jobs_that_draw_what_is_forbidden_fail_at_once_and_nothing_of_it_is_stored(
    strict: MiniStages, settings: Settings
) -> None:
    records = Records(settings=settings)
    asked = JobSpec(
        prompt="a man in the park",
        concepts=couple(strict)[:1],
        sampling=Sampling(seed=uuid.uuid4().int % 1000, steps=4),
        max_tries=3,
    )
    for _ in range(2):
        job = draw(records, strict, asked)
        assert (job.status, job.picture, job.tries, tuple(job.outputs)) == ("failed", None, (), (Stage.IDENTIFY,))
        assert job.error is not None
        assert (job.error.code, job.error.stage, job.error.retryable) == ("unsafe_content", Stage.RENDER, False)
        digest = strict.stages[Stage.RENDER](job).digest
        assert list(strict.blobs.listed(stage_folder(job.tenant, Stage.RENDER, digest))) == []
    records.close()


def test_a_forbidden_picture_of_an_allowed_template_is_neither_stored_nor_shown_while_it_emerges(
    strict: MiniStages, lenient: MiniStages
) -> None:
    job = lenient.job(couple(lenient)[:1], "a man in the forest", seed=5, steps=4)
    for stage in STAGES[: STAGES.index(Stage.PERSONALIZE)]:
        output = lenient.stages[stage](job).make(lambda _i, _n: None)
        job = job.model_copy(update={"outputs": {**job.outputs, stage: output.digest}})
    shown: list[bytes] = []
    steps: list[int] = []

    def on_step(step: int, _steps: int) -> Show:
        steps.append(step)
        return shown.append

    work = strict.stages[Stage.PERSONALIZE](job)
    with pytest.raises(UnsafeContent):
        work.make(on_step)
    assert len(steps) >= 4
    assert shown == []
    assert list(strict.blobs.listed(stage_folder(job.tenant, Stage.PERSONALIZE, work.digest))) == []
    # The same job where it is allowed has another result, and is not shown before that was known either.
    allowed = lenient.stages[Stage.PERSONALIZE](job)
    assert allowed.digest != work.digest
    assert allowed.find() is None
    assert allowed.make(on_step).picture is not None
    assert shown == []
