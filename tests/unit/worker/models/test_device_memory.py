"""A device that is full: the attempt's tensors are gone before anybody hears of it, and the size is named."""

from __future__ import annotations

import weakref

import pytest
import torch

from shared.errors import OutOfMemory
from worker.models.device_memory import with_device_memory


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), OutOfMemory("no room. x")])
def test_everything_is_let_go_of_and_the_size_is_named(error: Exception) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def draw() -> None:
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        raise error.with_traceback(None)

    with pytest.raises(
        OutOfMemory, match=r"memory does not suffice for a picture of 64 x 64 pixels \((CUDA out of memory|no room)\)"
    ):
        with_device_memory(draw, "a picture of 64 x 64 pixels")
    error.with_traceback(None)
    assert held[0]() is None


def test_what_fits_is_given_and_other_errors_stay_what_they_are() -> None:
    assert with_device_memory(lambda: 3, "anything") == 3
    with pytest.raises(ZeroDivisionError):
        with_device_memory(lambda: 1 // 0, "anything")
