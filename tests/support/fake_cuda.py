"""A simulated CUDA device: torch's fake tensors have its name, shapes and dtypes, and no values.

The product's code runs on them operation by operation. Torch raises the errors that a GPU would raise, such as for
tensors of two devices in one operation. Values and speed are tested on a real GPU.
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


class FakeCuda(TorchFunctionMode):
    """A context in which tensors can be moved to `CUDA`. A tensor that is copied back contains zeros."""

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
        """The result of the operation, on the simulated device or on the CPU."""
        named = dict(kwargs or {})
        if not any(_is_there(value) for value in (*args, *named.values())):
            return func(*args, **named)
        if func is torch.Tensor.cpu:
            return torch.zeros(args[0].shape, dtype=args[0].dtype)
        if func is torch.tensor:
            # Created on the CPU first: torch would look for a driver.
            made = func(*args, **named | {"device": "cpu"})
            return self._moved(made)
        with self._tensors:
            if func is scaled_dot_product_attention:
                return _attention(*args, **named)
            if func is torch.Tensor.to:
                here = isinstance(args[0], Tensor) and not isinstance(args[0], FakeTensor)
                args = (self._moved(args[0]) if here else args[0], *args[1:])
            return func(*args, **named)

    def move(self, network: nn.Module, dtype: torch.dtype) -> None:
        """Moves a network to the device: floating-point weights in this dtype, integers unchanged."""
        for module in network.modules():
            for name, weight in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(self._moved(weight, dtype), requires_grad=False))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, self._moved(buffer, dtype))

    def move_generator(self, generator: Generator, dtype: torch.dtype = torch.float16) -> None:
        """Moves all networks of a generator. The VAE is in float32, as after its first picture."""
        pipeline, instantid = generator.sdxl.pipeline, generator.instantid
        self.move(pipeline.vae, torch.float32)
        networks = [pipeline.unet, instantid.resampler, instantid.embedding, instantid.identitynet]
        if not generator.sdxl.text_encoders_on_host:
            networks += [pipeline.text_encoder, pipeline.text_encoder_2]
        for network in networks:
            self.move(network, dtype)

    def _moved(self, tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
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
    """Attention as a GPU runs it: one kernel, which never stores the whole attention matrix."""
    out: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, False, 0.0, others.get("is_causal", False)
    )[0]
    return out
