"""Which LoRA files a job may ask for: an allow-list of names, the same for the API and the workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

FewStepScheduler = Literal["lcm", "euler_trailing", "ddim_trailing"]


class FewStep(BaseModel):
    """How a few-step LoRA wants to be drawn with: LCM with `lcm`, Lightning `euler_trailing`, Hyper `ddim_trailing`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheduler: FewStepScheduler
    steps: int = Field(8, ge=1, le=16)


class AllowedLora(BaseModel):
    """One file. scale: where a job says none; few_step: what the preset `fast` draws with, if it is made for that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    scale: float = Field(1.0, ge=-4, le=4)
    few_step: FewStep | None = None


# A name becomes a part of the names of modules, which have no dots.
_NAME = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_LISTS = TypeAdapter(dict[_NAME, AllowedLora])


def read_loras(text: str) -> Mapping[str, AllowedLora]:
    """The allow-list of a setting: JSON, name -> file and more; none when empty. Raises ValueError."""
    return _LISTS.validate_json(text) if text else {}
