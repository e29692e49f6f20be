"""Who is where: a place for every concept, or an error that says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.errors import NoTemplateFace, PhraseNotFound, RequestError, SamePerson
from shared.orders import DetectConcept
from worker.concepts.boxes import Box, Candidate
from worker.models.bundle import Detection
from worker.models.faces import FaceBox
from worker.stages.detect import DetectedRegions, detect

MAN, WOMAN = (4.0, 20.0, 60.0, 128.0), (66.0, 24.0, 122.0, 128.0)
FACES = ((16.0, 30.0, 48.0, 66.0), (78.0, 34.0, 110.0, 70.0))
SCENE = np.zeros((128, 128, 3), np.uint8)


@dataclass
class KnowsPeople:
    """A detector that knows who answers to which phrase."""

    people: dict[str, Sequence[Box]]
    asked: list[Sequence[str]]

    def detect(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Candidate]]:
        self.asked.append(phrases)
        if any(not phrase.strip(".") for phrase in phrases):
            message = "the phrase has no words to look for"
            raise ValueError(message)
        return [[Candidate(box_px=box, score=0.8) for box in self.people.get(phrase, ())] for phrase in phrases]


@dataclass
class KnowsFaces:
    faces: Sequence[Box]

    def find(self, picture: Any) -> list[FaceBox]:
        return [FaceBox(box_px=box, keypoints_px=((box[0], box[1]),) * 5, score=0.9) for box in self.faces]


def run(
    *concepts: DetectConcept, people: dict[str, Sequence[Box]] | None = None, faces: Sequence[Box] = FACES
) -> tuple[DetectedRegions, KnowsPeople]:
    phrases = KnowsPeople(people={"the man": [MAN], "the woman": [WOMAN]} if people is None else people, asked=[])
    eyes: Any = KnowsFaces(faces)
    detection = Detection(faces=eyes, phrases=phrases, engine="knows")
    return detect(detection, SCENE, concepts, "box", lambda _i, _n: None), phrases


def concept(phrase: str, box_px: Box | None = None) -> DetectConcept:
    return DetectConcept(phrase=phrase, box_px=box_px)


def test_regions_and_masks_come_in_the_order_of_the_concepts() -> None:
    found, _ = run(concept("the woman"), concept("the man"))
    assert [region.box_px for region in found.regions] == [WOMAN, MAN]
    assert [region.face_box_px for region in found.regions] == [FACES[1], FACES[0]]
    assert found.masks[100, 90] == 1
    assert found.masks[100, 30] == 2
    assert found.masks[5, 63] == 0


def test_an_explicit_box_is_taken_as_it_is_and_its_phrase_is_not_looked_for() -> None:
    mine = (60.0, 20.0, 126.0, 128.0)
    found, detector = run(concept("anybody", mine), concept("the man"))
    assert detector.asked == [["the man"]]
    assert found.regions[0].box_px == mine
    assert found.regions[0].explicit
    assert not found.regions[1].explicit


def test_phrases_are_looked_for_one_by_one_without_their_places_and_everybody_only_to_count() -> None:
    people: dict[str, Sequence[Box]] = {"the person": [MAN, WOMAN], "a person": [MAN, WOMAN]}
    found, detector = run(concept("the person on the right"), concept("the person on the left"), people=people)
    assert detector.asked == [["the person"], ["a person"]]
    assert [region.box_px for region in found.regions] == [WOMAN, MAN]


def test_with_boxes_for_everybody_the_detector_is_not_asked_at_all() -> None:
    _, detector = run(concept("a", MAN), concept("b", WOMAN))
    assert detector.asked == []


@pytest.mark.parametrize(
    ("concepts", "people", "faces", "error", "words"),
    [
        (["the man", "the dog"], None, FACES, PhraseNotFound, "'the dog'"),
        (["..."], None, FACES, PhraseNotFound, "no words"),
        (["the man", "the man"], None, FACES, SamePerson, "only the same person"),
        (["the man", "the woman"], None, FACES[:1], NoTemplateFace, "'the woman'"),
    ],
)
def test_what_cannot_be_served_says_which_phrase_and_why(
    concepts: list[str],
    people: dict[str, Sequence[Box]] | None,
    faces: Sequence[Box],
    error: type[RequestError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        run(*map(concept, concepts), people=people, faces=faces)
