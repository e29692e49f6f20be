"""The generator's networks from checkpoint files: local files only, and only where every name and shape fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, ControlNetModel, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from transformers.utils import logging as transformers_logging

from worker.models.instantid import InstantId, load_instantid
from worker.models.sdxl import Sdxl
from worker.models.weights import checkpoint, fill, folder_tensors

# Class of each part of SDXL, and how its weights are called before their ending.
_PARTS: dict[str, tuple[Any, str]] = {
    "unet": (UNet2DConditionModel, "diffusion_pytorch_model"),
    "vae": (AutoencoderKL, "diffusion_pytorch_model"),
    "text_encoder": (CLIPTextModel, "model"),
    "text_encoder_2": (CLIPTextModelWithProjection, "model"),
}


@dataclass(frozen=True, kw_only=True)
class Generator:
    """The networks of the generation role."""

    sdxl: Sdxl
    instantid: InstantId


def load_generator(
    *,
    sdxl: Path,
    identitynet: Path,
    adapter: Path,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Generator:
    """SDXL, IdentityNet and the adapter, ready to run. Raises BundleError for files that are missing or do not fit."""
    _quieten()
    networks = {part: _loaded(*names, sdxl / part, dtype) for part, names in _PARTS.items()}
    with checkpoint(sdxl):
        pipeline = StableDiffusionXLPipeline.from_pretrained(
            sdxl, **networks, local_files_only=True, add_watermarker=False
        )
    controlnet = _loaded(ControlNetModel, "diffusion_pytorch_model", identitynet, dtype)
    instantid = load_instantid(pipeline, adapter, controlnet.to(device))
    pipeline.to(device)
    instantid.resampler.to(device=device, dtype=dtype).eval()
    return Generator(sdxl=Sdxl(pipeline=pipeline), instantid=instantid)


def _loaded(network_class: Any, stem: str, folder: Path, dtype: torch.dtype) -> Any:
    with checkpoint(folder):
        network = _empty(network_class, folder)
    path, tensors = folder_tensors(folder, stem)
    fill(network, tensors, dtype=dtype, source=path)
    return network


def _empty(network_class: Any, folder: Path) -> Any:
    """A network as its configuration describes it, without memory for its weights."""
    if network_class in {CLIPTextModel, CLIPTextModelWithProjection}:
        text = CLIPTextConfig.from_pretrained(folder, local_files_only=True)
        with init_empty_weights():
            return network_class(text)
    configuration = network_class.load_config(folder, local_files_only=True)
    with init_empty_weights():
        return network_class.from_config(configuration)


def _quieten() -> None:
    """No progress bars on a worker's log, and no advice about the CLIP image encoder, which InstantID does not have."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
