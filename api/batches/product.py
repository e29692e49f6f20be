"""A batch from scenes and casts: every scene with every cast, or the first with the first and so on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from api.batches.lines import CheckedLine, LineReader
from api.http.problems import invalid_fields_of
from api.jobs.intake import SEEDS
from shared.job import MAX_CONCEPTS, Concept, JobSpec, RequestModel, SceneSpec

Name = Annotated[str, StringConstraints(min_length=1, max_length=60)]
MOST_NAME_CHARS = 100


class Scene(SceneSpec):
    """A scene for one or several casts. Without a seed it gets one, so that all casts share its template."""

    name: Name | None = Field(None, description="Part of the lines' custom_id; the scene's number when empty")


class Cast(RequestModel):
    """People who are put into a scene together."""

    name: Name | None = Field(None, description="Part of the lines' custom_id; the cast's number when empty")
    concepts: tuple[Concept, ...] = Field(min_length=1, max_length=MAX_CONCEPTS)


class ProductBatch(RequestModel):
    """A batch as scenes and casts."""

    scenes: tuple[Scene, ...] = Field(min_length=1)
    casts: tuple[Cast, ...] = Field(min_length=1)
    mode: Literal["product", "zip"] = Field(
        "product", description="Every scene with every cast, or the i-th with the i-th"
    )
    strict: bool = Field(False, description="Refuse the whole batch when a line is not valid")
    expires_after_s: int | None = Field(
        None, ge=1, le=31_536_000, description="Lines that have not ended by then never run"
    )
    name: Annotated[str, StringConstraints(max_length=MOST_NAME_CHARS)] = Field(
        "", description="What you call the batch"
    )

    @model_validator(mode="after")
    def _zip_has_pairs(self) -> Self:
        if self.mode == "zip" and len(self.scenes) != len(self.casts):
            message = f"{len(self.scenes)} scenes and {len(self.casts)} casts: mode zip needs as many of both"
            raise ValueError(message)
        return self

    @property
    def lines(self) -> int:
        """How many jobs that makes."""
        return len(self.scenes) if self.mode == "zip" else len(self.scenes) * len(self.casts)


def product_of(body: bytes) -> ProductBatch:
    """The request as JSON bytes. Raises MalformedBody, or a Refusal that names every wrong field."""
    try:
        return ProductBatch.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise invalid_fields_of(error) from error


def lines_of(batch: ProductBatch, reader: LineReader) -> Iterator[CheckedLine]:
    """The jobs of the batch, checked, with `scene-cast` as their custom ids."""
    scenes = [(scene.name or str(number), scene) for number, scene in enumerate(batch.scenes, 1)]
    casts = [(cast.name or str(number), cast) for number, cast in enumerate(batch.casts, 1)]
    specs = {id(scene): _with_seed(scene) for _, scene in scenes}
    pairs = zip(scenes, casts, strict=True) if batch.mode == "zip" else product(scenes, casts)
    for number, ((scene_name, scene), (cast_name, cast)) in enumerate(pairs, 1):
        values = {**specs[id(scene)], "concepts": cast.concepts, "lane": "batch"}
        yield reader.check(number, f"{scene_name}-{cast_name}", JobSpec.model_validate(values))


def _with_seed(scene: Scene) -> dict[str, object]:
    """The values of the scene that its jobs get; with a seed of its own where it had none."""
    values = {name: getattr(scene, name) for name in SceneSpec.model_fields}
    if scene.sampling.seed is None:
        values["sampling"] = scene.sampling.model_copy(update={"seed": secrets.randbelow(SEEDS)})
    return values
