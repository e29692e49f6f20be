"""Another base checkpoint: one single file or another folder gives the very networks that its own folder gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.errors import BundleError
from shared.settings import Settings
from tests.tiny import TINY, tiny_generator
from tests.unit.models.single_file import second_text, unet_name, vae_tensor
from worker.models.base import Base
from worker.models.catalog import recipe_of

SDXL = TINY / "sdxl"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden SDXL as one file."""
    unet = json.loads((SDXL / "unet" / "config.json").read_text())
    blocks = len(json.loads((SDXL / "vae" / "config.json").read_text())["block_out_channels"])
    attended = ["Attn" in kind for kind in unet["up_block_types"]]
    stem = "diffusion_pytorch_model.safetensors"
    tensors = {
        f"model.diffusion_model.{unet_name(name, unet['layers_per_block'], attended)}": tensor
        for name, tensor in load_file(SDXL / "unet" / stem).items()
    }
    for name, tensor in load_file(SDXL / "vae" / stem).items():
        old, wide = vae_tensor(name, tensor, blocks)
        tensors[f"first_stage_model.{old}"] = wide
    for name, tensor in load_file(SDXL / "text_encoder" / "model.safetensors").items():
        tensors[f"conditioner.embedders.0.transformer.text_model.{name}"] = tensor
    for name, tensor in second_text(load_file(SDXL / "text_encoder_2" / "model.safetensors")).items():
        tensors[f"conditioner.embedders.1.model.{name}"] = tensor
    path = tmp_path_factory.mktemp("single") / "tuned.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def test_a_single_file_gives_the_same_networks(single: Path) -> None:
    folder, file = tiny_generator().sdxl.pipeline, tiny_generator(base=Base(path=single)).sdxl.pipeline
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        wanted, found = getattr(folder, part).state_dict(), getattr(file, part).state_dict()
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted), part


def test_another_vae_brings_its_weights_and_its_configuration(tmp_path: Path) -> None:
    vae = Path(shutil.copytree(SDXL / "vae", tmp_path / "sdxl-vae-fp16-fix"))
    path = vae / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path) | {"decoder.conv_out.bias": torch.full((3,), 7.0)}
    path.unlink()
    save_file(tensors, path)
    words = json.loads((vae / "config.json").read_text()) | {"force_upcast": False}
    (vae / "config.json").write_text(json.dumps(words))
    loaded = tiny_generator(base=Base(path=SDXL, vae=vae)).sdxl.pipeline.vae
    assert loaded.decoder.conv_out.bias.tolist() == [7.0, 7.0, 7.0]
    assert not loaded.config.force_upcast


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    save_file({"lora_unet_down.weight": torch.zeros(1)}, path)
    with pytest.raises(BundleError, match=r"lora\.safetensors"):
        tiny_generator(base=Base(path=path))


def test_a_base_changes_the_bundles_fingerprint_and_must_exist(single: Path) -> None:
    plain, tuned = recipe_of(Settings()), recipe_of(Settings(base=str(single)))
    assert tuned.base == single
    assert plain.fingerprint() != tuned.fingerprint()
    with pytest.raises(BundleError, match="nowhere"):
        recipe_of(Settings(vae="nowhere"))
