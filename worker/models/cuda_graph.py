"""CUDA graphs: work that is recorded once and replayed, with one launch instead of thousands.

A step of SDXL is some thousand small kernels. On a fast card the host needs longer to launch them than the card to run
them, above all when branches compute windows only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[Tensor, Tensor], Tensor]
"""Latents (b, c, h, w) and a scalar timestep -> (b, c, h, w). All other inputs of the work stay the same."""


class CudaGraph:
    """`work` for latents of one shape: run directly the first time, recorded the second time, then replayed.

    When device memory does not suffice for a recording, the work is always run directly.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = False
        self._fits = True
        self._done = torch.cuda.Event()

    @torch.inference_mode()
    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The result of the work. Raises torch.OutOfMemoryError when there is no memory to run it directly, either."""
        if self._warm and self._graph is None and self._fits:
            self._record(x, t)
        if self._graph is None:
            # Libraries initialize at the first run, which a recording cannot contain.
            self._warm = True
            return self._work(x, t)
        # One at a time: nothing else in a step waits for the card, so the host would finish all steps, and miss a
        # cancel, before the card has computed the second.
        self._done.synchronize()
        self._x.copy_(x)
        self._t.fill_(float(t))
        self._graph.replay()
        self._done.record()
        return self._out.clone()

    def _record(self, x: Tensor, t: Tensor) -> None:
        self._x, self._t = x.clone(), torch.full((), float(t), device=x.device)
        graph = torch.cuda.CUDAGraph()
        try:
            # Another thread of the worker reads the device's memory meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._out = self._work(self._x, self._t)
        except torch.OutOfMemoryError:
            self._fits = False
        else:
            self._graph = graph
            return
        # After the except clause: inside it the exception still holds what was recorded.
        del graph
        torch.cuda.empty_cache()
