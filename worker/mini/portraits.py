"""Draw the portraits that ship with the project: `python -m worker.mini.portraits`. Their people train nothing."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from worker.mini.world import draw_identity, draw_portrait

FOLDER = Path(__file__).parent / "portraits"
PEOPLE = {"ben": 10_500_101, "anna": 10_500_033, "carl": 10_500_019, "dora": 10_500_070}


def main() -> None:
    """Write one picture a person."""
    FOLDER.mkdir(exist_ok=True)
    for name, seed in PEOPLE.items():
        Image.fromarray(draw_portrait(draw_identity(seed), 0).picture).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
