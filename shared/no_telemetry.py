"""The one list of variables that stop libraries from reporting to their makers."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

# ONNX Runtime 1.29 and newer writes a device id below ~/.cache and looks a collector up as soon as it is imported
# (onnxruntime PR 27379). huggingface_hub tells its servers which library asks, and so do transformers and diffusers
# through it. DO_NOT_TRACK is the name that other tools agreed on (consoledonottrack.com).
VARIABLES: Mapping[str, str] = MappingProxyType(
    {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
)


def turn_off_telemetry(environment: MutableMapping[str, str]) -> None:
    """Sets the variables, whatever they were. The libraries read them once, while they are imported."""
    environment.update(VARIABLES)
