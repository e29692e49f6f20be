"""How well either engine finds the people of drawn scenes, by the number of people and the kind of phrase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from worker.mini.measure.scores import Estimate, rate
from worker.mini.train.dino_quality import measure
from worker.mini.world import EVAL_SEEDS, Scene, draw_scene
from worker.models.dino import PhraseDetector

Rates = Mapping[str, Mapping[str, Estimate]]


def draw_crowds(seed: int, count: int, people: Sequence[int]) -> list[Scene]:
    """`count` scenes for each number of people, all from the evaluation seeds."""
    scenes = []
    for number in range(count):
        for many in people:
            rng = np.random.default_rng([seed, number, many, 7])
            scenes.append(draw_scene(int(rng.integers(EVAL_SEEDS.start, EVAL_SEEDS.stop)), people=many))
    return scenes


def find_people(detector: PhraseDetector, scenes: Sequence[Scene]) -> Rates:
    """By kind of phrase and by number of people: recall at IoU 0.5, wrong_person, missing.

    A row `absent` asks for somebody who is not there: its recall is the share of rightly nobody.
    """
    names = {"found": "recall", "wrong": "wrong_person", "missing": "missing"}
    rates = {}
    for kind, shares in measure(detector, scenes).items():
        asked = int(shares["asked"])
        rates[kind] = {name: rate(round(shares[key] * asked), asked) for key, name in names.items()}
    return rates
