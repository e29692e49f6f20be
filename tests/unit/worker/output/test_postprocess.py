from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from compose.certificate import own_certificate
from shared.errors import UnsafeContent
from shared.orders import Drawing, RenderOrder
from shared.settings import Settings
from tests.support.provenance import validated
from tests.support.safety import ALWAYS, NEVER, write_safety
from worker.output.png import pixels
from worker.output.postprocess import postprocessor_of
from worker.output.watermark import read_watermark
from worker.stages.personalize import Show

CPU = torch.device("cpu")
PICTURE = np.full((128, 128, 3), 128, np.uint8)
DRAWING = Drawing(
    prompt="a man",
    negative_prompt="",
    width_px=128,
    height_px=128,
    steps=1,
    seed=1,
    guidance_scale=1.0,
    scheduler="euler",
)


def digest(settings: Settings) -> str:
    return RenderOrder(
        bundle="mini", drawing=DRAWING, postprocessing=postprocessor_of(settings, "mini", CPU).plan()
    ).digest()


def test_a_picture_is_marked_and_then_signed(tmp_path: Path) -> None:
    files = own_certificate(tmp_path)
    settings = Settings(c2pa_certificate=str(files.chain), c2pa_key=str(files.key), watermark="example.org")
    postprocessor = postprocessor_of(settings, "mini", CPU)
    data = postprocessor.encode(PICTURE, postprocessor.plan())
    assert validated(data, root=files.root)[0] == "Trusted"
    assert read_watermark(pixels(data)) == "example.org"


def test_pictures_are_as_they_were_drawn_where_nothing_is_asked() -> None:
    postprocessor = postprocessor_of(Settings(), "mini", CPU)
    assert np.array_equal(pixels(postprocessor.encode(PICTURE, postprocessor.plan())), PICTURE)


def test_a_forbidden_picture_is_no_file_and_nothing_is_shown_of_it_before(tmp_path: Path) -> None:
    forbids, allows = (
        postprocessor_of(Settings(safety_checkpoint=str(write_safety(tmp_path / name, threshold))), "mini", CPU)
        for name, threshold in (("forbids", ALWAYS), ("allows", NEVER))
    )
    with pytest.raises(UnsafeContent):
        forbids.encode(PICTURE, forbids.plan())
    assert np.array_equal(pixels(allows.encode(PICTURE, allows.plan())), PICTURE)
    steps: list[tuple[int, int]] = []

    def on_step(step: int, of: int) -> Show:
        steps.append((step, of))
        return lambda _picture: None

    assert postprocessor_of(Settings(), "mini", CPU).without_previews(on_step)(1, 2) is not None
    # Whether a preview may be shown is not known before the picture is there, also where it turns out allowed.
    assert allows.without_previews(on_step)(2, 2) is None
    assert steps == [(1, 2), (2, 2)]


def test_the_check_stays_off_a_card_that_is_short_of_room(tmp_path: Path) -> None:
    folder = str(write_safety(tmp_path, NEVER))
    for memory, device in (("full", "meta"), ("quantized", "cpu")):
        settings = Settings.model_validate({"safety_checkpoint": folder, "memory": memory})
        safety = postprocessor_of(settings, "mini", torch.device("meta")).safety
        assert safety is not None
        assert {weight.device.type for weight in safety.network.parameters()} == {device}


def test_a_changed_finish_is_another_order(tmp_path: Path) -> None:
    files = own_certificate(tmp_path)
    signed = Settings(c2pa_certificate=str(files.chain), c2pa_key=str(files.key))
    marked = [Settings(watermark=text) for text in ("one", "two")]
    checked = Settings(safety_checkpoint=str(write_safety(tmp_path / "safety", NEVER)))
    assert len({digest(settings) for settings in (Settings(), signed, checked, *marked)}) == 5
    assert digest(Settings(watermark="one")) == digest(marked[0])
