"""Half precision: finite pictures, the VAE brought up where it overflows, batched branches as good as single ones.

bfloat16 and float16 on the CPU are what every machine can run; a GPU's own kernels round in other places.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.tiny import tiny_generator
from worker.models.denoiser import Branch, Denoiser
from worker.models.instantid import Face
from worker.models.keypoints import draw_keypoints
from worker.models.pretrained import Generator

POINTS = [(40.0, 50.0), (70.0, 50.0), (55.0, 66.0), (44.0, 80.0), (66.0, 80.0)]


@pytest.fixture(scope="module", params=[torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return tiny_generator(dtype=request.param)


def branches_of(generator: Generator, denoiser: Denoiser) -> list[Branch]:
    text = generator.sdxl.encode("two people")
    hint = generator.instantid.hint(draw_keypoints([POINTS], width_px=128, height_px=128))
    branches = [Branch(denoiser=denoiser, text=text, guidance_scale=5.0)]
    for seed in (1, 2):
        identity = np.random.default_rng(seed).standard_normal((1, 512)).astype(np.float32)
        face = Face(tokens=generator.instantid.face_tokens(identity), hint=hint, identity_scale=0.8, adapter_scale=0.8)
        branches.append(Branch(denoiser=denoiser, text=text, guidance_scale=5.0, face=face))
    return branches


def test_batched_and_single_branches_agree_within_half_precision(generator: Generator) -> None:
    sdxl = generator.sdxl
    found = {}
    for batched in (True, False):
        denoiser = Denoiser(
            sdxl.unet,
            generator.instantid.identitynet,
            width_px=128,
            height_px=128,
            latent_px=sdxl.latent_px,
            batched=batched,
        )
        x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
        found[batched] = denoiser.predict(x, torch.tensor(500.0), branches_of(generator, denoiser)).float()
    assert torch.isfinite(found[True]).all()
    # Guidance of 5 multiplies a rounding of 2^-8 (bfloat16) or 2^-11 (float16), over some dozens of layers.
    bound = 0.06 if sdxl.unet.dtype == torch.bfloat16 else 0.01
    error = float((found[True] - found[False]).abs().max() / found[False].abs().max())
    assert error < bound


def test_a_vae_that_overflows_in_float16_decodes_in_float32(generator: Generator) -> None:
    vae = generator.sdxl.pipeline.vae
    assert vae.config.force_upcast
    before = vae.dtype
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * 5
    picture = generator.sdxl.decode(latents)
    assert picture.shape == (128, 128, 3)
    assert vae.dtype == (torch.float32 if before == torch.float16 else before)
    assert 0 < picture.mean() < 255
