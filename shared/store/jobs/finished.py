"""A finished stage, and the one JSON value in which the script `jobs/finish` takes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import UnknownPhoto
from shared.job import MAX_CONCEPTS, Failure
from shared.stages import FIRST_STAGE, SEEDED_STAGES, STAGES, Stage
from shared.store.jobs import findings
from shared.verification import ConceptRegion, PhotoFaces, Try, Verification, best_of

_DRAWING = [stage.value for stage in STAGES if stage.info.draws != "nothing"]
# What detect found in a template: another seed draws another one.
_REDRAWN_FIELDS = [findings.region_field(concept) for concept in range(MAX_CONCEPTS)]
_PHOTO_ERASED = Failure(
    code=UnknownPhoto.code, message="a photo of this job was erased", retryable=False, stage=FIRST_STAGE
).model_dump_json()


@dataclass(frozen=True, kw_only=True)
class FinishedStage:
    """What a stage left. The last stage of a job needs the key of its picture.

    digest: of its order; seconds: how long it took. reused: its result was found, not made.
    tries: those of a job that may have several, this one last; the best one is kept. try_again: another one follows.
    """

    stage: Stage
    digest: str
    seconds: float
    warnings: Sequence[str] = ()
    picture: str | None = None
    faces: Sequence[Sequence[PhotoFaces]] = ()
    regions: Sequence[ConceptRegion] = ()
    verification: Verification | None = None
    reused: bool = False
    tries: Sequence[Try] = ()
    try_again: bool = False

    def encode(self) -> str:
        """JSON as `jobs/finish` describes it. Raises ValueError for a last stage without a picture."""
        following = self.stage.and_later()[1:]
        if not following and self.picture is None:
            message = f"{self.stage.value} is the last stage: it ends with a picture"
            raise ValueError(message)
        kept = self.tries[best_of(self.tries)] if self.tries and not self.try_again else None
        picture = kept.picture if kept else self.picture
        verification = kept.verification if kept else self.verification
        regions = kept.regions if kept else self.regions
        found = {} if verification is None else findings.encode_verification(verification)
        report: dict[str, object] = {
            "stage": self.stage.value,
            "next": following[0].value if following else None,
            "digest": self.digest,
            "seconds": f"{self.seconds:.3f}",
            "warnings": json.dumps(list(self.warnings)) if self.warnings else None,
            "picture": picture,
            "reused": self.reused or None,
            "found": found | findings.encode_faces(self.faces) | findings.encode_regions(regions),
            "from_photos": self.stage.info.from_photos or None,
            # What a verification means differs from job to job: every follower verifies by itself.
            "own": verification is not None or None,
            "drawing": _DRAWING,
            "photo_erased": _PHOTO_ERASED,
        }
        if self.tries:
            report |= {"number": len(self.tries) - 1, "try": self.tries[-1].model_dump_json()}
        if kept is not None and kept is not self.tries[-1]:
            report["outputs"] = kept.outputs
        if self.try_again:
            report |= {"redo": [stage.value for stage in SEEDED_STAGES], "redo_found": _REDRAWN_FIELDS}
        return json.dumps({name: value for name, value in report.items() if value is not None})
