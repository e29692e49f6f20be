"""What a denoiser keeps over the steps of a job, and lets go of afterwards."""

from __future__ import annotations

import torch

from tests.tiny import tiny_generator
from tests.unit.models.test_half import branches_of
from worker.models.denoiser import Denoiser


def test_keys_of_the_words_are_worked_out_once_and_anew_after_a_release() -> None:
    generator = tiny_generator()
    unet = generator.sdxl.unet
    denoiser = Denoiser(unet, generator.instantid.identitynet, width_px=128, height_px=128)
    asked = []
    name = next(name for name in unet.attn_processors if name.endswith("attn2.processor"))
    keys = unet.get_submodule(name.removesuffix(".processor")).to_k
    keys.register_forward_hook(lambda *_: asked.append(1))
    branches = branches_of(generator, denoiser)
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    before = [denoiser.predict(x, torch.tensor(t), branches) for t in (900.0, 500.0, 100.0)]
    assert len(asked) == 1
    denoiser.release()
    after = denoiser.predict(x, torch.tensor(500.0), branches)
    assert len(asked) == 2
    torch.testing.assert_close(after, before[1])
