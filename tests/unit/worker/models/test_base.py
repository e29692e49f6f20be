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
from tests.support.single_file import second_text, unet_name, vae_tensor
from tests.support.tiny import TINY, tiny_generator
from worker.models.base import Base
from worker.models.catalog import bundle_spec_of
from worker.models.schedulers import make_solver

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
    plain, tuned = bundle_spec_of(Settings()), bundle_spec_of(Settings(base=str(single)))
    assert tuned.base == single
    assert plain.fingerprint() != tuned.fingerprint()
    with pytest.raises(BundleError, match="nowhere"):
        bundle_spec_of(Settings(vae="nowhere"))


def test_a_folder_that_predicts_v_is_sampled_as_its_own_scheduler_says(tmp_path: Path) -> None:
    base = Path(shutil.copytree(SDXL, tmp_path / "tuned"))
    reschedule(base, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
    configuration = tiny_generator(base=Base(path=base)).sdxl.pipeline.scheduler.config
    solver = make_solver(configuration, "euler", steps=4, seed=0)
    assert solver.timesteps[0] == 999
    x, v = torch.full((1, 4, 2, 2), 3.0), torch.full((1, 4, 2, 2), 5.0)
    # Where no signal is left, v is the clean picture's opposite.
    assert torch.allclose(solver.clean(v, 0, x), -v, atol=0.01)


@pytest.mark.parametrize("changed", [{"prediction_type": "sample"}, {"beta_start": None}])
def test_a_folder_with_a_scheduler_that_no_solver_of_ours_follows_is_named(
    tmp_path: Path, changed: dict[str, str | None]
) -> None:
    base = Path(shutil.copytree(SDXL, tmp_path / "tuned"))
    reschedule(base, **changed)
    with pytest.raises(BundleError, match=r"tuned/scheduler/scheduler_config\.json is not a scheduler of SDXL"):
        tiny_generator(base=Base(path=base))


@pytest.mark.parametrize("markers", [("v_pred",), ("v_pred", "ztsnr"), ()])
def test_a_single_file_that_says_it_predicts_v_is_sampled_so(
    single: Path, tmp_path: Path, markers: tuple[str, ...]
) -> None:
    path = tmp_path / "tuned.safetensors"
    save_file(load_file(single) | {name: torch.zeros(0) for name in markers}, path)
    found = tiny_generator(base=Base(path=path)).sdxl.pipeline.scheduler.config
    assert (found.prediction_type == "v_prediction") == ("v_pred" in markers)
    assert found.rescale_betas_zero_snr == ("ztsnr" in markers)
    assert (found.timestep_spacing == "trailing") == ("ztsnr" in markers)
    assert found.beta_end == 0.012


def test_a_single_file_trained_on_another_noise_is_named(single: Path, tmp_path: Path) -> None:
    path = tmp_path / "playground.safetensors"
    save_file(load_file(single) | {"edm_mean": torch.zeros(4)}, path)
    with pytest.raises(
        BundleError, match=r"playground\.safetensors uses a noise schedule that SDXL does not support.* edm_mean"
    ):
        tiny_generator(base=Base(path=path))


def reschedule(folder: Path, **changed: object) -> None:
    """Changes the scheduler's configuration of an SDXL folder; None takes an entry out."""
    path = folder / "scheduler" / "scheduler_config.json"
    words = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({name: value for name, value in words.items() if value is not None}))
