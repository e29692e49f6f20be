"""Train the autoencoder's decoder on, over a frozen encoder: the latents that the UNet learned stay what they are.

    python -m worker.mini.train.decoder --steps 4000

Crops as for the whole autoencoder, with a third term beside picture and edges: what the pack's recogniser sees in a
decoded face should be what it sees in the original. The judge of the evaluation is another network, trained on others.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from worker.mini.train.dataset import Scenes, load
from worker.mini.train.faces_recogniser import SHAPES, TEMPLATE_PX, Recogniser, alignment
from worker.mini.train.generator import Training, averaged_state
from worker.mini.train.generator_shapes import new_vae
from worker.mini.train.precision import mixed
from worker.mini.train.vae import CROP_PX, EDGE_WEIGHT, as_tensor, decoded_psnr_db

_FACE_PX = 112
_IDENTITY_WEIGHT = 0.15
# What the UNet leaves in its latents is not quite what the encoder makes: up to this much noise, in units of theirs.
_MOST_NOISE = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceCrops:
    """Crops (N, 3, CROP_PX, CROP_PX) in -1..1 around faces, and where a recogniser looks.

    grids: (N, 112, 112, 2), the places that make up the aligned face, as grid_sample wants them.
    """

    pictures: Tensor
    grids: Tensor


def face_crops(scenes: Scenes, count: int, rng: np.random.Generator) -> FaceCrops:
    """`count` crops around faces that are not cut by the crop's border."""
    height_px, width_px = scenes.pictures.shape[1:3]
    cut = np.empty((count, CROP_PX, CROP_PX, 3), np.uint8)
    grids = torch.empty(count, _FACE_PX, _FACE_PX, 2)
    for i in range(count):
        figures: list[dict[str, NDArray[np.float64]]] = []
        while not figures:
            row = int(rng.integers(len(scenes.pictures)))
            figures = scenes.labels[row]["figures"]
        figure = figures[rng.integers(len(figures))]
        x1, y1, x2, y2 = figure["face_box"]
        jitter = rng.integers(-8, 9, size=2)
        left = int(np.clip((x1 + x2 - CROP_PX) / 2 + jitter[0], 0, width_px - CROP_PX))
        top = int(np.clip((y1 + y2 - CROP_PX) / 2 + jitter[1], 0, height_px - CROP_PX))
        cut[i] = scenes.pictures[row, top : top + CROP_PX, left : left + CROP_PX]
        grids[i] = _grid(np.asarray(figure["keypoints"], float) - (left, top))
    return FaceCrops(pictures=as_tensor(cut), grids=grids)


def _grid(keypoints_px: NDArray[np.float64]) -> Tensor:
    """Where each pixel of the aligned face lies in the crop, -1..1 from edge to edge (grid_sample's corners)."""
    matrix = np.vstack([alignment(keypoints_px, TEMPLATE_PX), (0, 0, 1)])
    back = np.linalg.inv(matrix)[:2]
    y, x = np.mgrid[:_FACE_PX, :_FACE_PX]
    places = np.stack([x, y, np.ones_like(x)], axis=-1) @ back.T
    return torch.from_numpy((places + 0.5) / CROP_PX * 2 - 1).float()


@dataclass(frozen=True, kw_only=True, eq=False)
class Teaching:
    """The autoencoder whose decoder learns, and the recogniser it learns from. Both in float32."""

    vae: AutoencoderKL
    recogniser: Recogniser

    def losses(self, crops: FaceCrops, rng: np.random.Generator) -> dict[str, Tensor]:
        """Absolute error, error of the finite differences, and one minus the faces' cosine."""
        with torch.no_grad():
            latents = self.vae.encode(crops.pictures).latent_dist.mean
            original = self._embed(crops.pictures, crops.grids)
        noise = torch.from_numpy(rng.standard_normal(latents.shape, np.float32))
        share = torch.from_numpy(rng.uniform(0, _MOST_NOISE, (len(latents), 1, 1, 1)).astype(np.float32))
        with mixed():
            picture = self.vae.decode(latents + share * noise / self.vae.config.scaling_factor).sample
        picture = picture.float()
        error = picture - crops.pictures
        edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        alike = functional.cosine_similarity(self._embed(picture, crops.grids), original)
        return {"error": error.abs().mean(), "edges": edges, "identity": (1 - alike).mean()}

    def _embed(self, pictures: Tensor, grids: Tensor) -> Tensor:
        faces = functional.grid_sample(pictures, grids, align_corners=False)
        with mixed():
            embedding: Tensor = self.recogniser(faces)
        return embedding.float()


def load_recogniser(state: Path) -> Recogniser:
    """The pack's recogniser, as its training left it, frozen."""
    recogniser = Recogniser(SHAPES["recogniser"])
    saved = torch.load(state, weights_only=True)["model"]
    own = {name.removeprefix("recogniser."): value for name, value in saved.items() if name.startswith("recogniser.")}
    recogniser.load_state_dict(own)
    return recogniser.eval().requires_grad_(requires_grad=False)


def save(training: Training, vae: AutoencoderKL, scenes: Scenes, out: Path) -> float:
    """Write the autoencoder with the averaged decoder; its PSNR on scenes, in dB."""
    for name, module in training.modules.items():
        module.load_state_dict(averaged_state(training.state_path, name))
    psnr_db = decoded_psnr_db(vae.eval(), as_tensor(scenes.pictures[:256]))
    # A fresh one, because a loaded one would write down where it was loaded from.
    saved = new_vae()
    saved.load_state_dict(vae.state_dict())
    saved.register_to_config(scaling_factor=vae.config.scaling_factor)
    saved.to(torch.float16).save_pretrained(out)
    return psnr_db


def main() -> None:
    """Train, or go on training, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--state", type=Path, default=Path("var/train"), help="folder of the training state and curve")
    parser.add_argument("--vae", type=Path, default=Path("worker/mini/checkpoints/sdxl/vae"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    scenes = load(asked.world)[128]
    vae = AutoencoderKL.from_pretrained(asked.vae, dtype=torch.float32).to(memory_format=torch.channels_last)
    vae.requires_grad_(requires_grad=False)
    learning: dict[str, nn.Module] = {"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv}
    for module in learning.values():
        module.requires_grad_(requires_grad=True)
    training = Training("decoder", learning, folder=asked.state, steps=asked.steps, lr=asked.lr, cooldown=0.7)
    teaching = Teaching(vae=vae, recogniser=load_recogniser(asked.state / "faces-recogniser.pt"))
    for step in training:
        rng = np.random.default_rng([5, step])
        terms = teaching.losses(face_crops(scenes, asked.batch, rng), rng)
        training.descend(terms["error"] + EDGE_WEIGHT * terms["edges"] + _IDENTITY_WEIGHT * terms["identity"])
        if step % 50 == 0:
            training.log(**{name: float(term.detach()) for name, term in terms.items()})
    training.log(psnr_db=save(training, vae, scenes, asked.vae))


if __name__ == "__main__":
    main()
