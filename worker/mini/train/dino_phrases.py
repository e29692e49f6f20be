"""What a noun phrase denotes in a labelled scene, and captions of several phrases to train a phrase detector with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.mini.identity import HAIR_COLOURS, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

PLACES_IN_ROW = ("on the left", "on the right", "in the middle", "second from the left", "second from the right")
TRAITS = (
    "with glasses",
    "with a beard",
    "with a moustache",
    *(f"with {colour} hair" for colour in HAIR_COLOURS),
)
# Things that no scene shows; the tokenizer turns every one into [UNK], which has to find nobody.
STRANGE_WORDS = ("dog", "robot", "car", "tree")


@dataclass(frozen=True, kw_only=True)
class Person:
    """One labelled person: kind, traits as the world words them, and the box (x1, y1, x2, y2) in pixels."""

    kind: str
    traits: tuple[str, ...]
    box_px: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """A noun phrase in parts: "the" + "man" + "on the left" + "with glasses". Empty parts are not said."""

    article: str
    noun: str
    place: str = ""
    trait: str = ""

    @property
    def text(self) -> str:
        """The phrase as a person would type it."""
        return " ".join(part for part in (self.article, self.noun, self.place, self.trait) if part)


def denoted(phrase: Phrase, people: Sequence[Person]) -> frozenset[int] | None:
    """The indexes of the people (left to right) that the phrase denotes; None where people would disagree.

    "a man" denotes every man. A place word counts everyone in the row; where it hits somebody of another kind and
    several of the right kind stand elsewhere ("the woman on the right" of two women left of a man), there is no answer.
    """
    kind = [i for i, person in enumerate(people) if phrase.noun in ("person", person.kind)]
    chosen = [i for i in kind if not phrase.trait or phrase.trait in people[i].traits]
    if not phrase.place:
        return frozenset(chosen)
    index = _index_in_row(phrase.place, len(people))
    if index is None or (index not in kind and len(kind) > 1):
        return None
    return frozenset({index} & set(chosen))


def draw_phrases(people: Sequence[Person], rng: np.random.Generator) -> list[Phrase]:
    """One to seven different phrases in any order: about half true of somebody, the others near misses."""
    wanted = int(rng.choice((1, 2, 3, 5, 7), p=(0.15, 0.25, 0.2, 0.25, 0.15)))
    phrases: dict[str, Phrase] = {}
    for _ in range(30):
        phrase = _draw_true(people, rng) if people else _draw_any(rng)
        if rng.random() < 0.45:
            phrase = _miss(phrase, rng)
        if denoted(phrase, people) is not None:
            phrases.setdefault(phrase.text, phrase)
        if len(phrases) == wanted:
            break
    return list(phrases.values())


def _index_in_row(place: str, count: int) -> int | None:
    if place == "on the left":
        return 0 if count > 1 else None
    if place == "on the right":
        return count - 1 if count > 1 else None
    if place == "in the middle":
        return count // 2 if count % 2 and count > 1 else None
    if count < 3:
        return None
    return 1 if place == "second from the left" else count - 2


def _draw_true(people: Sequence[Person], rng: np.random.Generator) -> Phrase:
    index = int(rng.integers(len(people)))
    person = people[index]
    noun = "person" if rng.random() < 0.12 else person.kind
    places = [place for place in PLACES_IN_ROW if _index_in_row(place, len(people)) == index]
    style = rng.random()
    if places and style < 0.4:
        place = places[int(rng.integers(len(places)))]
        return Phrase(article="the" if rng.random() < 0.8 else "a", noun=noun, place=place)
    if person.traits and style < 0.72:
        return Phrase(article=_article(rng), noun=noun, trait=person.traits[int(rng.integers(len(person.traits)))])
    return Phrase(article=_article(rng), noun=noun)


def _draw_any(rng: np.random.Generator) -> Phrase:
    trait = TRAITS[int(rng.integers(len(TRAITS)))] if rng.random() < 0.4 else ""
    return Phrase(article=_article(rng), noun=KINDS[int(rng.integers(len(KINDS)))], trait=trait)


def _miss(phrase: Phrase, rng: np.random.Generator) -> Phrase:
    """The same phrase with one part changed: often nobody, sometimes somebody else."""
    choice = rng.random()
    if choice < 0.06:
        return replace(phrase, noun=STRANGE_WORDS[int(rng.integers(len(STRANGE_WORDS)))])
    if phrase.place and choice < 0.5:
        return replace(phrase, place=PLACES_IN_ROW[int(rng.integers(len(PLACES_IN_ROW)))])
    if phrase.trait and choice < 0.6:
        return replace(phrase, trait=TRAITS[int(rng.integers(len(TRAITS)))])
    return replace(phrase, noun=KINDS[int(rng.integers(len(KINDS)))])


def _article(rng: np.random.Generator) -> str:
    return "a" if rng.random() < 0.5 else "the"
