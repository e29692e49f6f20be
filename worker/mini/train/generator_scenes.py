"""The training scenes as the generator reads them: latents computed once, batches of one width, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler
from numpy.typing import NDArray
from torch import Tensor

from worker.mini.train.dataset import load
from worker.mini.train.vae import as_tensor
from worker.models.sdxl import time_ids

LATENT_PX = 8
# A share of the captions is left out, so that the UNet can be guided away from the empty prompt.
_DROPPED = 0.1
# A face is a tenth of a scene and carries most of what matters.
_FACE_WEIGHT = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """Scenes of one width: latents (N, c, h, w) float16 with unit variance, owners (N, H, W), and their labels."""

    width_px: int
    values: NDArray[np.float16]
    owners: NDArray[np.uint8]
    labels: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneBatch:
    """Scenes of one width. latents: (B, c, h, w); weights of the loss: (B, 1, h, w), of mean about 1."""

    latents: Tensor
    weights: Tensor
    captions: list[str]
    labels: list[dict[str, Any]]
    rows: NDArray[np.int64]
    width_px: int

    @property
    def time_ids(self) -> Tensor:
        """SDXL's size conditioning of every row, (B, 6)."""
        height_px = self.latents.shape[2] * LATENT_PX
        return time_ids(width_px=self.width_px, height_px=height_px).expand(len(self.latents), -1)


def encoded(world: Path, folder: Path, vae: AutoencoderKL, *, share: float) -> dict[int, Latents]:
    """The first `share` of the scenes of every width as latents, computed with `vae` where `folder` lacks them."""
    latents = {}
    for width_px, scenes in load(world).items():
        count = int(len(scenes.labels) * share)
        path = folder / f"latents-{width_px}-{count}.npy"
        if not path.exists():
            values = np.empty((count, vae.config.latent_channels, 128 // LATENT_PX, width_px // LATENT_PX), np.float16)
            with torch.inference_mode():
                for start in range(0, count, 32):
                    mean = vae.encode(as_tensor(scenes.pictures[start : min(start + 32, count)])).latent_dist.mean
                    values[start : start + len(mean)] = (mean * vae.config.scaling_factor).numpy()
            np.save(path, values)
        latents[width_px] = Latents(
            width_px=width_px, values=np.load(path), owners=scenes.owners, labels=scenes.labels[:count]
        )
    return latents


def batch_of(scenes: Latents, rows: NDArray[np.int64], rng: np.random.Generator) -> SceneBatch:
    """The scenes of these rows, some without their caption."""
    labels = [scenes.labels[row] for row in rows]
    latents = torch.from_numpy(scenes.values[rows].astype(np.float32))
    weights = torch.ones(len(rows), 1, *latents.shape[2:])
    for weight, label in zip(weights, labels, strict=True):
        for figure in label["figures"]:
            x1, y1, x2, y2 = (round(edge / LATENT_PX) for edge in figure["face_box"])
            weight[0, max(y1, 0) : y2, max(x1, 0) : x2] = _FACE_WEIGHT
    return SceneBatch(
        latents=latents,
        weights=weights / weights.mean(),
        captions=["" if rng.random() < _DROPPED else label["caption"] for label in labels],
        labels=labels,
        rows=rows,
        width_px=scenes.width_px,
    )


def draw_batch(latents: dict[int, Latents], count: int, rng: np.random.Generator) -> SceneBatch:
    """A random batch of one width, widths by their number of scenes; wide scenes come in smaller batches."""
    widths = list(latents)
    shares = np.array([len(latents[width_px].labels) for width_px in widths], float)
    scenes = latents[int(rng.choice(widths, p=shares / shares.sum()))]
    fewer = max(1, count * min(widths) // scenes.width_px)
    return batch_of(scenes, rng.integers(len(scenes.labels), size=fewer), rng)


@dataclass(frozen=True, kw_only=True, eq=False)
class Noised:
    """Noisy latents, their timesteps (B,), and the velocity to predict (arXiv:2202.00512, appendix D)."""

    latents: Tensor
    timesteps: Tensor
    velocity: Tensor


def noised(latents: Tensor, scheduler: EulerDiscreteScheduler, rng: np.random.Generator) -> Noised:
    """The latents with noise of random strength; the strengths of a batch are spread evenly over the schedule."""
    steps = scheduler.config.num_train_timesteps
    spread = (rng.random() + np.arange(len(latents)) / len(latents)) % 1.0
    timesteps = torch.from_numpy((spread * steps).astype(np.int64))
    noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
    kept = scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    signal, sigma = kept.sqrt(), (1 - kept).sqrt()
    return Noised(
        latents=(signal * latents + sigma * noise).contiguous(memory_format=torch.channels_last),
        timesteps=timesteps,
        velocity=signal * noise - sigma * latents,
    )


def without_empty(states: Tensor, pooled: Tensor, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Text states in which empty captions are zeros, as SDXL's pipeline makes the empty negative prompt."""
    said = torch.tensor([float(bool(caption)) for caption in captions])
    return states * said[:, None, None], pooled * said[:, None]
