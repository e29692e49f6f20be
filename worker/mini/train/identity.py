"""Trains IdentityNet, the Resampler and the adapter's keys and values, so that a person of a scene gets a given face.

    python -m worker.mini.train.identity --steps 2000

Each row of a batch is about one figure of a scene: the keypoint drawing has its landmarks, the face tokens come from
another drawing of the same person, and the loss is weighted by its pixels. By default the UNet is frozen, as in the
training of InstantID. With --together the UNet is trained, too; every third row then has no face, so that it still
draws plain scenes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.models.embeddings import MultiIPAdapterImageProjection
from torch import Tensor, nn
from torch.nn import functional

from worker.mini.train.generator import Training, averaged_state
from worker.mini.train.generator_scenes import (
    LATENT_PX,
    Latents,
    SceneBatch,
    draw_batch,
    encoded,
    noised,
    without_empty,
)
from worker.mini.train.generator_shapes import (
    CONTEXT_WIDTH,
    FACE_WIDTH,
    new_identitynet,
    new_resampler,
    new_scheduler,
    new_unet,
)
from worker.mini.train.identity_faces import References, reference_faces
from worker.mini.train.precision import mixed
from worker.mini.train.text import Text, load_text
from worker.mini.train.unet import save_unet
from worker.models.keypoints import KeypointStyle, draw_keypoints

# Faces are 36 to 50 px wide in the drawn world: discs of the published 10 px would cover each other.
STYLE = KeypointStyle(stick_width_px=1, radius_px=3)
_SNAPSHOT_S = 300
# Weight of the loss outside the figure, so that the rest of the scene does not degrade.
_ELSEWHERE = 0.15
_FACELESS = 0.07


@dataclass(frozen=True, kw_only=True, eq=False)
class AppliedFaces:
    """The faces of the rows. embeddings: (B, 1, 512); drawings: (B, 3, H, W); on: (B, 1, 1, 1), 0 for no face.

    weights: weights of the loss.
    """

    embeddings: Tensor
    drawings: Tensor
    on: Tensor
    weights: Tensor


def faces_applied_to(
    batch: SceneBatch, scenes: Latents, references: References, rng: np.random.Generator, *, bare: float
) -> AppliedFaces:
    """One face for each row. Rows without people, and a fraction `bare` of the others, get none."""
    height_px = batch.latents.shape[2] * LATENT_PX
    embeddings = torch.zeros(len(batch.rows), 1, FACE_WIDTH)
    drawings = torch.zeros(len(batch.rows), 3, height_px, batch.width_px)
    on = torch.zeros(len(batch.rows), 1, 1, 1)
    weights = batch.weights.clone()
    for i, (row, label) in enumerate(zip(batch.rows, batch.labels, strict=True)):
        figures = label["figures"]
        if not figures or rng.random() < bare:
            continue
        chosen = int(rng.integers(len(figures)))
        on[i] = 1
        drawing = draw_keypoints(
            [figures[chosen]["keypoints"]], width_px=batch.width_px, height_px=height_px, style=STYLE
        )
        drawings[i] = torch.from_numpy(drawing).permute(2, 0, 1).float().div(255)
        # Guidance uses the face tokens of a zero embedding, so they must be trained, too.
        if rng.random() >= _FACELESS:
            embeddings[i, 0] = torch.from_numpy(references.embeddings[references.first[row] + chosen])
        own = torch.from_numpy(np.asarray(scenes.owners[row] == chosen + 1)).float()[None, None]
        own = functional.max_pool2d(own, LATENT_PX)[0]
        weights[i] *= own + (1 - own) * _ELSEWHERE
    return AppliedFaces(embeddings=embeddings, drawings=drawings, on=on, weights=weights / weights.mean())


class Adapter(nn.Module):
    """The trained parts of ip-adapter.bin: the Resampler, and a key and a value matrix for each cross-attention."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.resampler = new_resampler()
        widths = [unet.get_submodule(name.removesuffix(".processor")).inner_dim for name in cross_attentions(unet)]
        self.keys = nn.ParameterList(
            [nn.Parameter(torch.randn(w, CONTEXT_WIDTH) * CONTEXT_WIDTH**-0.5) for w in widths]
        )
        # Values start at zero, so an untrained adapter has no effect.
        self.values = nn.ParameterList([nn.Parameter(torch.zeros(w, CONTEXT_WIDTH)) for w in widths])

    def published(self) -> dict[str, dict[str, Tensor]]:
        """The weights under the names of InstantID's ip-adapter.bin (n is odd, in the UNet's order of processors)."""
        projections = {}
        for i, (key, value) in enumerate(zip(self.keys, self.values, strict=True)):
            projections[f"{2 * i + 1}.to_k_ip.weight"] = key.detach()
            projections[f"{2 * i + 1}.to_v_ip.weight"] = value.detach()
        return {"image_proj": published_resampler(self.resampler.state_dict()), "ip_adapter": projections}

    def attach(self, unet: UNet2DConditionModel) -> None:
        """Adds the keys and values to the UNet with the loader of diffusers; both then share the trained parameters.

        The UNet then expects the output of the Resampler, because IdentityNet reads the same tokens.
        """
        # What the pipeline's load_ip_adapter calls; only the pipeline has a public name for it.
        unet._load_ip_adapter_weights([self.published()], low_cpu_mem_usage=False)  # noqa: SLF001
        unet.encoder_hid_proj = MultiIPAdapterImageProjection([nn.Identity()])
        for i, name in enumerate(cross_attentions(unet)):
            processor = unet.attn_processors[name]
            processor.to_k_ip[0].weight, processor.to_v_ip[0].weight = self.keys[i], self.values[i]


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """The networks of a training step. IdentityNet and the adapter are trained, and with --together the UNet."""

    unet: UNet2DConditionModel
    identitynet: ControlNetModel
    adapter: Adapter
    text: Text

    def loss(self, batch: SceneBatch, applied: AppliedFaces, rng: np.random.Generator) -> Tensor:
        """The weighted squared error of the velocity; the networks are connected as in a worker."""
        noisy = noised(batch.latents, new_scheduler(), rng)
        states, pooled = without_empty(*self.text.encode(batch.captions), batch.captions)
        sizes = {"text_embeds": pooled, "time_ids": batch.time_ids}
        with mixed():
            tokens = self.adapter.resampler(applied.embeddings)
            down, middle = self.identitynet(
                noisy.latents,
                noisy.timesteps,
                encoder_hidden_states=tokens,
                controlnet_cond=applied.drawings,
                added_cond_kwargs=sizes,
                return_dict=False,
            )
            predicted = self.unet(
                noisy.latents,
                noisy.timesteps,
                encoder_hidden_states=states,
                added_cond_kwargs={**sizes, "image_embeds": [tokens[:, None]]},
                cross_attention_kwargs={"ip_adapter_masks": [applied.on.expand(-1, -1, *noisy.latents.shape[2:])]},
                down_block_additional_residuals=[residual * applied.on for residual in down],
                mid_block_additional_residual=middle * applied.on,
            ).sample
        loss: Tensor = ((predicted.float() - noisy.velocity).square() * applied.weights).mean()
        return loss


