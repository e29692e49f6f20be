from __future__ import annotations

import numpy as np
import pytest

from worker.mini.train.dino_phrases import Person, Phrase, denoted, draw_phrases
from worker.mini.world import TRAIN_SEEDS, draw_scene

BOX = (0.0, 0.0, 1.0, 1.0)


def cast(*people: str) -> list[Person]:
    """People in short: "man+glasses"."""
    return [
        Person(kind=kind, traits=tuple(f"with {trait}" for trait in traits), box_px=BOX)
        for kind, *traits in (person.split("+") for person in people)
    ]


@pytest.mark.parametrize(
    ("phrase", "people", "expected"),
    [
        (Phrase(article="a", noun="man"), ("man", "woman", "man"), {0, 2}),
        (Phrase(article="a", noun="person"), ("man", "child"), {0, 1}),
        (Phrase(article="a", noun="child"), ("man", "woman"), set()),
        (Phrase(article="a", noun="dog"), ("man",), set()),
        (Phrase(article="the", noun="man", trait="with glasses"), ("man+glasses", "man", "woman+glasses"), {0}),
        (Phrase(article="the", noun="man", place="on the left"), ("man", "man"), {0}),
        (Phrase(article="the", noun="person", place="in the middle"), ("man", "woman", "man"), {1}),
        (Phrase(article="the", noun="man", place="second from the left"), ("man", "man", "man", "woman"), {1}),
        # The woman stands on the right: nobody is the woman on the left.
        (Phrase(article="the", noun="woman", place="on the left"), ("man", "woman"), set()),
        # The right one of two women, or nobody because a man stands farther right? People disagree.
        (Phrase(article="the", noun="woman", place="on the right"), ("woman", "woman", "man"), None),
        (Phrase(article="the", noun="man", place="on the left"), ("man",), None),
        (Phrase(article="the", noun="man", place="in the middle"), ("man", "man"), None),
    ],
)
def test_a_phrase_denotes(phrase: Phrase, people: tuple[str, ...], expected: set[int] | None) -> None:
    answer = denoted(phrase, cast(*people))
    assert answer == (None if expected is None else frozenset(expected))


def test_places_in_a_row_are_those_of_the_world() -> None:
    for seed in TRAIN_SEEDS[:20]:
        scene = draw_scene(seed, people=2 + seed % 4)
        people = [
            Person(kind=figure.kind, traits=figure.identity.phrase_traits, box_px=figure.box_px)
            for figure in scene.figures
        ]
        for index, figure in enumerate(scene.figures):
            (place,) = (phrase.split("person ", 1)[1] for phrase in figure.phrases if phrase.startswith("the person "))
            assert denoted(Phrase(article="the", noun="person", place=place), people) == frozenset({index})


def test_drawn_phrases_are_different_and_have_an_answer() -> None:
    people = cast("man+glasses", "woman+red hair", "man+a beard")
    rng = np.random.default_rng(0)
    absent = 0
    for _ in range(200):
        phrases = draw_phrases(people, rng)
        assert 1 <= len(phrases) <= 7
        assert len({phrase.text for phrase in phrases}) == len(phrases)
        answers = [denoted(phrase, people) for phrase in phrases]
        assert None not in answers
        absent += sum(not answer for answer in answers)
    assert absent > 50
