"""The loaded models of a worker's role, as the stages use them."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import Role, Settings
from worker.models.bundle import Bundle, Detection, Generation, load_bundle
from worker.output.postprocess import Postprocessor, postprocessor_of


@dataclass(frozen=True, kw_only=True)
class Models:
    """A bundle and the postprocessor of its pictures; None where the role draws no pictures."""

    bundle: Bundle
    optional_postprocessor: Postprocessor | None = None

    @property
    def detection(self) -> Detection:
        """The detection models. Raises RuntimeError when the worker's role has none."""
        if self.bundle.detection is None:
            message = "this worker's role has no detection models"
            raise RuntimeError(message)
        return self.bundle.detection

    @property
    def generation(self) -> Generation:
        """The generation models. Raises RuntimeError when the worker's role has none."""
        if self.bundle.generation is None:
            message = "this worker's role has no generation models"
            raise RuntimeError(message)
        return self.bundle.generation

    @property
    def postprocessor(self) -> Postprocessor:
        """The postprocessor. Raises RuntimeError when the worker's role draws no pictures."""
        if self.optional_postprocessor is None:
            message = "this worker's role draws no pictures"
            raise RuntimeError(message)
        return self.optional_postprocessor


def load_models(settings: Settings, role: Role) -> Models:
    """Loads the models of a role. Raises BundleError, or TransientError while no GPU is free."""
    bundle = load_bundle(settings, role)
    if bundle.generation is None:
        return Models(bundle=bundle)
    postprocessor = postprocessor_of(settings, bundle.generation.name, bundle.device)
    return Models(bundle=bundle, optional_postprocessor=postprocessor)
