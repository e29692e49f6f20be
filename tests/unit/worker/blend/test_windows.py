from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.blend.windows import Window, windows_around

HEIGHT, WIDTH = 32, 48
SIDE = st.integers(0, HEIGHT - 1)


def mask_of(top: int, left: int, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., top : top + height, left : left + width] = 1
    return mask


@given(boxes=st.lists(st.tuples(SIDE, SIDE, SIDE, SIDE), min_size=1, max_size=4), margin=st.floats(0, 1))
def test_windows_are_of_one_size_hold_their_masks_and_stay_in_the_picture(
    boxes: list[tuple[int, int, int, int]], margin: float
) -> None:
    masks = [mask_of(*box) for box in boxes]
    windows = windows_around(masks, margin=margin, multiple=4)
    assert len({(window.height, window.width) for window in windows}) == 1
    for mask, window in zip(masks, windows, strict=True):
        assert window.crop(mask).sum() == mask.sum()
        assert window.top >= 0
        assert window.left >= 0
        assert window.top + window.height <= HEIGHT
        assert window.left + window.width <= WIDTH
        assert window.height % 4 == window.width % 4 == 0
        assert (2 * window.height, 2 * window.width) >= (HEIGHT, WIDTH)


def test_the_margin_is_a_share_of_the_pictures_sides_and_ends_at_its_borders() -> None:
    masks = [mask_of(8, 0, 24, 20), mask_of(8, 28, 20, 20)]
    left, right = windows_around(masks, margin=0.125, multiple=4)
    assert left == Window(top=4, left=0, height=28, width=28)
    assert right == Window(top=4, left=20, height=28, width=28)


def test_a_margin_of_one_is_the_whole_picture_and_no_mask_is_no_window() -> None:
    assert windows_around([mask_of(3, 3, 2, 2)], margin=1, multiple=4) == [
        Window(top=0, left=0, height=HEIGHT, width=WIDTH)
    ]
    assert windows_around([], margin=0, multiple=4) == []


def test_what_was_cut_is_put_back_with_zeros_around_it() -> None:
    x = torch.randn(2, 3, HEIGHT, WIDTH)
    window = Window(top=5, left=7, height=10, width=12)
    back = window.paste(window.crop(x), height=HEIGHT, width=WIDTH)
    assert torch.equal(window.crop(back), window.crop(x))
    assert back.count_nonzero() == window.crop(x).count_nonzero()
