"""Checkpoints from folders to networks, in one place: local files only, vendor errors become BundleError."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import ControlNetModel, StableDiffusionXLPipeline
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from shared.errors import BundleError
from worker.models.instantid import InstantId, load_instantid
from worker.models.sdxl import Sdxl


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
    variant: str | None = None,
) -> Generator:
    """SDXL, IdentityNet and the adapter, ready to run. Raises BundleError for files that are missing or do not fit.

    variant: diffusers' infix of the weights' file names, such as "fp16".
    """
    _quieten()
    with checkpoint(sdxl):
        pipeline = StableDiffusionXLPipeline.from_pretrained(
            sdxl, dtype=dtype, variant=variant, local_files_only=True, use_safetensors=True, add_watermarker=False
        )
    with checkpoint(identitynet):
        controlnet = ControlNetModel.from_pretrained(
            identitynet, dtype=dtype, local_files_only=True, use_safetensors=True
        )
    with checkpoint(adapter):
        instantid = load_instantid(pipeline, adapter, controlnet.to(device).eval())
    pipeline.to(device)
    instantid.resampler.to(device=device, dtype=dtype).eval()
    return Generator(sdxl=Sdxl(pipeline=pipeline), instantid=instantid)


def _quieten() -> None:
    """No progress bars on a worker's log, and no advice about the CLIP image encoder, which InstantID does not have."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()


@contextmanager
def checkpoint(path: Path) -> Iterator[None]:
    """Turns what the loaders raise for bad files into BundleError naming the path; a missing path raises it, too."""
    if not path.exists():
        message = f"checkpoint {path} is missing"
        raise BundleError(message)
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        message = f"checkpoint {path} cannot be used: {error}"
        raise BundleError(message) from error
