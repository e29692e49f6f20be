"""A quantized generator: half the memory, nearly the same predictions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.tiny import tiny_generator
from tests.unit.worker.models.test_half import branches_of
from worker.models.denoiser import Denoiser
from worker.models.pretrained import Generator
from worker.models.quantize import EightBits, store_in_8_bits


def size_bytes(network: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


def predicted(generator: Generator) -> Tensor:
    sdxl = generator.sdxl
    networks = sdxl.unet, generator.instantid.identitynet
    denoiser = Denoiser(*networks, width_px=128, height_px=128, latent_px=sdxl.latent_px)
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    return denoiser.predict(x, torch.tensor(500.0), branches_of(generator, denoiser))


@given(scale=st.floats(1e-4, 1e4), seed=st.integers(0, 1000))
def test_a_weight_in_8_bits_is_off_by_half_a_step_of_its_output_at_most(scale: float, seed: int) -> None:
    weight = torch.randn(6, 10, generator=torch.Generator().manual_seed(seed)) * scale
    weight[2] = 0
    stored = EightBits()
    steps, scales = stored.right_inverse(weight)
    assert steps.dtype == torch.int8
    off = (stored(steps, scales) - weight).abs()
    assert bool((off <= 0.501 * scales).all())
    assert bool((off[2] == 0).all())


@pytest.mark.parametrize("layer", [nn.Linear(40, 30), nn.Conv2d(8, 16, 3)], ids=["linear", "convolution"])
def test_a_layer_in_8_bits_takes_a_quarter_of_float32_and_gives_nearly_the_same(layer: nn.Module) -> None:
    network = nn.Sequential(layer).requires_grad_(requires_grad=False)
    shape = (2, 40) if isinstance(layer, nn.Linear) else (2, 8, 9, 9)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before, expected = size_bytes(network), network(x)
    store_in_8_bits(network, "cpu")
    assert size_bytes(network) < 0.4 * before
    found = network(x)
    assert float((found - expected).norm() / expected.norm()) < 0.02


def test_a_quantized_generator_predicts_nearly_what_the_full_one_does() -> None:
    full, quantized = tiny_generator(quantized=False), tiny_generator(quantized=True)
    assert size_bytes(quantized.sdxl.unet) < 0.35 * size_bytes(full.sdxl.unet)
    assert size_bytes(quantized.instantid.identitynet) < 0.35 * size_bytes(full.instantid.identitynet)
    assert quantized.sdxl.unet.dtype == torch.float32
    expected, found = predicted(full), predicted(quantized)
    # Guidance of 5 multiplies what rounding does to the two rows.
    assert 0 < float((found - expected).norm() / expected.norm()) < 0.06
