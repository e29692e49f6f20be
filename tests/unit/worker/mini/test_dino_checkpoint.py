"""The committed mini detector on scenes it has never seen, through both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from worker import mini
from worker.concepts.assign import Matched, assign
from worker.concepts.boxes import iou
from worker.mini.train.dino_quality import measure
from worker.mini.world import EVAL_SEEDS, Scene, draw_scene
from worker.models.dino import PhraseDetector, load_transformers_dino
from worker.models.dino_original import load_original_dino

CHECKPOINTS = Path(mini.__path__[0]) / "checkpoints"


@pytest.fixture(scope="module")
def detector() -> PhraseDetector:
    return load_transformers_dino(CHECKPOINTS / "dino", "cpu", torch.float32)


def couples(count: int) -> list[Scene]:
    return [draw_scene(seed, people=2) for seed in EVAL_SEEDS[5000 : 5000 + count]]


def test_it_finds_the_people_of_unseen_scenes(detector: PhraseDetector) -> None:
    rates = measure(detector, couples(25))
    assert rates["all"]["found"] >= 0.9
    assert rates["all"]["wrong"] <= 0.05


def test_place_words_tell_two_people_apart(detector: PhraseDetector) -> None:
    for scene in couples(10):
        left, right = scene.figures
        phrases = [f"the {right.kind} on the right", f"the {left.kind} on the left"]
        outcome = assign(phrases, detector.detect(Image.fromarray(scene.picture), phrases))
        assert isinstance(outcome, Matched)
        assert iou(outcome.matches[0].box_px, right.box_px) > 0.5
        assert iou(outcome.matches[1].box_px, left.box_px) > 0.5


def test_both_engines_see_the_same_people(detector: PhraseDetector) -> None:
    original = load_original_dino(CHECKPOINTS / "dino-original", "cpu")
    for scene in couples(5):
        picture = Image.fromarray(scene.picture)
        phrases = [figure.phrases[0] for figure in scene.figures]
        for ours, theirs in zip(detector.detect(picture, phrases), original.detect(picture, phrases), strict=True):
            assert len(ours) == len(theirs)
            for a, b in zip(ours, theirs, strict=True):
                assert a.score == pytest.approx(b.score, abs=2e-3)
                assert iou(a.box_px, b.box_px) > 0.99


def test_each_checkpoint_is_small() -> None:
    for name in ("dino", "dino-original"):
        size = sum(path.stat().st_size for path in (CHECKPOINTS / name).rglob("*") if path.is_file())
        assert size < 8_000_000
