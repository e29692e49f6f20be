"""Render training scenes once, into memory-mapped arrays with a line of labels a scene.

    python -m worker.mini.train.dataset --scenes 24000 --seed 0 --out var/world

Renders in two processes, 500 scenes at a time; run again after a break and it goes on with the chunks that are missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.mini.world import Scene, draw_scene

HEIGHT_PX = 128
# Width: (people in its scenes, share of all scenes). Crowds are rarer because each of their scenes shows more people.
_SHARES: dict[int, tuple[tuple[int | None, ...], float]] = {128: ((None,), 0.8), 192: ((3,), 0.12), 256: ((4, 5), 0.08)}
_CHUNK = 500
_SEEDS_A_SET = 1_000_000
_SEEDS_A_WIDTH = 250_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenes:
    """The scenes of one width: pictures (N, H, W, 3) uint8 RGB and owners (N, H, W) uint8, memory-mapped.

    owners: 0 for the place, i + 1 for the label's figure i. labels: a record a scene with the keys seed, caption,
    place, night and figures; a figure has kind, phrases, traits, box, face_box (x1, y1, x2, y2), keypoints (5 x 2)
    and identity (its seed).
    """

    pictures: NDArray[np.uint8]
    owners: NDArray[np.uint8]
    labels: list[dict[str, Any]]


def load(out: Path | str) -> dict[int, Scenes]:
    """The rendered scenes by picture width. Raises FileNotFoundError where rendering has not finished."""
    out = Path(out)
    labels: dict[int, list[dict[str, Any]]] = {}
    with (out / "labels.jsonl").open() as lines:
        for line in lines:
            label = json.loads(line)
            labels.setdefault(label["width_px"], []).append(label)
    return {
        width_px: Scenes(
            pictures=np.load(_array_path(out, "pictures", width_px), mmap_mode="r"),
            owners=np.load(_array_path(out, "owners", width_px), mmap_mode="r"),
            labels=own,
        )
        for width_px, own in labels.items()
    }


def render(out: Path, *, scenes: int, seed: int, widths_px: Sequence[int] = tuple(_SHARES), processes: int = 2) -> None:
    """Render the scenes that are not there yet; labels.jsonl is written last, so its presence says that all are."""
    (out / "parts").mkdir(parents=True, exist_ok=True)
    whole = sum(_SHARES[width_px][1] for width_px in widths_px)
    chunks = []
    for width_px in widths_px:
        count = round(scenes * _SHARES[width_px][1] / whole)
        for name, shape in (("pictures", (count, HEIGHT_PX, width_px, 3)), ("owners", (count, HEIGHT_PX, width_px))):
            path = _array_path(out, name, width_px)
            if not path.exists():
                np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        chunks += [(out, width_px, start, min(start + _CHUNK, count), seed) for start in range(0, count, _CHUNK)]
    missing = [chunk for chunk in chunks if not _part_path(*chunk[:3]).exists()]
    with ProcessPoolExecutor(processes) as pool:
        for done, _ in enumerate(pool.map(_render_chunk, missing), start=1):
            sys.stdout.write(f"\r{done}/{len(missing)} chunks")
            sys.stdout.flush()
    text = "".join(_part_path(*chunk[:3]).read_text() for chunk in chunks)
    (out / "labels.jsonl.new").write_text(text)
    (out / "labels.jsonl.new").rename(out / "labels.jsonl")


def _render_chunk(chunk: tuple[Path, int, int, int, int]) -> None:
    out, width_px, start, stop, seed = chunk
    pictures = np.load(_array_path(out, "pictures", width_px), mmap_mode="r+")
    owners = np.load(_array_path(out, "owners", width_px), mmap_mode="r+")
    casts = _SHARES[width_px][0]
    lines = []
    for row in range(start, stop):
        scene_seed = seed * _SEEDS_A_SET + list(_SHARES).index(width_px) * _SEEDS_A_WIDTH + row
        scene = draw_scene(scene_seed, people=casts[row % len(casts)], width_px=width_px, height_px=HEIGHT_PX)
        pictures[row] = scene.picture
        owners[row] = 0
        for number, figure in enumerate(scene.figures, start=1):
            owners[row][figure.mask] = number
        lines.append(json.dumps({"width_px": width_px, "seed": scene_seed, **_label(scene)}) + "\n")
    pictures.flush()
    owners.flush()
    part = _part_path(out, width_px, start)
    part.with_suffix(".new").write_text("".join(lines))
    part.with_suffix(".new").rename(part)


def _label(scene: Scene) -> dict[str, Any]:
    return {
        "caption": scene.caption,
        "place": scene.place,
        "night": scene.night,
        "figures": [
            {
                "kind": figure.kind,
                "phrases": figure.phrases,
                "traits": figure.identity.phrase_traits,
                "box": figure.box_px,
                "face_box": [round(edge, 2) for edge in figure.face_box_px],
                "keypoints": figure.keypoints_px.round(2).tolist(),
                "identity": figure.identity.seed,
            }
            for figure in scene.figures
        ],
    }


def _array_path(out: Path, name: str, width_px: int) -> Path:
    return out / f"{name}-{width_px}.npy"


def _part_path(out: Path, width_px: int, start: int) -> Path:
    return out / "parts" / f"{width_px}-{start:06d}.jsonl"


def main() -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=24_000)
    parser.add_argument("--seed", type=int, default=0, help="0 to 9; sets of different seeds share no scene")
    parser.add_argument("--out", type=Path, default=Path("var/world"))
    parser.add_argument("--width-px", type=int, choices=list(_SHARES), help="only scenes of this width")
    asked = parser.parse_args()
    began = time.monotonic()
    render(
        asked.out, scenes=asked.scenes, seed=asked.seed, widths_px=[asked.width_px] if asked.width_px else list(_SHARES)
    )
    sys.stdout.write(f"\n{asked.scenes} scenes in {time.monotonic() - began:.0f} s: {asked.out}\n")


if __name__ == "__main__":
    main()
