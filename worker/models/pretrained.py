"""Loads the generator's networks from local checkpoint files, checking every name and shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from transformers.utils import logging as transformers_logging

from worker.models.base import Base, Part
from worker.models.instantid import InstantId, load_instantid
from worker.models.quantize import store_in_8_bits
from worker.models.sdxl import Sdxl
from worker.models.weights import checkpoint, fill, folder_tensors

_CLASSES: dict[Part, Any] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
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
    base: Base | None = None,
    quantized: bool = False,
) -> Generator:
    """SDXL, IdentityNet and the adapter, ready to run. Raises BundleError for files that are missing or do not fit.

    base: other weights of SDXL, with their prediction type; configurations and tokenizers still come from the folder.
    quantized: hold the networks in half of the device memory.
    """
    _quieten()
    source = base or Base(path=sdxl)
    networks = {}
    for part, network_class in _CLASSES.items():
        networks[part] = _empty(network_class, source.configuration(part, sdxl))
        path, tensors = source.tensors(part, networks[part])
        fill(networks[part], tensors, dtype=dtype, source=path)
    with checkpoint(sdxl):
        pipeline = StableDiffusionXLPipeline.from_pretrained(
            sdxl, **networks, local_files_only=True, add_watermarker=False
        )
    own = source.scheduler()
    if own is not None:
        # Only its configuration is used (by `make_solver`), so the class does not matter.
        whole = own if source.path.is_dir() else {**pipeline.scheduler.config, **own}
        pipeline.scheduler = EulerDiscreteScheduler.from_config(whole)
    controlnet = _empty(ControlNetModel, identitynet)
    path, tensors = folder_tensors(identitynet, "diffusion_pytorch_model")
    fill(controlnet, tensors, dtype=dtype, source=path)
    instantid = load_instantid(pipeline, adapter, controlnet)
    instantid.resampler.to(dtype=dtype).eval()
    if quantized:
        return quantize_generator(Generator(sdxl=Sdxl(pipeline=pipeline), instantid=instantid), device)
    instantid.to(device)
    pipeline.to(device)
    return Generator(sdxl=Sdxl(pipeline=pipeline), instantid=instantid)


def quantize_generator(generator: Generator, device: torch.device | str) -> Generator:
    """The generator with half of its device memory: large networks in 8 bits, text encoders on the host.

    It takes over the networks of the given generator, which must not be used any more.
    """
    pipeline, instantid = generator.sdxl.pipeline, generator.instantid
    for network in (pipeline.unet, instantid.identitynet):
        store_in_8_bits(network, device)
    instantid.to(device)
    pipeline.vae.to(device)
    for encoder in (pipeline.text_encoder, pipeline.text_encoder_2):
        encoder.to("cpu")
    return Generator(sdxl=Sdxl(pipeline=pipeline, text_encoders_on_host=True), instantid=instantid)


def _empty(network_class: Any, folder: Path) -> Any:
    """The network of a configuration, without memory for its weights. Raises BundleError."""
    with checkpoint(folder):
        if network_class in {CLIPTextModel, CLIPTextModelWithProjection}:
            text = CLIPTextConfig.from_pretrained(folder, local_files_only=True)
            with init_empty_weights():
                return network_class(text)
        configuration = network_class.load_config(folder, local_files_only=True)
        with init_empty_weights():
            return network_class.from_config(configuration)


def _quieten() -> None:
    """No progress bars in the log, and no warnings about the CLIP image encoder, which InstantID does not have."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
