"""Work on a CUDA device that is recorded once and replayed: one launch in the place of thousands.

A step of SDXL is some thousand small kernels. On a fast card the host needs longer to ask for them one by one than the
card to run them, the more so where branches look at windows only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[Tensor, Tensor], Tensor]
"""Latents (b, c, h, w) and a timestep, a number on its own -> (b, c, h, w); what else it reads stays the same."""


class CudaGraph:
    """`work` for latents of one shape: run as it is the first time, recorded the second, replayed from then on.

    Where a recording has no room beside what the device holds, the work goes on being run as it is.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = False
        self._has_room = True
        self._done = torch.cuda.Event()

    @torch.inference_mode()
    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """What the work gives. Raises torch.OutOfMemoryError where not even running it as it is has room."""
        if self._warm and self._graph is None and self._has_room:
            self._record(x, t)
        if self._graph is None:
            # Libraries set themselves up the first time, which a recording cannot hold.
            self._warm = True
            return self._work(x, t)
        # One at a time: nothing else in a step waits for the card, and the host would be through all steps, and deaf to
        # whoever takes the job back, before the card has done the second.
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
            # Other threads of a worker ask the device how much memory it has.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._out = self._work(self._x, self._t)
        except torch.OutOfMemoryError:
            self._has_room = False
        else:
            self._graph = graph
            return
        # After the except clause: inside it the exception still holds what was recorded.
        del graph
        torch.cuda.empty_cache()
