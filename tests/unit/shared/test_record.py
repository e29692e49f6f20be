from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.job import Concept, Failure, JobSpec, Sampling, Status, encode_spec
from shared.settings import Settings
from shared.stages import Stage
from shared.store.jobs import findings, record
from shared.verification import ConceptRegion, PhotoFaces, Swap, Verification, VerifiedFace

PEOPLE = (Concept(phrase="the man", photos=("0" * 64,)), Concept(phrase="the woman", photos=("1" * 64,)))
WAITS = {"lane": "interactive", "tenant": "someone", "units": "94370000", "at": "1700000000.123456"}


def spec(**changed: object) -> JobSpec:
    return JobSpec.model_validate({"prompt": "a man and a woman", "concepts": PEOPLE, **changed})


def test_a_job_that_waits_needs_no_field_beyond_its_request() -> None:
    job = record.decode("an id", {**WAITS, "spec": encode_spec(spec())})
    assert (job.id, job.status, job.stage, job.sequence, job.attempt) == ("an id", Status.QUEUED, None, 1, 0)
    assert (job.tenant, job.created_at) == ("someone", 1700000000.123456)
    assert (job.outputs, job.warnings, job.picture, job.error) == ({}, (), None, None)


def test_a_job_that_is_over_is_read_whole() -> None:
    failure = Failure(code="no_face", message="no face", retryable=False, stage=Stage.IDENTIFY)
    fields = {
        **WAITS,
        "spec": encode_spec(spec()),
        "s": "failed",
        "seq": "7",
        "n": "3",
        "due": "render",
        "started": "2.5",
        "ended": "9.5",
        "step": "4",
        "steps": "8",
        "o:identify": "abc",
        "t:identify": "1.250",
        "w:identify": '["one", "two"]',
        "w:render": '["three"]',
        "error": failure.model_dump_json(),
    }
    job = record.decode("an id", fields)
    assert (job.status, job.stage, job.sequence, job.attempt) == (Status.FAILED, Stage.RENDER, 7, 3)
    assert (job.started_at, job.finished_at, job.progress.fraction) == (2.5, 9.5, 0.5)
    assert (job.outputs, job.timings) == ({Stage.IDENTIFY: "abc"}, {Stage.IDENTIFY: 1.25})
    assert job.warnings == ("one", "two", "three")
    assert job.error == failure


def test_defaults_take_no_room() -> None:
    assert "sampling" not in encode_spec(spec())
    assert len(encode_spec(spec())) < 300


@given(
    prompt=st.text(min_size=1, max_size=1000).filter(lambda text: bool(text.strip())),
    steps=st.none() | st.integers(1, 150),
    seed=st.none() | st.integers(0, 2**63 - 1),
    split=st.floats(0, 1),
)
def test_a_request_is_read_as_it_was_written(prompt: str, steps: int | None, seed: int | None, split: float) -> None:
    asked = spec(prompt=prompt, sampling=Sampling(steps=steps, seed=seed, split=split))
    assert record.decode("an id", {**WAITS, "spec": encode_spec(asked)}).spec == asked


@pytest.mark.parametrize(
    ("sampling", "people", "units"),
    [
        (Sampling(width_px=1000, height_px=1000, steps=10), 1, 20.0),
        (Sampling(width_px=1000, height_px=1000, steps=10), 2, 30.0),
        (Sampling(width_px=1000, height_px=500, steps=10), 1, 10.0),
        (Sampling(width_px=1000, height_px=1000, steps=20), 1, 40.0),
    ],
)
def test_a_job_is_as_large_as_its_steps_pixels_and_branches(sampling: Sampling, people: int, units: float) -> None:
    assert record.units(spec(sampling=sampling, concepts=PEOPLE[:people])) == pytest.approx(units)


@pytest.mark.parametrize(
    ("until", "units"),
    [("identify", 1.0), ("render", 20.0), ("detect", 20.0), ("personalize", 60.0), ("verify", 60.0)],
)
def test_only_the_stages_that_run_count(until: Stage, units: float) -> None:
    sampling = Sampling(width_px=1000, height_px=1000, steps=20)
    assert record.units(spec(sampling=sampling, concepts=PEOPLE[:2], until=until)) == pytest.approx(units)


def test_a_record_says_where_its_job_begins_and_ends() -> None:
    assert record.request_fields(spec(), Settings()) == ["due", "identify", "until", "verify"]
    assert "until" not in encode_spec(spec(until=Stage.VERIFY))
    early = spec(until=Stage.DETECT, retention_s=9, expires_after_s=8)
    assert record.request_fields(early, Settings()) == [
        *("due", "identify", "until", "detect"),
        *("keep", 9, "expires", 8),
    ]


@pytest.mark.parametrize("option", [{"min_identity": 0.4}, {"max_tries": 2}])
def test_an_option_of_verified_pictures_needs_the_last_stage(option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="until must be verify, not detect"):
        JobSpec.model_validate({"prompt": "a man", "concepts": PEOPLE[:1], "until": "detect", **option})


BOXES = st.tuples(*[st.integers(0, 81_920).map(lambda side: side / 10)] * 4)
PHOTOS = st.builds(PhotoFaces, found=st.integers(1, 99), box_px=BOXES) | st.just(PhotoFaces(found=0))


@given(
    st.lists(st.lists(PHOTOS, min_size=1, max_size=8).map(tuple), min_size=1, max_size=5).map(tuple),
    st.lists(
        st.builds(ConceptRegion, box_px=BOXES, score=st.integers(0, 10_000).map(lambda score: score / 10_000)),
        max_size=5,
    ).map(tuple),
)
def test_what_was_found_is_read_as_it_was_written(
    faces: tuple[tuple[PhotoFaces, ...], ...], regions: tuple[ConceptRegion, ...]
) -> None:
    fields = {**findings.encode_faces(faces), **findings.encode_regions(regions)}
    assert max(map(len, fields.values())) <= 64
    job = record.decode("an id", {**WAITS, "spec": encode_spec(spec()), **fields})
    assert (job.faces, job.regions) == (faces, regions)


def test_a_flat_reply_is_a_mapping() -> None:
    assert record.pairs(["a", "1", "b", "2"]) == {"a": "1", "b": "2"}
    with pytest.raises(ValueError, match="shorter"):
        record.pairs(["a", "1", "b"])


@given(
    st.lists(st.none() | st.tuples(st.integers(-9999, 9999), st.integers(-99, 40960)), min_size=1, max_size=5),
    st.data(),
)
def test_a_verification_is_read_as_it_was_written(drawn: list[tuple[int, int] | None], data: st.DataObject) -> None:
    faces = [
        VerifiedFace(concept=concept, identity=None, face_box_px=None)
        if one is None
        else VerifiedFace(concept=concept, identity=one[0] / 1e4, face_box_px=(one[1] / 10, 2.0, 4096.5, 99.9))
        for concept, one in enumerate(drawn)
    ]
    seen = [face.concept for face in faces if face.identity is not None]
    swapped = data.draw(st.lists(st.sampled_from(seen), unique=True)) if seen else []
    found = Verification.of(faces, [Swap(concept=concept, nearer_to=4) for concept in sorted(swapped)])
    fields = findings.encode_verification(found)
    # Longer values would make Redis keep the record in twice the room.
    assert max(map(len, fields.values())) <= 64
    assert record.decode("an id", {**WAITS, "spec": encode_spec(spec()), **fields}).verification == found
    assert record.decode("an id", {**WAITS, "spec": encode_spec(spec())}).verification is None
