"""What the stages found <-> fields of a job's record, each short, so that a record stays small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from shared.job import MAX_CONCEPTS, MAX_PHOTOS
from shared.verification import ConceptRegion, FaceBoxPx, PhotoFaces, Swap, Verification, VerifiedFace

# Named once: every look at a job reads them.
_VERIFIED = tuple(f"v:{concept}" for concept in range(MAX_CONCEPTS))
_FACES = tuple(tuple(f"f:{concept}:{photo}" for photo in range(MAX_PHOTOS)) for concept in range(MAX_CONCEPTS))
_REGIONS = tuple(f"g:{concept}" for concept in range(MAX_CONCEPTS))


def region_field(concept: int) -> str:
    """Name of the field of a concept's region."""
    return f"g:{concept}"


def encode_verification(found: Verification) -> dict[str, str]:
    """A field a concept: identity and box, and who the face is nearer to; - for none."""
    swaps = {one.concept: f" {one.nearer_to}" for one in found.swaps}
    return {
        f"v:{concept}": "-"
        if face.face_box_px is None
        else _numbers(face.identity or 0.0, *face.face_box_px) + swaps.get(face.concept, "")
        for concept, face in enumerate(found.faces)
    }


def verification_in(fields: Mapping[str, str]) -> Verification | None:
    """Whose faces the picture shows; None for a job that was not verified."""
    if _VERIFIED[0] not in fields:
        return None
    faces, swaps = [], []
    for concept, name in enumerate(name for name in _VERIFIED if name in fields):
        identity, *words = fields[name].split()
        if not words:
            faces.append(VerifiedFace(concept=concept, identity=None, face_box_px=None))
            continue
        faces.append(VerifiedFace(concept=concept, identity=float(identity), face_box_px=_box(words)))
        swaps += [Swap(concept=concept, nearer_to=int(word)) for word in words[4:]]
    return Verification.of(faces, swaps)


def encode_faces(faces: Sequence[Sequence[PhotoFaces]]) -> dict[str, str]:
    """A field a photo: how many faces, and the box of the one that is taken."""
    return {
        f"f:{concept}:{number}": _numbers(photo.found, *(photo.box_px or ()))
        for concept, own in enumerate(faces)
        for number, photo in enumerate(own)
    }


def faces_in(fields: Mapping[str, str]) -> tuple[tuple[PhotoFaces, ...], ...]:
    """What each concept's photos show; nothing before they were looked at."""
    if _FACES[0][0] not in fields:
        return ()
    return tuple(tuple(_seen(fields[name]) for name in own if name in fields) for own in _FACES if own[0] in fields)


def encode_regions(regions: Sequence[ConceptRegion]) -> dict[str, str]:
    """A field a concept: its box and the detector's score."""
    return {region_field(concept): _numbers(*one.box_px, one.score) for concept, one in enumerate(regions)}


def regions_in(fields: Mapping[str, str]) -> tuple[ConceptRegion, ...]:
    """Where each concept is in the template; nothing before they were looked for."""
    if _REGIONS[0] not in fields:
        return ()
    return tuple(_region_of(fields[name]) for name in _REGIONS if name in fields)


# A job is looked at again and again while these stay the same, as its request does.
@lru_cache(maxsize=4096)
def _region_of(text: str) -> ConceptRegion:
    words = text.split()
    return ConceptRegion(box_px=_box(words), score=float(words[4]))


@lru_cache(maxsize=4096)
def _seen(text: str) -> PhotoFaces:
    found, *words = text.split()
    return PhotoFaces(found=int(found), box_px=_box(words) if words else None)


def _box(words: Sequence[str]) -> FaceBoxPx:
    x1, y1, x2, y2 = (float(word) for word in words[:4])
    return x1, y1, x2, y2


def _numbers(*numbers: float) -> str:
    return " ".join(f"{number:g}" for number in numbers)
