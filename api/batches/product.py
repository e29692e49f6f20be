"""A batch of scenes and casts: every scene with every cast, or pairs in order."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.batches.lines import CheckedLine, LineReader
from api.jobs.intake import SEEDS
from shared.job import MAX_CONCEPTS, Concept, JobSpec, RequestModel, SceneSpec

Name = Annotated[str, StringConstraints(min_length=1, max_length=60)]
MOST_NAME_CHARS = 100


class Scene(SceneSpec):
    """A scene for one or several casts. A scene without a seed gets one, so that all casts share its template."""

    name: Name | None = Field(None, description="Part of the custom_id of its lines; default: the number of the scene")


class Cast(RequestModel):
    """People who appear in a scene together."""

    name: Name | None = Field(None, description="Part of the custom_id of its lines; default: the number of the cast")
    concepts: tuple[Concept, ...] = Field(min_length=1, max_length=MAX_CONCEPTS)


class ProductBatch(RequestModel):
    """A batch of scenes and casts."""

    scenes: tuple[Scene, ...] = Field(min_length=1)
    casts: tuple[Cast, ...] = Field(min_length=1)
    mode: Literal["product", "zip"] = Field(
        "product", description="product: every scene with every cast; zip: the i-th scene with the i-th cast"
    )
    strict: bool = Field(False, description="Reject the whole batch when a line is not valid")
    expires_after_s: int | None = Field(
        None, ge=1, le=31_536_000, description="Lines that have not ended after these seconds never run"
    )
    name: Annotated[str, StringConstraints(max_length=MOST_NAME_CHARS)] = Field("", description="A name of your choice")

    @model_validator(mode="after")
    def _zip_has_pairs(self) -> Self:
        if self.mode == "zip" and len(self.scenes) != len(self.casts):
            message = f"{len(self.scenes)} scenes and {len(self.casts)} casts: mode zip needs equal numbers"
            raise ValueError(message)
        return self

    @property
    def lines(self) -> int:
        """Number of jobs."""
        return len(self.scenes) if self.mode == "zip" else len(self.scenes) * len(self.casts)


def lines_of(batch: ProductBatch, reader: LineReader) -> Iterator[CheckedLine]:
    """The validated lines of the batch, with `scene-cast` as their custom ids."""
    scenes = [(scene.name or str(number), scene) for number, scene in enumerate(batch.scenes, 1)]
    casts = [(cast.name or str(number), cast) for number, cast in enumerate(batch.casts, 1)]
    specs = {id(scene): _with_seed(scene) for _, scene in scenes}
    pairs = zip(scenes, casts, strict=True) if batch.mode == "zip" else product(scenes, casts)
    for number, ((scene_name, scene), (cast_name, cast)) in enumerate(pairs, 1):
        values = {**specs[id(scene)], "concepts": cast.concepts, "lane": "batch"}
        yield reader.check(number, f"{scene_name}-{cast_name}", JobSpec.model_validate(values))


def _with_seed(scene: Scene) -> dict[str, object]:
    """The job fields of the scene, with a random seed if it has none."""
    values = {name: getattr(scene, name) for name in SceneSpec.model_fields}
    if scene.sampling.seed is None:
        values["sampling"] = scene.sampling.model_copy(update={"seed": secrets.randbelow(SEEDS)})
    return values
