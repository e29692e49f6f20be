from __future__ import annotations

from pathlib import Path

import numpy as np

from compose.certificate import own_certificate
from shared.orders import Drawing, RenderOrder
from shared.settings import Settings
from tests.provenance import validated
from worker.finish import finisher_of
from worker.mark import read
from worker.pngs import pixels

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
    return RenderOrder(bundle="mini", drawing=DRAWING, finish=finisher_of(settings, "mini").wish()).digest()


def test_a_picture_is_marked_and_then_signed(tmp_path: Path) -> None:
    files = own_certificate(tmp_path)
    settings = Settings(c2pa_certificate=str(files.chain), c2pa_key=str(files.key), watermark="example.org")
    finisher = finisher_of(settings, "mini")
    data = finisher.file(PICTURE, finisher.wish())
    assert validated(data, root=files.root)[0] == "Trusted"
    assert read(pixels(data)) == "example.org"


def test_pictures_are_as_they_were_drawn_where_nothing_is_asked() -> None:
    finisher = finisher_of(Settings(), "mini")
    assert np.array_equal(pixels(finisher.file(PICTURE, finisher.wish())), PICTURE)


def test_a_changed_finish_is_another_order(tmp_path: Path) -> None:
    files = own_certificate(tmp_path)
    signed = Settings(c2pa_certificate=str(files.chain), c2pa_key=str(files.key))
    marked = [Settings(watermark=text) for text in ("one", "two")]
    assert len({digest(settings) for settings in (Settings(), signed, *marked)}) == 4
    assert digest(Settings(watermark="one")) == digest(marked[0])
