"""A CUDA device where there is none: torch's fake tensors bear its name, with shapes and dtypes and no numbers.

The product's code runs over them operation by operation, and torch refuses what a card would refuse: tensors of two
devices in one operation. What a card computes, and how fast, is for tests with a card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from worker.models.pretrained import Generator

CUDA = torch.device("cuda", 0)


class Card(TorchFunctionMode):
    """While it is entered, whatever is brought to `CUDA` is there; what comes back is zeros."""

    def __init__(self) -> None:
        super().__init__()
        self._tensors = FakeTensorMode(allow_non_fake_inputs=True)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the operation gives, there or here."""
        named = dict(kwargs or {})
        if not any(_is_there(value) for value in (*args, *named.values())):
            return func(*args, **named)
        if func is torch.Tensor.cpu:
            return torch.zeros(args[0].shape, dtype=args[0].dtype)
        if func is torch.tensor:
            # Made here: torch would look for a driver.
            made = func(*args, **named | {"device": "cpu"})
            return self._brought(made)
        with self._tensors:
            if func is scaled_dot_product_attention:
                return _attention(*args, **named)
            if func is torch.Tensor.to:
                here = isinstance(args[0], Tensor) and not isinstance(args[0], FakeTensor)
                args = (self._brought(args[0]) if here else args[0], *args[1:])
            return func(*args, **named)

    def bring(self, network: nn.Module, dtype: torch.dtype) -> None:
        """Puts a network there: weights in this dtype, whole numbers as they are."""
        for module in network.modules():
            for name, weight in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(self._brought(weight, dtype), requires_grad=False))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, self._brought(buffer, dtype))

    def bring_generator(self, generator: Generator, dtype: torch.dtype = torch.float16) -> None:
        """The same with all networks of a generator. The VAE is in float32, as it is after its first picture."""
        pipeline, instantid = generator.sdxl.pipeline, generator.instantid
        self.bring(pipeline.vae, torch.float32)
        networks = [pipeline.unet, instantid.resampler, instantid.embedding, instantid.identitynet]
        if not generator.sdxl.words_on_host:
            networks += [pipeline.text_encoder, pipeline.text_encoder_2]
        for network in networks:
            self.bring(network, dtype)

    def _brought(self, tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        with self._tensors:
            empty = torch.empty(tensor.shape, dtype=dtype if dtype and tensor.is_floating_point() else tensor.dtype)
            return empty.to(CUDA)


def _is_there(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_there(one) for one in value)
    if isinstance(value, torch.device | str):
        return str(value).startswith(CUDA.type)
    return isinstance(value, FakeTensor)


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **others: Any) -> Tensor:
    """As a card runs it: in one kernel, which never holds the weights of attention as a whole."""
    out: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, False, 0.0, others.get("is_causal", False)
    )[0]
    return out
