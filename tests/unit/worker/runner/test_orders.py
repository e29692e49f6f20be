from __future__ import annotations

import pytest

from shared.errors import InvalidField
from shared.job import Concept, JobSpec, Lora, Sampling
from shared.limits import SDXL_LIMITS
from shared.orders import RenderOrder
from shared.presets import filled
from worker.runner.orders import drawing_of


def spec(*loras: Lora) -> JobSpec:
    sampling = filled(Sampling(seed=1), SDXL_LIMITS).model_copy(update={"loras": loras})
    return JobSpec(prompt="a", concepts=(Concept(phrase="b", photos=("0" * 64,)),), sampling=sampling)


def digest(sha256: str, scale: float = 1.0) -> str:
    drawing = drawing_of(spec(Lora(name="ink", scale=scale)), {"ink": sha256})
    return RenderOrder(bundle="mini", drawing=drawing).digest()


def test_another_file_or_scale_of_a_lora_is_another_order() -> None:
    assert digest("a") == digest("a")
    assert len({digest("a"), digest("b"), digest("a", 0.5)}) == 3


def test_a_lora_that_this_worker_has_not_is_named() -> None:
    with pytest.raises(InvalidField, match="'ink'"):
        drawing_of(spec(Lora(name="ink", scale=1.0)), {"oil": "a"})
