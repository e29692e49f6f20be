"""How well a phrase detector finds the people of unseen scenes, by kind of phrase.

    python -m worker.mini.train.dino_quality --folder worker/mini/checkpoints/dino --scenes 300 [--degraded]

Every person of a scene is asked for at once, each by one of the phrases that denote only that person, and every scene
is asked once for somebody who is not there.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from worker.concepts.assign import THRESHOLD, Matched, assign
from worker.concepts.boxes import iou
from worker.mini.train.dino_batches import degrade
from worker.mini.train.dino_phrases import PLACES_IN_ROW, TRAITS
from worker.mini.world import EVAL_SEEDS, KINDS, draw_scene
from worker.models.dino import detect_phrases, load_transformers_dino
from worker.models.dino_original import load_original_dino

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.mini.world import Scene
    from worker.models.dino import PhraseDetector

FOUND_IOU = 0.5


def measure(detector: PhraseDetector, scenes: Iterable[Scene]) -> dict[str, dict[str, float]]:
    """Rates by kind of phrase (kind, place, trait, all): found, wrong person, missing; and `absent`: rightly nobody.

    An answer is wrong when its box lies on another person (IoU at least 0.5), missing when there is none or it lies on
    nobody.
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for number, scene in enumerate(scenes):
        rng = np.random.default_rng([number, 4])
        picture = Image.fromarray(scene.picture)
        if scene.figures:
            phrases = [figure.phrases[int(rng.integers(len(figure.phrases)))] for figure in scene.figures]
            seen = detect_phrases(detector, picture, phrases)
            outcome = assign(phrases, seen.candidates, everybody=seen.everybody)
            for index, phrase in enumerate(phrases):
                verdict = "missing"
                if isinstance(outcome, Matched):
                    on = [iou(outcome.matches[index].box_px, figure.box_px) >= FOUND_IOU for figure in scene.figures]
                    verdict = "found" if on[index] else "wrong" if any(on) else "missing"
                for kind in (_kind_of(phrase), "all", f"{len(phrases)} people"):
                    counts[kind][verdict] += 1
        nobody = _absent(scene, rng)
        if nobody:
            best = max((one.score for one in detector.detect(picture, [nobody])[0]), default=0.0)
            counts["absent"]["found" if best < THRESHOLD else "wrong"] += 1
    return {kind: _rates(found) for kind, found in sorted(counts.items())}


def degraded(scene_picture: np.ndarray, seed: int) -> np.ndarray:
    """The picture as a mediocre generator might leave it, as in training."""
    pixels = torch.from_numpy(scene_picture.copy()).permute(2, 0, 1)[None].float() / 255
    spoiled = degrade(pixels, torch.Generator().manual_seed(seed))
    return (spoiled[0].permute(1, 2, 0) * 255).round().byte().numpy()


def _kind_of(phrase: str) -> str:
    if any(place in phrase for place in PLACES_IN_ROW):
        return "place"
    return "trait" if " with " in phrase else "kind"


def _absent(scene: Scene, rng: np.random.Generator) -> str | None:
    """A kind nobody is of, or a kind with a trait that nobody of it has."""
    kinds = {figure.kind for figure in scene.figures}
    if rng.random() < 0.5:
        absent = [f"a {kind}" for kind in KINDS if kind not in kinds]
    else:
        absent = [
            f"the {kind} {trait}"
            for kind in KINDS
            for trait in TRAITS
            if all(figure.kind != kind or trait not in figure.identity.phrase_traits for figure in scene.figures)
        ]
    return absent[int(rng.integers(len(absent)))] if absent else None


def _rates(verdicts: dict[str, int]) -> dict[str, float]:
    asked = sum(verdicts.values())
    rates = {name: round(verdicts.get(name, 0) / asked, 4) for name in ("found", "wrong", "missing")}
    return {"asked": asked, **rates}


def main() -> None:
    """Print one line of JSON a kind of phrase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("worker/mini/checkpoints/dino"))
    parser.add_argument("--original", action="store_true", help="the folder is laid out for groundingdino-py")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="how many evaluation seeds to skip")
    parser.add_argument("--degraded", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.original:
        detector = load_original_dino(asked.folder, "cpu")
    else:
        detector = load_transformers_dino(asked.folder, "cpu", torch.float32)
    # People as in the training set: mostly the seed's own nobody to two, every fifth scene three to five.
    scenes = []
    for number in range(asked.scenes):
        people = 3 + number // 5 % 3 if number % 5 == 0 else None
        scene = draw_scene(EVAL_SEEDS.start + asked.first + number, people=people)
        scenes.append(_spoiled(scene, number) if asked.degraded else scene)
    for kind, rates in measure(detector, scenes).items():
        print(json.dumps({"phrases": kind, **rates}))


def _spoiled(scene: Scene, seed: int) -> Scene:
    return replace(scene, picture=degraded(scene.picture, seed))


if __name__ == "__main__":
    main()
