"""The closed grammar of the drawn world: captions of scenes, and phrases that denote one person in a scene."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from worker.mini.identity import HAIR_COLOURS, KINDS, Identity
from worker.mini.places import PLACES

_PLURAL = {"man": "men", "woman": "women", "child": "children"}
_COUNT = {2: "two", 3: "three", 4: "four", 5: "five"}
_POSITIONS: dict[int, tuple[str, ...]] = {
    1: ("",),
    2: ("on the left", "on the right"),
    3: ("on the left", "in the middle", "on the right"),
    4: ("on the left", "second from the left", "second from the right", "on the right"),
    5: ("on the left", "second from the left", "in the middle", "second from the right", "on the right"),
}
VOCABULARY: tuple[str, ...] = tuple(
    sorted(
        {word for place in PLACES for word in place.split()}
        | {word for words in _POSITIONS.values() for position in words for word in position.split()}
        | {*KINDS, *_PLURAL.values(), *_COUNT.values(), *HAIR_COLOURS}
        | {
            "a",
            "and",
            "at",
            "beard",
            "glasses",
            "hair",
            "moustache",
            "night",
            "nobody",
            "person",
            "people",
            "the",
            "with",
        }
    )
)


def caption_of(cast: Sequence[Identity], place: str, rng: np.random.Generator, *, night: bool) -> str:
    """One caption of a scene; people are always named from left to right.

    A third of the captions count people of a kind who stand together ("two women and a man"), a third name a trait of
    some, and a third say where each one stands.
    """
    style = int(rng.integers(3))
    if not cast:
        people = "nobody"
    elif style == 0 or (style == 2 and len(cast) == 1):
        runs = [(kind, len(list(run))) for kind, run in groupby(person.kind for person in cast)]
        people = " and ".join(f"a {kind}" if n == 1 else f"{_COUNT[n]} {_PLURAL[kind]}" for kind, n in runs)
    elif style == 1:
        people = " and ".join(_with_trait(person, rng) for person in cast)
    else:
        places = _POSITIONS[len(cast)]
        people = " and ".join(f"a {person.kind} {where}" for person, where in zip(cast, places, strict=True))
    return f"{people} {place} at night" if night else f"{people} {place}"


def phrases_of(cast: Sequence[Identity]) -> tuple[tuple[str, ...], ...]:
    """For each person, left to right, the noun phrases that denote that person and nobody else of the scene.

    "a man" and "the man" when there is no other man, "a person" for someone alone, the place in the row, and each trait
    that nobody else of the kind has.
    """
    phrases = []
    for index, person in enumerate(cast):
        rivals = [other for i, other in enumerate(cast) if other.kind == person.kind and i != index]
        own = [] if rivals else [f"a {person.kind}", f"the {person.kind}"]
        where = _POSITIONS[len(cast)][index]
        if where:
            own += [f"the {person.kind} {where}", f"the person {where}"]
        else:
            own.append("a person")
        shared = {trait for rival in rivals for trait in rival.phrase_traits}
        for trait in person.phrase_traits:
            if trait not in shared:
                own.append(f"the {person.kind} {trait}")
                if not rivals:
                    own.append(f"a {person.kind} {trait}")
        phrases.append(tuple(own))
    return tuple(phrases)


def _with_trait(person: Identity, rng: np.random.Generator) -> str:
    traits = person.phrase_traits
    if not traits or rng.random() < 0.25:
        return f"a {person.kind}"
    return f"a {person.kind} {traits[int(rng.integers(len(traits)))]}"
