"""Train the UNet to draw scenes from captions, over the trained autoencoder and the frozen text encoders.

python -m worker.mini.train.unet --steps 3000
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel

from worker.mini.train.generator import Training, averaged_state
from worker.mini.train.generator_scenes import draw_batch, encoded, noised, without_empty
from worker.mini.train.generator_shapes import new_scheduler, new_unet
from worker.mini.train.precision import mixed
from worker.mini.train.text import load_text

_SNAPSHOT_S = 300


def save_pipeline(state_path: Path, sdxl: Path) -> None:
    """Write the averaged UNet and what else makes the folder, with the VAE and the texts in it, an SDXL pipeline."""
    unet = new_unet()
    unet.load_state_dict(averaged_state(state_path, "unet"))
    save_unet(unet, sdxl)


def save_unet(unet: UNet2DConditionModel, sdxl: Path) -> None:
    """Write this UNet, the scheduler and the index beside the VAE and the texts that are in the folder."""
    text = load_text(sdxl)
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderKL.from_pretrained(sdxl / "vae"),
        text_encoder=text.first,
        text_encoder_2=text.second,
        tokenizer=text.tokenizer,
        tokenizer_2=text.tokenizer,
        unet=unet.to(torch.float16),
        scheduler=new_scheduler(),
        add_watermarker=False,
    )
    pipeline.unet.save_pretrained(sdxl / "unet")
    pipeline.scheduler.save_pretrained(sdxl / "scheduler")
    pipeline.save_config(sdxl)


def main() -> None:
    """Train, or go on training, and save; a snapshot of the running average is saved every five minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--state", type=Path, default=Path("var/train"), help="folder of the training state and curve")
    parser.add_argument("--out", type=Path, default=Path("worker/mini/checkpoints/sdxl"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--share", type=float, default=1.0, help="of the scenes to train on")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(asked.out / "vae", dtype=torch.float32).eval()
    latents = encoded(asked.world, asked.state, vae, share=asked.share)
    text, scheduler = load_text(asked.out), new_scheduler()
    unet = new_unet().to(memory_format=torch.channels_last)
    training = Training("unet", {"unet": unet}, folder=asked.state, steps=asked.steps, lr=asked.lr)
    losses: list[float] = []
    snapshot = time.monotonic()
    for step in training:
        rng = np.random.default_rng([3, step])
        batch = draw_batch(latents, asked.batch, rng)
        noisy = noised(batch.latents, scheduler, rng)
        states, pooled = without_empty(*text.encode(batch.captions), batch.captions)
        with mixed():
            predicted = unet(
                noisy.latents,
                noisy.timesteps,
                encoder_hidden_states=states,
                added_cond_kwargs={"text_embeds": pooled, "time_ids": batch.time_ids},
            ).sample
        loss = ((predicted.float() - noisy.velocity).square() * batch.weights).mean()
        training.descend(loss)
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            training.log(loss=float(np.mean(losses)))
            losses.clear()
        if time.monotonic() - snapshot > _SNAPSHOT_S:
            training.save()
            save_pipeline(training.state_path, asked.out)
            snapshot = time.monotonic()
    save_pipeline(training.state_path, asked.out)


if __name__ == "__main__":
    main()
