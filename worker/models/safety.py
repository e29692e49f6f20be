"""The safety checker of Stable Diffusion, run as diffusers does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import init_empty_weights
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.utils import logging as diffusers_logging
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor

from shared.settings import Settings
from worker.models.catalog import fingerprint_of
from worker.models.weights import Tensors, checkpoint, fill, folder_tensors, pickled

# Prefix in older versions of transformers; current versions have one level less.
_OLD_PREFIX = "vision_model.vision_model."
_PICKLE = "pytorch_model.bin"


@dataclass(frozen=True, kw_only=True)
class SafetyCheck:
    """A loaded checker. name: of its checkpoint, with the fingerprint of the files."""

    name: str
    network: Any
    extractor: Any
    device: torch.device

    def forbids(self, picture: NDArray[np.uint8]) -> bool:
        """Whether a picture (H, W, 3) RGB shows unsafe content."""
        squares = [Image.fromarray(square) for square in squares_of(picture)]
        seen = self.extractor(images=squares, return_tensors="pt").pixel_values
        # The network would black out unsafe pictures in this list.
        shown = [np.zeros((1, 1, 3)) for _ in squares]
        _, found = self.network(clip_input=seen.to(self.device), images=shown)
        return any(found)


def squares_of(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Evenly spaced squares that cover a picture (H, W, 3); the extractor alone would crop its long sides."""
    height_px, width_px = picture.shape[:2]
    side_px = min(height_px, width_px)
    count = math.ceil(max(height_px, width_px) / side_px)
    tops, lefts = (
        np.linspace(0, length_px - side_px, count).round().astype(int) for length_px in (height_px, width_px)
    )
    return [picture[top : top + side_px, left : left + side_px] for top, left in zip(tops, lefts, strict=True)]


def safety_of(settings: Settings, device: torch.device) -> SafetyCheck | None:
    """The checker of the settings, None when they name none. Raises BundleError."""
    if not settings.safety_checkpoint:
        return None
    # A picture is checked once; a card with little memory has none for another network.
    return load_safety(Path(settings.safety_checkpoint), device if settings.memory == "full" else torch.device("cpu"))


def load_safety(folder: Path, device: torch.device) -> SafetyCheck:
    """The checker of a folder, with its feature extractor. Raises BundleError for missing or unfitting files."""
    diffusers_logging.set_verbosity_error()
    with checkpoint(folder / "config.json"):
        config = CLIPConfig.from_pretrained(folder, local_files_only=True)
        with init_empty_weights():
            network = StableDiffusionSafetyChecker(config)
    path, tensors = _weights(folder)
    # Not in float16: the thresholds are close together, and a picture is checked only once.
    fill(network, _renamed(tensors), dtype=torch.float32, source=path)
    with checkpoint(folder / "preprocessor_config.json"):
        extractor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    name = fingerprint_of(folder.name, [folder])
    return SafetyCheck(name=name, network=network.to(device), extractor=extractor, device=device)


def _weights(folder: Path) -> tuple[Path, Tensors]:
    pickle = folder / _PICKLE
    if pickle.is_file() and not any(folder.glob("model*.safetensors")):
        return pickle, pickled(pickle)
    return folder_tensors(folder, "model")


def _renamed(tensors: Tensors) -> Tensors:
    return {name.replace(_OLD_PREFIX, "vision_model.", 1): tensor for name, tensor in tensors.items()}
