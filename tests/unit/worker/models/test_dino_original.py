from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertModel

from worker.concepts.boxes import iou
from worker.mini.train.dino_model import make_model, make_tokenizer, save
from worker.mini.train.dino_original import convert
from worker.models.dino import load_transformers_dino
from worker.models.dino_original import load_original_dino

PHRASES = ["a man", "the woman on the left"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same random weights in both layouts."""
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    model = make_model(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    save(model, make_tokenizer(["a", "the", "man", "woman", "on", "left"]), ours)
    convert(ours, theirs)
    return ours, theirs


# Sizes that neither engine scales (they scale by different libraries); the last leaves windows half empty.
@pytest.mark.parametrize("size", [(128, 128), (192, 128), (160, 128)])
def test_both_engines_give_the_same_answer(checkpoints: tuple[Path, Path], size: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    ours = load_transformers_dino(checkpoints[0], "cpu", torch.float32).detect(picture, PHRASES)
    theirs = load_original_dino(checkpoints[1], "cpu").detect(picture, PHRASES)
    for one, other in zip(ours, theirs, strict=True):
        assert one
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert a.score == pytest.approx(b.score, abs=1e-3)
            assert iou(a.box_px, b.box_px) > 0.99


def test_loading_leaves_transformers_as_it_was(checkpoints: tuple[Path, Path]) -> None:
    before = set(dir(BertModel))
    load_original_dino(checkpoints[1], "cpu")
    assert set(dir(BertModel)) == before


def test_phrases_too_long_for_the_text_encoder_are_refused(checkpoints: tuple[Path, Path]) -> None:
    picture = Image.new("RGB", (128, 128))
    long = ["the woman on the left " * 14]
    for detector in (
        load_transformers_dino(checkpoints[0], "cpu", torch.float32),
        load_original_dino(checkpoints[1], "cpu"),
    ):
        with pytest.raises(ValueError, match="the detector reads 64"):
            detector.detect(picture, long)


def test_a_missing_file_is_named(checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\*\.py or \*\.json"):
        load_original_dino(tmp_path, "cpu")
    (tmp_path / "config.json").write_text((checkpoints[1] / "config.json").read_text())
    with pytest.raises(FileNotFoundError, match="text encoder"):
        load_original_dino(tmp_path, "cpu")


def test_weights_of_another_model_are_refused(checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((checkpoints[1] / "config.json").read_text())
    (tmp_path / "text_encoder").symlink_to(checkpoints[1] / "text_encoder")
    weights = torch.load(checkpoints[1] / "weights.pth", weights_only=True)["model"]
    weights["stranger"] = weights.pop("transformer.tgt_embed.weight")
    torch.save({"model": weights}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"do not fit its config: transformer\.tgt_embed\.weight, stranger"):
        load_original_dino(tmp_path, "cpu")