def cross_attentions(unet: UNet2DConditionModel) -> list[str]:
    """The names of the cross-attention processors, in the order of an ip-adapter file."""
    return [name for name in unet.attn_processors if name.endswith("attn2.processor")]


def published_resampler(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The Resampler's weights under InstantID's names: the inverse of the conversion in diffusers."""
    renamed = {
        "ln0": "0.norm1", "ln1": "0.norm2", "attn.to_q": "0.to_q", "attn.to_out.0": "0.to_out",
        "ff.0": "1.0", "ff.1.net.0.proj": "1.1", "ff.1.net.2": "1.3",
    }  # fmt: skip
    published = {}
    for name, value in state.items():
        if ".attn.to_v." in name:
            continue
        if ".attn.to_k." in name:
            both = torch.cat([value, state[name.replace("to_k", "to_v")]])
            published[name.replace("attn.to_k", "0.to_kv")] = both.detach()
            continue
        head, _, rest = name.partition(".")
        layer, _, part = rest.partition(".")
        known = [(old, new) for old, new in renamed.items() if part.startswith(old + ".")] if head == "layers" else []
        published[f"layers.{layer}.{part.replace(*known[0], 1)}" if known else name] = value.detach()
    return published


def save(training: Training, sdxl: Path, *, together: bool) -> None:
    """Writes the averaged networks: identitynet/ and ip-adapter.bin beside the SDXL folder, and its UNet if trained."""
    unet = new_unet()
    identitynet = new_identitynet(unet)
    identitynet.load_state_dict(averaged_state(training.state_path, "identitynet"))
    identitynet.to(torch.float16).save_pretrained(sdxl.parent / "identitynet")
    adapter = Adapter(unet)
    adapter.load_state_dict(averaged_state(training.state_path, "adapter"))
    halves = {part: {k: v.half() for k, v in state.items()} for part, state in adapter.published().items()}
    torch.save(halves, sdxl.parent / "ip-adapter.bin")
    if together:
        average = averaged_state(training.state_path, "unet")
        unet.load_state_dict({name: average[name] for name in unet.state_dict()})
        save_unet(unet, sdxl)


def main() -> None:
    """Starts or continues training and saves the result; the running average is saved every five minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--state", type=Path, default=Path("var/train"), help="folder of the training state and curve")
    parser.add_argument("--sdxl", type=Path, default=Path("worker/mini/checkpoints/sdxl"), help="the trained pipeline")
    parser.add_argument(
        "--recogniser", type=Path, default=Path("worker/mini/checkpoints/faces/models/mini/recogniser.onnx")
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--share", type=float, default=1.0, help="fraction of the scenes to train on")
    parser.add_argument("--together", action="store_true", help="train the UNet, too")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(arguments.sdxl / "vae", dtype=torch.float32).eval()
    latents = encoded(arguments.world, arguments.state, vae, share=arguments.share)
    references = {
        width_px: reference_faces(
            scenes.labels, arguments.recogniser, arguments.state / f"references-{width_px}-{len(scenes.labels)}.npy"
        )
        for width_px, scenes in latents.items()
    }
    unet = UNet2DConditionModel.from_pretrained(arguments.sdxl / "unet", dtype=torch.float32)
    unet.requires_grad_(arguments.together).to(memory_format=torch.channels_last)
    identitynet, adapter = new_identitynet(unet).to(memory_format=torch.channels_last), Adapter(unet)
    identitynet.requires_grad_(requires_grad=True)
    adapter.attach(unet)
    modules: dict[str, nn.Module] = {"identitynet": identitynet, "adapter": adapter}
    if arguments.together:
        modules["unet"] = unet
    training = Training("identity", modules, folder=arguments.state, steps=arguments.steps, lr=arguments.lr)
    networks = Networks(unet=unet, identitynet=identitynet, adapter=adapter, text=load_text(arguments.sdxl))
    losses: list[float] = []
    snapshot = time.monotonic()
    for step in training:
        rng = np.random.default_rng([4, step])
        batch = draw_batch(latents, arguments.batch, rng)
        applied = faces_applied_to(
            batch, latents[batch.width_px], references[batch.width_px], rng, bare=1 / 3 if arguments.together else 0.0
        )
        loss = networks.loss(batch, applied, rng)
        training.descend(loss)
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            training.log(loss=float(np.mean(losses)))
            losses.clear()
        if time.monotonic() - snapshot > _SNAPSHOT_S:
            training.save()
            save(training, arguments.sdxl, together=arguments.together)
            snapshot = time.monotonic()
    save(training, arguments.sdxl, together=arguments.together)


if __name__ == "__main__":
    main()
