"""A job's record in Redis <-> the Job that the rooms read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from shared.batch import LineSource, ReadLine
from shared.job import MAX_TRIES, Concept, Failure, Job, JobSpec, Progress, Status, encode_spec
from shared.settings import Settings
from shared.stages import FIRST_STAGE, Draws, Stage
from shared.store.connection import RedisValue
from shared.store.jobs.findings import faces_in, regions_in, verification_in
from shared.verification import Try

# The stage whose digest is in the key of a picture.
PICTURE_STAGE = Stage.PERSONALIZE
_DEFAULT_STEPS = 30
_DEFAULT_SIDE_PX = 1024

# The fields that each stage leaves, named once: every look at a job reads them.
_WARNINGS = tuple(f"w:{stage}" for stage in Stage)
_TIMINGS = tuple((stage, f"t:{stage}") for stage in Stage)
_OUTPUTS = tuple((stage, f"o:{stage}") for stage in Stage)
_REUSED = tuple((stage, f"r:{stage}") for stage in Stage)
_TRIES = tuple(f"y:{number}" for number in range(MAX_TRIES))


def line_source(fields: Mapping[str, str]) -> LineSource | None:
    """The line that holds the missing fields of a compacted record; None when it is complete or absent."""
    if "spec" in fields or "chunk" not in fields:
        return None
    return LineSource(tenant=fields["tenant"], batch=fields["batch"], chunk=fields["chunk"], line=int(fields["line"]))


async def whole(fields: Mapping[str, str], read_line: ReadLine) -> Mapping[str, str] | None:
    """The record with its missing fields; None when there is none, or when its line is gone."""
    if "spec" in fields:
        return fields
    place = line_source(fields)
    more = None if place is None else await read_line(place)
    return None if more is None else {**fields, **more}


async def no_lines(_: LineSource) -> None:
    """A reader for callers that never see jobs of batches."""


def units(spec: JobSpec) -> float:
    """Size of one try, for fairness and ETA: steps x megapixels x branches (one a concept and one for the scene).

    Only of the stages that run; a job that draws nothing is as large as one step of one branch.
    """
    drawn = _drawn(spec)
    branches = 1 + len(spec.concepts) if "people" in drawn else 1
    steps = (spec.sampling.steps or _DEFAULT_STEPS) if drawn else 1
    return steps * _area_px(spec) / 1e6 * branches


def pixels(spec: JobSpec) -> int:
    """Of the picture that is drawn; 0 where none is."""
    return _area_px(spec) if _drawn(spec) else 0


def request_fields(spec: JobSpec, settings: Settings) -> list[RedisValue]:
    """Fields (name, value, ...) that the scripts need of a request: the first and last stage, and its times."""
    found: list[RedisValue] = ["due", FIRST_STAGE.value, "until", spec.until.value]
    if spec.retention_s is not None:
        found += ["keep", min(spec.retention_s, settings.job_expiry_s)]
    if spec.expires_after_s is not None:
        found += ["expires", spec.expires_after_s]
    return found


def _drawn(spec: JobSpec) -> set[Draws]:
    """What the stages of the job draw."""
    return {stage.info.draws for stage in spec.until.and_earlier()} - {"nothing"}


def _area_px(spec: JobSpec) -> int:
    return (spec.sampling.width_px or _DEFAULT_SIDE_PX) * (spec.sampling.height_px or _DEFAULT_SIDE_PX)


_UNREAD = encode_spec(
    JobSpec(prompt="as its line says", concepts=(Concept(phrase="as its line says", photos=("0" * 64,)),), lane="batch")
)


def decode(job_id: str, fields: Mapping[str, str]) -> Job:
    """The job that a record describes."""
    spec = _spec(fields["spec"])
    attempt = int(fields.get("n", 0))
    error = fields.get("error")
    return Job(
        id=job_id,
        spec=spec,
        status=Status(fields.get("s", Status.QUEUED)),
        stage=Stage(fields.get("due", FIRST_STAGE)) if attempt else None,
        progress=Progress(step=int(fields.get("step", 0)), steps=int(fields.get("steps", 0))),
        lane=spec.lane,
        tenant=fields["tenant"],
        attempt=attempt,
        sequence=int(fields.get("seq", 1)),
        created_at=float(fields["at"]),
        started_at=_seconds(fields.get("started")),
        finished_at=_seconds(fields.get("ended")),
        error=Failure.model_validate_json(error) if error else None,
        warnings=tuple(
            text for name in _WARNINGS if fields.get(name, "[]") != "[]" for text in json.loads(fields[name])
        ),
        timings=_timings(fields),
        outputs={stage: fields[name] for stage, name in _OUTPUTS if name in fields},
        reused=tuple(stage for stage, name in _REUSED if name in fields),
        picture=_picture(fields),
        faces=faces_in(fields),
        regions=regions_in(fields),
        verification=verification_in(fields),
        tries=tries_in(fields),
        preview_step=int(fields["preview_step"]) if "preview_step" in fields else None,
        retry_of=fields.get("of"),
        batch=fields.get("batch"),
        line=int(fields["line"]) if "line" in fields else None,
        custom_id=fields.get("custom"),
    )


def tries_in(fields: Mapping[str, str]) -> tuple[Try, ...]:
    """The tries that a record holds, the first one first."""
    if _TRIES[0] not in fields:
        return ()
    return tuple(Try.model_validate_json(fields[name]) for name in _TRIES if name in fields)


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A flat reply (name, value, name, value, ...) as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


@lru_cache(maxsize=2048)
def _spec(text: str) -> JobSpec:
    # A job is looked at again and again while its request stays the same: half of what reading a record costs.
    return JobSpec.model_validate_json(text)


def decode_state(job_id: str, fields: Mapping[str, str]) -> Job:
    """The job that a record describes, compacted or not; a placeholder replaces a missing spec."""
    return decode(job_id, fields if "spec" in fields else {**fields, "spec": _UNREAD})


def _timings(fields: Mapping[str, str]) -> dict[Stage, float]:
    if "t" in fields:
        packed = zip(Stage, fields["t"].split(), strict=True)
        return {stage: float(seconds) for stage, seconds in packed if seconds != "-"}
    return {stage: float(fields[name]) for stage, name in _TIMINGS if name in fields}


def _picture(fields: Mapping[str, str]) -> str | None:
    picture = fields.get("picture")
    return picture and picture.replace("*", fields.get(f"o:{PICTURE_STAGE}", "*"))


def _seconds(text: str | None) -> float | None:
    return float(text) if text else None
