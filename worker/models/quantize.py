"""Weights in 8 bits, for cards with little memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

_LARGEST = 127


class EightBits(nn.Module):
    """A weight as int8 numbers and one scale an output.

    Vector-wise quantization of weights only (arXiv 2208.07339, section 2); activations are not quantized.
    """

    def forward(self, steps: Tensor, scales: Tensor) -> Tensor:
        """The weight. steps: int8; scales: one an output, in the network's dtype."""
        return steps * scales

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest int8 numbers and scales to a weight (outputs, ...)."""
        scales = weight.float().abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / _LARGEST
        # An output whose weights are all zero stays zero.
        steps = (weight.float() / scales.clamp_min(torch.finfo(torch.float32).tiny)).round()
        return steps.to(torch.int8), scales.to(weight.dtype)


def store_in_8_bits(network: nn.Module, device: torch.device | str) -> None:
    """Moves a network to a device with the weights of its layers in 8 bits; biases and norms stay unchanged."""
    # Integers have no gradients.
    network.requires_grad_(requires_grad=False)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        # One by one, so that the card never holds more than one full weight.
        layer.to(device)
        register_parametrization(layer, "weight", EightBits(), unsafe=True)
    network.to(device)
