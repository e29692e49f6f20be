"""Jobs written as a scene and its cast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.client.photos import Photo
from shared.job import Concept, JobSpec

Cast = Photo | Sequence[Photo] | Mapping[str, object]
"""One person: a photo, several photos, or a concept's fields (`photos`, `prompt`, `negative_prompt`, `box_px`)."""


def scene(prompt: str, cast: Mapping[str, Cast], **fields: object) -> dict[str, object]:
    """A job as `submit` takes it.

    Args:
        prompt: the scene, such as "a man and a woman on the beach".
        cast: the person for each phrase of the scene.
        **fields: any other field of JobSpec: `sampling`, `lane`, `negative_prompt`, `retention_s`, ...

    Raises:
        TypeError: JobSpec or Concept has no field of this name.
    """
    _check("a job", fields, JobSpec.model_fields.keys() - {"prompt", "concepts"})
    return {"prompt": prompt, "concepts": [_concept(phrase, person) for phrase, person in cast.items()], **fields}


def _concept(phrase: str, person: Cast) -> dict[str, object]:
    if not isinstance(person, Mapping):
        return {"phrase": phrase, "photos": person}
    _check(f"the person {phrase!r}", person, Concept.model_fields.keys() - {"phrase"})
    return {"phrase": phrase, **person}


def _check(what: str, given: Mapping[str, object], known: set[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        message = f"{what} has no field {unknown[0]!r}; it has {', '.join(sorted(known))}"
        raise TypeError(message)
