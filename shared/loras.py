"""The allow-list of LoRA files that jobs may name, shared by the API and the workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

FewStepScheduler = Literal["lcm", "euler_trailing", "ddim_trailing"]


class FewStep(BaseModel):
    """Sampling of a few-step LoRA: `lcm` for LCM, `euler_trailing` for Lightning, `ddim_trailing` for Hyper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheduler: FewStepScheduler
    steps: int = Field(8, ge=1, le=16)


class AllowedLora(BaseModel):
    """One file. scale: the default. few_step: its sampling with the preset `fast`, for few-step LoRAs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    scale: float = Field(1.0, ge=-4, le=4)
    few_step: FewStep | None = None


# A name becomes a part of the names of modules, which have no dots.
_NAME = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_LISTS = TypeAdapter(dict[_NAME, AllowedLora])


def read_loras(text: str) -> Mapping[str, AllowedLora]:
    """The allow-list of a setting: JSON, from a name to a file and its options. Raises ValueError."""
    return _LISTS.validate_json(text) if text else {}
