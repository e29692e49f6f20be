"""Render: the template, and the predictions that led to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from shared.job import Job
from shared.orders import RenderOrder
from shared.stages import Stage
from worker.output.png import pixels
from worker.runner.assignment import OnStep
from worker.runner.orders import drawing_of, spec_of_try
from worker.runner.results import Results
from worker.runner.stage import StageResult, WorkerStage
from worker.stages.render import render

TEMPLATE = "template.png"
_PREDICTIONS = "predictions.safetensors"


class RenderStage(WorkerStage[RenderOrder]):
    """The scene without anyone's identity."""

    stage = Stage.RENDER

    def order(self, job: Job) -> RenderOrder:
        """The drawing, with the seed of the current try."""
        generation = self.models.generation
        return RenderOrder(
            bundle=generation.name,
            drawing=drawing_of(spec_of_try(job), generation.loras.files),
            postprocessing=self.models.postprocessor.plan(),
        )

    def run(self, order: RenderOrder, inputs: Results, on_step: OnStep) -> StageResult:  # noqa: ARG002 - reads no result
        """One step a denoising step. Raises UnsafeContent and OutOfMemory."""
        template = render(self.models.generation, order.drawing, on_step)
        picture = self.models.postprocessor.encode(template.picture, order.postprocessing)
        return StageResult(files={TEMPLATE: picture, _PREDICTIONS: encode_predictions(template.predictions)})


def encode_predictions(predictions: Tensor) -> bytes:
    """The predictions (steps, c, h, w) as a file."""
    return save({"predictions": predictions.cpu().contiguous()})


def read_template(results: Results, digest: str) -> NDArray[np.uint8]:
    """A template (H, W, 3) RGB."""
    return pixels(results.read(Stage.RENDER, digest, TEMPLATE))


def read_predictions(results: Results, digest: str) -> Tensor:
    """The guided predictions (steps, c, h, w) that led to a template."""
    return load(results.read(Stage.RENDER, digest, _PREDICTIONS))["predictions"]
