"""Weights in 8 bits, for cards with little memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

_LARGEST = 127


class EightBits(nn.Module):
    """Whole numbers of -127 to 127 and a scale for each output, in the place of a weight.

    Vector-wise quantization of weights alone (arXiv 2208.07339, section 2): activations stay as they are.
    """

    def forward(self, steps: Tensor, scales: Tensor) -> Tensor:
        """The weight. steps: int8; scales: a number an output, in the network's dtype."""
        return steps * scales

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest numbers to a weight of (outputs, ...)."""
        scales = weight.float().abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / _LARGEST
        # An output whose weights are all zero stays zero.
        steps = (weight.float() / scales.clamp_min(torch.finfo(torch.float32).tiny)).round()
        return steps.to(torch.int8), scales.to(weight.dtype)


def store_in_8_bits(network: nn.Module, device: torch.device | str) -> None:
    """Brings a network to a device with the weights of its layers in 8 bits; biases and norms stay as they are."""
    # Whole numbers have no gradients.
    network.requires_grad_(requires_grad=False)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        # One after the other: the card never holds more than one whole weight.
        layer.to(device)
        register_parametrization(layer, "weight", EightBits(), unsafe=True)
    network.to(device)
