"""An invisible watermark: a short text in the colours of a picture, which survives the loss of the file's metadata.

The method is dwtDctSvd of invisible-watermark (ShieldMnt/invisible-watermark, imwatermark/dwtDctSvd.py). The U channel
(YUV) of every block of 8 x 8 pixels is halved by a Haar transform to 4 x 4 numbers. Their largest singular value is
moved to a quarter (0) or three quarters (1) of a quantization step, which stores one bit. The bits of the text are
repeated over all blocks, and the blocks vote. Differences: all blocks are computed at once, in floating point instead
of bytes; the singular value moves to the nearest matching place; votes have weights; and the DCT is left out, because
it is a rotation and keeps singular values. The original decoder reads this watermark with `scales=[0, 60, 0]`.
"""

from __future__ import annotations

import binascii

import numpy as np
from numpy.typing import NDArray

from shared.settings import MOST_WATERMARK_BYTES

# The text, padded with zeros, and its CRC-16, which shows a reader that there is a watermark.
BITS = 8 * (MOST_WATERMARK_BYTES + 2)
BLOCK_PX = 8
# Larger steps survive stronger compression and become visible; tests/benchmarks/README.md has figures for this one.
STEP = 60.0
_LUMA = np.array([0.299, 0.587, 0.114])
# U = _TO_U * (B - Y) + 128, and back (OpenCV's COLOR_RGB2YUV).
_TO_U = 0.492
_U_TO_RGB = np.array([0.0, -0.395, 2.032])
# Power iterations: all numbers of a block are positive and similar, so its largest singular value dominates.
_ROUNDS = 4

Blocks = NDArray[np.float64]


def embed_watermark(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The picture (H, W, 3) RGB with the text in it. Raises ValueError if the text or the picture does not fit."""
    bits = _bits_of(text)
    blocks, (rows, columns) = _blocks_of(picture)
    if len(blocks) < BITS:
        height_px, width_px = picture.shape[:2]
        message = f"a picture of {width_px} x {height_px} has {len(blocks)} blocks; a watermark needs {BITS}"
        raise ValueError(message)
    u, s, v = _leading(blocks)
    first = (0.25 + 0.5 * np.resize(bits, len(blocks))) * STEP
    nearest = first + np.rint((s - first) / STEP) * STEP

    def moved(aims: NDArray[np.float64]) -> NDArray[np.uint8]:
        change = (aims - s)[:, None, None] * u[:, :, None] * v[:, None, :]
        halved = change.reshape(rows, columns, 4, 4).swapaxes(1, 2).reshape(rows * 4, columns * 4)
        # A half of Haar's sum goes to each of the four pixels.
        shift = np.zeros(picture.shape[:2])
        shift[: rows * BLOCK_PX, : columns * BLOCK_PX] = np.kron(halved, np.full((2, 2), 0.5))
        shifted: NDArray[np.float64] = np.rint(picture + shift[..., None] * _U_TO_RGB)
        return shifted.clip(0, 255).astype(np.uint8)

    embedded = moved(nearest)
    # White cannot become bluer, and black not yellower: such a block moves in the other direction.
    reached = _leading(_blocks_of(embedded)[0])[1]
    stuck = np.abs(reached - nearest) > STEP / 8
    return moved(nearest + np.where(stuck, np.where(nearest > s, -STEP, STEP), 0)) if stuck.any() else embedded


def read_watermark(picture: NDArray[np.uint8]) -> str | None:
    """The text in a picture (H, W, 3) RGB; None if there is none or it is damaged."""
    found = np.packbits(_votes(picture) > 0).tobytes()
    text, check = found[:MOST_WATERMARK_BYTES], found[MOST_WATERMARK_BYTES:]
    if not text.strip(b"\0") or check != _check_of(text):
        return None
    return text.rstrip(b"\0").decode(errors="replace")


def agreement(picture: NDArray[np.uint8], text: str) -> float:
    """Fraction of the bits of a text that the picture holds: 1 for an intact watermark, about 0.5 without one."""
    return float(np.mean((_votes(picture) > 0) == _bits_of(text)))


def _bits_of(text: str) -> NDArray[np.bool_]:
    data = text.encode()
    if not data or len(data) > MOST_WATERMARK_BYTES:
        message = f"a watermark has 1 to {MOST_WATERMARK_BYTES} bytes, and {text!r} has {len(data)}"
        raise ValueError(message)
    whole = data.ljust(MOST_WATERMARK_BYTES, b"\0")
    return np.unpackbits(np.frombuffer(whole + _check_of(whole), np.uint8)).astype(bool)


def _check_of(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(2, "big")


def _blocks_of(picture: NDArray[np.uint8]) -> tuple[Blocks, tuple[int, int]]:
    """The halved U of every complete block, (n, 4, 4), row by row, and the numbers of rows and columns of blocks."""
    rows, columns = picture.shape[0] // BLOCK_PX, picture.shape[1] // BLOCK_PX
    whole = picture[: rows * BLOCK_PX, : columns * BLOCK_PX].astype(np.float64)
    u = _TO_U * (whole[..., 2] - whole @ _LUMA) + 128
    halved = (u[0::2, 0::2] + u[0::2, 1::2] + u[1::2, 0::2] + u[1::2, 1::2]) / 2
    return halved.reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(-1, 4, 4), (rows, columns)


def _leading(blocks: Blocks) -> tuple[Blocks, Blocks, Blocks]:
    """The largest singular value s (n,) of every block, with its singular vectors: u (n, 4), s, v (n, 4)."""
    v = np.full((len(blocks), 4), 0.5)
    for _ in range(_ROUNDS):
        u = np.einsum("nij,nj->ni", blocks, v)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v = np.einsum("nij,ni->nj", blocks, u)
        s = np.linalg.norm(v, axis=1)
        v /= s[:, None]
    return u, s, v


def _votes(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The sum of the votes for each bit, (BITS,): a block in the middle of its half step has the largest weight."""
    blocks, _ = _blocks_of(picture)
    _, s, _ = _leading(blocks)
    votes = -np.sin(2 * np.pi * s / STEP)
    return np.bincount(np.arange(len(votes)) % BITS, weights=votes, minlength=BITS).astype(np.float64)
