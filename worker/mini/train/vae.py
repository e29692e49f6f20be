"""Train the autoencoder on crops of scenes, half of them on faces, and save it with latents of unit variance.

python -m worker.mini.train.vae --steps 4000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from worker.mini.train.dataset import Scenes, load
from worker.mini.train.generator import Training, averaged_state
from worker.mini.train.generator_shapes import new_vae

CROP_PX = 64
# Small enough to cost little detail, large enough that the latents stay near a unit Gaussian and decode smoothly.
KL_WEIGHT = 1e-3
EDGE_WEIGHT = 1.0


def as_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, 3) uint8 as (N, 3, H, W) float32 in -1..1, channels last."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def crops(scenes: Scenes, count: int, rng: np.random.Generator) -> Tensor:
    """`count` square crops (N, 3, CROP_PX, CROP_PX); where a scene has people, two of three crops are around a face."""
    height_px, width_px = scenes.pictures.shape[1:3]
    cut = np.empty((count, CROP_PX, CROP_PX, 3), np.uint8)
    for i, row in enumerate(rng.integers(len(scenes.pictures), size=count)):
        top, left = rng.integers(height_px - CROP_PX + 1), rng.integers(width_px - CROP_PX + 1)
        figures = scenes.labels[row]["figures"]
        if figures and rng.random() < 2 / 3:
            x1, y1, x2, y2 = figures[rng.integers(len(figures))]["face_box"]
            jitter = rng.integers(-8, 9, size=2)
            left = int(np.clip((x1 + x2 - CROP_PX) / 2 + jitter[0], 0, width_px - CROP_PX))
            top = int(np.clip((y1 + y2 - CROP_PX) / 2 + jitter[1], 0, height_px - CROP_PX))
        cut[i] = scenes.pictures[row, top : top + CROP_PX, left : left + CROP_PX]
    return as_tensor(cut)


def losses(vae: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean absolute error of the picture, of its finite differences (edges), and the KL divergence per latent."""
    posterior = vae.encode(pictures).latent_dist
    error = vae.decode(posterior.sample()).sample - pictures
    edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    return error.abs().mean(), edges, kl


@torch.no_grad()
def save(state_path: Path, scenes: Scenes, out: Path) -> tuple[float, float]:
    """Write the averaged autoencoder, its scaling factor measured on scenes; that factor and the PSNR in dB."""
    vae = new_vae()
    vae.load_state_dict(averaged_state(state_path, "vae"))
    vae.eval()
    pictures = as_tensor(scenes.pictures[:256])
    latents = vae.encode(pictures).latent_dist.mean
    scale = float(1 / latents.std())
    vae.register_to_config(scaling_factor=scale)
    psnr_db = decoded_psnr_db(vae, pictures)
    vae.to(torch.float16).save_pretrained(out)
    return scale, psnr_db


@torch.no_grad()
def decoded_psnr_db(vae: AutoencoderKL, pictures: Tensor) -> float:
    """How near pictures (N, 3, H, W) in -1..1 come back from their latents' means."""
    decoded = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    return float(-10 * (functional.mse_loss(decoded, pictures) / 4).log10())


def main() -> None:
    """Train, or go on training, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--state", type=Path, default=Path("var/train"), help="folder of the training state and curve")
    parser.add_argument("--out", type=Path, default=Path("worker/mini/checkpoints/sdxl/vae"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    scenes = load(asked.world)[128]
    vae = new_vae().to(memory_format=torch.channels_last)
    training = Training("vae", {"vae": vae}, folder=asked.state, steps=asked.steps, lr=asked.lr)
    for step in training:
        pictures = crops(scenes, asked.batch, np.random.default_rng([1, step]))
        error, edges, kl = losses(vae, pictures)
        training.descend(error + EDGE_WEIGHT * edges + KL_WEIGHT * kl)
        if step % 50 == 0:
            training.log(error=float(error.detach()), edges=float(edges.detach()), kl=float(kl.detach()))
    scale, psnr_db = save(training.state_path, scenes, asked.out)
    training.log(scaling_factor=scale, psnr_db=psnr_db)


if __name__ == "__main__":
    main()
