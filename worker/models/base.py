"""Reads the base weights of SDXL: a diffusers folder or a single file, and optionally another VAE."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from diffusers.loaders import single_file_utils

from shared.errors import BundleError
from worker.models.weights import Tensors, checkpoint, file_tensors, folder_tensors

Part = Literal["unet", "vae", "text_encoder", "text_encoder_2"]
_STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
_SCHEDULER = "scheduler_config.json"
# Tensors that mark the noise schedules of Playground v2.5 and CosXL (the same source file).
_OTHER_NOISE_SCHEDULES = {"edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min"}
# Prefixes of the text encoders in a single file of SDXL (Stability-AI/generative-models, sd_xl_base.yaml).
_FIRST, _SECOND = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."


@dataclass(frozen=True, kw_only=True)
class Base:
    """Base weights of SDXL. path: a diffusers folder or a single safetensors file; vae: the same for the VAE only."""

    path: Path
    vae: Path | None = None

    def configuration(self, part: Part, folder: Path) -> Path:
        """The folder with a part's configuration: that of the other VAE, if it has one, or the bundle's SDXL folder."""
        own = _vae_folder(self.vae) if part == "vae" and self.vae is not None else None
        return own if own is not None and (own / "config.json").is_file() else folder / part

    def scheduler(self) -> dict[str, Any] | None:
        """Scheduler values that the base weights prescribe; None if there are none. Raises BundleError.

        A folder has a complete configuration. In a single file, an empty tensor `v_pred` marks a model that predicts v,
        and `ztsnr` one whose noise schedule ends at zero SNR (comfyanonymous/ComfyUI, comfy/supported_models.py,
        SDXL.model_type). Sampling reaches zero SNR only with trailing timesteps (arXiv 2305.08891, section 3.3).
        """
        if self.path.is_dir():
            folder = self.path / "scheduler"
            return _checked(folder) if (folder / _SCHEDULER).is_file() else None
        names = file_tensors(self.path).keys()
        if wrong := sorted(names & _OTHER_NOISE_SCHEDULES):
            raise BundleError(
                f"checkpoint {self.path} uses a noise schedule that SDXL does not support: it contains {wrong[0]}"
            )
        if "v_pred" not in names:
            return None
        own: dict[str, Any] = {"prediction_type": "v_prediction"}
        return own | ({"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if "ztsnr" in names else {})

    def tensors(self, part: Part, network: Any) -> tuple[Path, Tensors]:
        """The weights of a part under the names of `network`, and the file they come from. Raises BundleError."""
        if part == "vae" and self.vae is not None:
            return _vae_tensors(self.vae, network)
        return _part_tensors(self.path, part, network)


def _checked(folder: Path) -> dict[str, Any]:
    path = folder / _SCHEDULER
    with checkpoint(path):
        own: dict[str, Any] = json.loads(path.read_text())
    kind = own.get("prediction_type", "epsilon")
    if kind not in {"epsilon", "v_prediction"} or "beta_start" not in own:
        raise BundleError(f"checkpoint {path} is not a scheduler of SDXL: {own.get('_class_name')}, prediction {kind}")
    return own


def _vae_tensors(path: Path, network: Any) -> tuple[Path, Tensors]:
    if path.is_dir():
        return folder_tensors(_vae_folder(path), _STEMS["vae"])
    tensors = file_tensors(path)
    if any(name.startswith("decoder.mid_block.") for name in tensors):
        return path, tensors
    with checkpoint(path):
        return path, single_file_utils.convert_ldm_vae_checkpoint(dict(tensors), network.config)


def _vae_folder(path: Path) -> Path:
    """The folder of the VAE: `path` itself, or its subfolder `vae` if `path` is an SDXL folder."""
    return path / "vae" if (path / "vae").is_dir() else path


def _part_tensors(path: Path, part: Part, network: Any) -> tuple[Path, Tensors]:
    if path.is_dir():
        return folder_tensors(path / part, _STEMS.get(part, "model"))
    if path.suffix != ".safetensors":
        raise BundleError(f"checkpoint {path} is missing, or neither a folder nor a .safetensors file")
    tensors = dict(file_tensors(path))
    with checkpoint(path):
        found: dict[str, Any]
        match part:
            case "unet":
                found = single_file_utils.convert_ldm_unet_checkpoint(tensors, network.config)
            case "vae":
                found = single_file_utils.convert_ldm_vae_checkpoint(tensors, network.config)
            case "text_encoder":
                found = _under(tensors, _FIRST)
            case "text_encoder_2":
                second = {name: tensor for name, tensor in tensors.items() if name.startswith(_SECOND)}
                found = single_file_utils.convert_open_clip_checkpoint(network, second, prefix=_SECOND)
    if not found:
        raise BundleError(f"checkpoint {path} does not contain {part} of SDXL")
    return path, found


def _under(tensors: Tensors, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
