"""Checkpoint files that are not what they should be: the error names the file and the first thing wrong with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from shared.errors import BundleError
from tests.support.tiny import TINY, tiny_generator
from worker.models.weights import checkpoint, folder_tensors, pickled

UNET = "sdxl/unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def load(folder: Path) -> None:
    tiny_generator(folder)


def changed(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    path.unlink()
    save_file(tensors, path)


def test_a_missing_tensor_is_named_and_not_filled_with_random_numbers(folder: Path) -> None:
    changed(folder / UNET, lambda tensors: tensors.pop("conv_in.weight"))
    with pytest.raises(BundleError, match=r"unet/diffusion_pytorch_model\.safetensors .*conv_in\.weight is missing"):
        load(folder)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(folder: Path) -> None:
    changed(folder / UNET, lambda tensors: tensors.update({"conv_out.bias": torch.zeros(9)}))
    with pytest.raises(BundleError, match=r"conv_out\.bias has shape \(9,\), expected \(4,\)"):
        load(folder)


def test_a_strangers_tensor_is_named_and_not_left_out_in_silence(folder: Path) -> None:
    path = folder / "identitynet" / "diffusion_pytorch_model.safetensors"
    changed(path, lambda tensors: tensors.update({"stranger": torch.zeros(1), "other": torch.zeros(1)}))
    with pytest.raises(BundleError, match=r"identitynet.*(stranger|other) belongs to another network \(and 1 more\)"):
        load(folder)


@pytest.mark.parametrize("group", ["ip_adapter", "image_proj"])
def test_an_adapter_that_lacks_a_tensor_is_named(folder: Path, group: str) -> None:
    path = folder / "ip-adapter.bin"
    weights = torch.load(path, weights_only=True)
    weights[group].popitem()
    torch.save(weights, path)
    with pytest.raises(BundleError, match=r"ip-adapter\.bin"):
        load(folder)


class Hostile:
    """Runs a command in the process that unpickles it."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self._proof}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, zipped: bool) -> None:
    path, proof = tmp_path / "ip-adapter.bin", tmp_path / "ran"
    torch.save({"ip_adapter": Hostile(proof)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BundleError, match=r"ip-adapter\.bin is damaged, or contains other objects than tensors"):
        pickled(path)
    assert not proof.exists()


def test_old_names_and_split_files_are_read(folder: Path) -> None:
    unet = folder / UNET
    tensors = load_file(unet)
    names = list(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, own in shards.items():
        save_file({name: tensors[name] for name in own}, unet.parent / shard)
    unet.unlink()
    places = {name: shard for shard, own in shards.items() for name in own}
    words = str({"weight_map": places}).replace("'", '"')
    (unet.parent / f"{unet.name}.index.json").write_text(words)
    vae = folder / "sdxl" / "vae" / "diffusion_pytorch_model.safetensors"
    old = {
        name.replace(".to_q.", ".query.").replace(".to_out.0.", ".proj_attn."): t for name, t in load_file(vae).items()
    }
    assert old.keys() != load_file(vae).keys()
    save_file(old, vae)
    load(folder)


def test_half_weights_are_taken_where_there_are_no_whole_ones(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "model.fp16.safetensors")
    assert folder_tensors(tmp_path, "model")[0].name == "model.fp16.safetensors"
    save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert folder_tensors(tmp_path, "model")[0].name == "model.safetensors"


def test_a_device_without_room_for_a_checkpoint_is_not_the_files_fault(folder: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError), checkpoint(folder):
        raise torch.OutOfMemoryError


def test_an_adapter_for_other_embeddings_than_faces_is_named_though_its_layout_is_the_same(folder: Path) -> None:
    path = folder / "ip-adapter.bin"
    weights = torch.load(path, weights_only=True)
    width = weights["image_proj"]["proj_in.weight"].shape[0]
    weights["image_proj"]["proj_in.weight"] = torch.zeros(width, 1280)
    torch.save(weights, path)
    with pytest.raises(BundleError, match=r"ip-adapter\.bin reads embeddings of 1280, not a face's of 512"):
        tiny_generator(folder)
