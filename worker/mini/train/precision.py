"""Faster forwards on processors with matrix units for bfloat16: half the time of a step, the same curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _WholeAttention(TorchFunctionMode):
    """Attention in float32: its backward in bfloat16 is four times slower on a CPU (torch 2.14)."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **options)
        query, key, value, *rest = args
        with torch.autocast("cpu", enabled=False):
            return func(query.float(), key.float(), value.float(), *rest, **options).to(query.dtype)


@contextmanager
def mixed() -> Iterator[None]:
    """Convolutions and products in bfloat16, weights and everything delicate in float32.

    Does nothing on a processor that would have to emulate bfloat16.
    """
    # torch has no public name for the question.
    if not torch.cpu._is_amx_tile_supported():  # noqa: SLF001
        yield
        return
    with torch.autocast("cpu", torch.bfloat16), _WholeAttention():
        yield
