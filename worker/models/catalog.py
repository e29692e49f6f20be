"""Which files a bundle is made of, as data: the embedded `mini`, the published `sdxl`, or a folder of one's own.

Every bundle is one folder laid out like this, with the files of each part as they were published:

    sdxl/                 an SDXL pipeline of diffusers
    identitynet/          InstantID's ControlNet of diffusers
    ip-adapter.bin        InstantID's Resampler, keys and values
    dino/                 Grounding DINO of transformers
    dino-original/        the same as groundingdino-py wants it (only for that engine)
    faces/models/{pack}/  an insightface model pack
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.errors import BundleError
from shared.settings import Settings
from worker.models.keypoints import Pen

MINI = Path(__file__).resolve().parent.parent / "mini" / "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a published checkpoint comes from, and under which licence. revision: of its model hub's repository."""

    part: str
    repository: str
    revision: str
    licence: str


# What `sdxl` was written for. antelopev2 comes with insightface's own release and may not be used commercially.
SOURCES = (
    Source(
        part="sdxl",
        repository="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        licence="CreativeML Open RAIL++-M",
    ),
    Source(
        part="identitynet, ip-adapter.bin",
        repository="InstantX/InstantID",
        revision="57b32dfee076092ad2930c71fd6d439c2c3b1820",
        licence="Apache-2.0",
    ),
    Source(
        part="dino",
        repository="IDEA-Research/grounding-dino-base",
        revision="12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
        licence="Apache-2.0",
    ),
    Source(
        part="faces/models/antelopev2",
        repository="deepinsight/insightface",
        revision="model-zoo",
        licence="non-commercial research only",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A bundle's folder and what its models were trained with.

    pack: name of the insightface pack. detection_px: sides of the square that faces are looked for in, in the order
    they are tried. pen: of the keypoint drawing.
    """

    name: str
    folder: Path
    pack: str
    detection_px: tuple[int, ...]
    pen: Pen

    def path(self, part: str) -> Path:
        """Where a part of the bundle is."""
        return self.folder / part

    def fingerprint(self) -> str:
        """The bundle's name with 12 hex digits that change with its files: results of other weights are other results.

        Sizes and the last 64 KiB of each file are read; gigabytes of weights need not be. Raises BundleError.
        """
        digest = hashlib.sha256()
        for path in _files(self.folder):
            digest.update(f"{path.relative_to(self.folder)} {path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
                digest.update(file.read())
        return f"{self.name}@{digest.hexdigest()[:12]}"


_TAIL_BYTES = 65_536


def recipe_of(settings: Settings) -> Recipe:
    """The recipe of the bundle that the settings name. Raises BundleError where there is no such folder."""
    if settings.bundle == "mini":
        # Discs of ten pixels would cover a face that is forty pixels wide.
        return Recipe(
            name="mini", folder=MINI, pack="mini", detection_px=(192, 256, 128), pen=Pen(stick_width_px=1, radius_px=3)
        )
    if settings.bundle == "sdxl":
        if not settings.bundle_folder:
            message = "bundle sdxl: set TROUPE_BUNDLE_FOLDER to the folder that holds its checkpoints"
            raise BundleError(message)
        folder = Path(settings.bundle_folder)
    else:
        folder = Path(settings.bundle)
    if not folder.is_dir():
        message = f"bundle folder {folder} is missing"
        raise BundleError(message)
    # insightface finds large faces better in small squares (InstantID's authors retry the same way).
    sizes = (640, 512, 448, 384, 320, 256, 192)
    return Recipe(name=settings.bundle, folder=folder, pack=_only_pack(folder), detection_px=sizes, pen=Pen())


def _only_pack(folder: Path) -> str:
    packs = sorted(path.name for path in (folder / "faces" / "models").glob("*") if path.is_dir())
    if len(packs) != 1:
        message = f"{folder / 'faces' / 'models'} must hold one insightface model pack, and holds {len(packs)}"
        raise BundleError(message)
    return packs[0]


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())
