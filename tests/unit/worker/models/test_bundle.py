"""A bundle that cannot be used says which file is wrong, whatever library met it first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.errors import BundleError
from shared.settings import Settings
from worker.models.bundle import load_bundle
from worker.models.catalog import MINI


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The mini bundle as a folder of one's own."""
    return Path(shutil.copytree(MINI, tmp_path / "bundle"))


@pytest.mark.parametrize(
    ("part", "role"),
    [
        ("sdxl/unet/diffusion_pytorch_model.safetensors", "generation"),
        ("sdxl/vae/diffusion_pytorch_model.safetensors", "generation"),
        ("sdxl/text_encoder/model.safetensors", "generation"),
        ("identitynet/diffusion_pytorch_model.safetensors", "generation"),
        ("ip-adapter.bin", "generation"),
        ("dino/model.safetensors", "detection"),
        ("faces/models/mini/detector.onnx", "detection"),
    ],
)
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_missing_or_truncated_file_is_a_bundle_error_that_names_its_part(
    folder: Path, part: str, role: str, harm: str
) -> None:
    path = folder / part
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BundleError) as raised:
        load_bundle(Settings(bundle=str(folder), device="cpu"), "generation" if role == "generation" else "detection")
    assert part.split("/", maxsplit=1)[0] in raised.value.message


def test_a_role_loads_only_what_it_needs(folder: Path) -> None:
    shutil.rmtree(folder / "sdxl")
    bundle = load_bundle(Settings(bundle=str(folder), device="cpu"), "detection")
    assert bundle.generation is None
    assert bundle.detection is not None
    assert bundle.detection.engine == "transformers"


def test_weights_held_otherwise_are_another_generation_and_the_same_bundle(folder: Path) -> None:
    choices = [{}, {"dtype": "float16"}, {"memory": "quantized"}]
    bundles = [
        load_bundle(Settings.model_validate({"bundle": str(folder), "device": "cpu", **choice}), "generation")
        for choice in choices
    ]
    assert len({bundle.name for bundle in bundles}) == 1
    names = [bundle.generation.name for bundle in bundles if bundle.generation is not None]
    assert names == [f"{bundles[0].name}+{held}" for held in ("float32", "float16", "float32+quantized")]
