from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import init_empty_weights
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig

from shared.errors import BundleError
from shared.settings import Settings
from tests.support.safety import ALWAYS, NEVER, write_safety
from tests.support.sparse_checkpoints import write_sparse
from worker.models.catalog import missing
from worker.models.safety import SafetyCheck, load_safety, squares_of

CPU = torch.device("cpu")
BLACK = np.zeros((64, 64, 3), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)


def checker(folder: Path, threshold: float) -> SafetyCheck:
    return load_safety(write_safety(folder, threshold), CPU)


@pytest.mark.parametrize(("threshold", "verdict"), [(ALWAYS, True), (NEVER, False)])
def test_the_thresholds_of_the_checkpoint_decide(tmp_path: Path, threshold: float, verdict: bool) -> None:
    found = checker(tmp_path, threshold)
    assert [found.forbids(picture) for picture in (BLACK, NOISE)] == [verdict, verdict]


def test_the_picture_decides_and_a_forbidden_part_forbids_the_whole(tmp_path: Path) -> None:
    found = checker(tmp_path, NEVER)
    for threshold in np.arange(-1, 1, 0.01):
        found.network.concept_embeds_weights.fill_(threshold)
        if found.forbids(BLACK) != found.forbids(NOISE):
            break
    bad, good = (BLACK, NOISE) if found.forbids(BLACK) else (NOISE, BLACK)
    assert (found.forbids(bad), found.forbids(good)) == (True, False)
    for beside in (np.hstack, np.vstack):
        assert [found.forbids(beside(parts)) for parts in ((good, good), (good, bad), (bad, good))] == [
            False,
            True,
            True,
        ]


@pytest.mark.parametrize("size_px", [(64, 64), (64, 96), (150, 64), (64, 129)])
def test_every_pixel_is_in_a_square(size_px: tuple[int, int]) -> None:
    height_px, width_px = size_px
    picture = np.zeros((height_px, width_px, 3), np.uint8)
    squares = squares_of(picture)
    assert {square.shape[:2] for square in squares} == {(64, 64)}
    for square in squares:
        square[:] = 1
    assert picture.all()


def test_another_checkpoint_has_another_name(tmp_path: Path) -> None:
    one, two = (
        checker(tmp_path / str(number) / "safety", threshold) for number, threshold in ((1, ALWAYS), (2, NEVER))
    )
    assert one.name.startswith("safety@")
    assert one.name != two.name


def test_what_is_missing_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "safety"

    def lacking(**changed: str) -> list[str]:
        return missing(Settings.model_validate({"safety_checkpoint": str(folder), **changed}))

    assert lacking() == [f"TROUPE_SAFETY_CHECKPOINT: {folder} is missing"]
    assert lacking(role="detection") == []
    write_safety(folder, NEVER)
    assert lacking() == []
    (folder / "preprocessor_config.json").unlink()
    assert lacking() == [f"TROUPE_SAFETY_CHECKPOINT: {folder / 'preprocessor_config.json'} is missing"]


def test_a_tensor_that_is_missing_is_named_and_not_made_up(tmp_path: Path) -> None:
    path = write_safety(tmp_path, NEVER) / "pytorch_model.bin"
    weights = torch.load(path)
    del weights["concept_embeds"]
    torch.save(weights, path)
    with pytest.raises(BundleError, match=r"pytorch_model.bin does not fit .*concept_embeds is missing"):
        load_safety(tmp_path, CPU)
    path.unlink()
    with pytest.raises(BundleError, match=r"model.safetensors is missing"):
        load_safety(tmp_path, CPU)


def test_a_checker_of_full_size_loads(tmp_path: Path) -> None:
    # CLIP ViT-L/14, whose sizes the published checker has: 304 million weights of 4 bytes are its 1.22 GB.
    write_safety(tmp_path, NEVER)
    eyes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    large = CLIPConfig(vision_config={**eyes, "image_size": 224, "patch_size": 14}, projection_dim=768)
    large.save_pretrained(tmp_path)
    with init_empty_weights():
        layout = StableDiffusionSafetyChecker(large).state_dict()
    write_sparse(tmp_path / "model.safetensors", layout, torch.float32)
    network = load_safety(tmp_path, CPU).network
    assert sum(weight.numel() for weight in network.parameters()) == 303_981_588
