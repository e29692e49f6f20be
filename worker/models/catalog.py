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
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import BundleError
from shared.settings import Settings
from worker.models.keypoints import KeypointStyle
from worker.models.lock_file import NAME as LOCK_NAME

# Folder of each detector engine (setting TROUPE_DINO_ENGINE); `worker.models.dino.load_dino` loads it.
DINO_FOLDERS: Mapping[str, str] = {"transformers": "dino", "original": "dino-original"}
MINI = Path(__file__).resolve().parent.parent / "mini" / "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where published checkpoints come from, and under which licence.

    repository, revision: of the model hub; a release's address for what is not there, and `main` where the lock file
    must pin the commit. files: the path in a bundle's folder of each file of the source. dtype: of the weights;
    size_gb: about what is downloaded.
    """

    repository: str
    revision: str
    licence: str
    files: Mapping[str, str]
    dtype: str
    size_gb: float


def _alike(folder: str, *files: str) -> dict[str, str]:
    return {file: f"{folder}/{file}" for file in files}


_TOKENIZER = ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")

SDXL = Source(
    repository="stabilityai/stable-diffusion-xl-base-1.0",
    revision="462165984030d82259a11f4367a4eed129e94a7b",
    licence="CreativeML Open RAIL++-M",
    files=_alike(
        "sdxl",
        "model_index.json",
        "scheduler/scheduler_config.json",
        *(f"{folder}/{file}" for folder in ("tokenizer", "tokenizer_2") for file in _TOKENIZER),
        *(f"{folder}/config.json" for folder in ("text_encoder", "text_encoder_2", "unet", "vae")),
        *(f"{folder}/model.fp16.safetensors" for folder in ("text_encoder", "text_encoder_2")),
        *(f"{folder}/diffusion_pytorch_model.fp16.safetensors" for folder in ("unet", "vae")),
    ),
    dtype="float16",
    size_gb=6.9,
)
INSTANTID = Source(
    repository="InstantX/InstantID",
    revision="57b32dfee076092ad2930c71fd6d439c2c3b1820",
    licence="Apache-2.0",
    files={
        "ControlNetModel/config.json": "identitynet/config.json",
        "ControlNetModel/diffusion_pytorch_model.safetensors": "identitynet/diffusion_pytorch_model.safetensors",
        "ip-adapter.bin": "ip-adapter.bin",
    },
    dtype="float16 (IdentityNet), float32 (adapter)",
    size_gb=4.2,
)
DINO = Source(
    repository="IDEA-Research/grounding-dino-base",
    revision="12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
    licence="Apache-2.0",
    files=_alike(
        "dino",
        "config.json",
        "preprocessor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "model.safetensors",
    ),
    dtype="float32",
    size_gb=0.9,
)
# insightface's own release: one zip file, of which two models are needed. `files` names them inside, in any folder.
FACES = Source(
    repository="https://github.com/deepinsight/insightface/releases/download/model-zoo/antelopev2.zip",
    revision="model-zoo",
    licence="non-commercial research only",
    files=_alike("faces/models/antelopev2", "scrfd_10g_bnkps.onnx", "glintr100.onnx"),
    dtype="float32",
    size_gb=0.4,
)
HUB_SOURCES = (SDXL, INSTANTID, DINO)
# Of no bundle: a folder of its own, which TROUPE_SAFETY_CHECKPOINT names.
SAFETY = Source(
    repository="CompVis/stable-diffusion-safety-checker",
    revision="main",
    licence='not stated (its model card says "More information needed"; its parent model is CLIP)',
    files={name: name for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin")},
    dtype="float32",
    size_gb=1.2,
)


@dataclass(frozen=True, kw_only=True)
class BundleSpec:
    """A bundle's folder and what its models were trained with.

    pack: name of the insightface pack. detection_px: sides of the square that faces are looked for in, in the order
    they are tried. pen: of the keypoint drawing. base, vae: weights that take the place of the folder's.
    """

    name: str
    folder: Path
    pack: str
    detection_px: tuple[int, ...]
    keypoint_style: KeypointStyle
    base: Path | None = None
    vae: Path | None = None

    def path(self, part: str) -> Path:
        """Where a part of the bundle is."""
        return self.folder / part

    def fingerprint(self) -> str:
        """The bundle's name with 12 hex digits that change with its files: results of other weights are other results.

        Of gigabytes of weights a hundredth is read (`fingerprint_of`). Raises BundleError.
        """
        return fingerprint_of(self.name, [self.folder, self.base, self.vae])


# The beginning is read whole: there a safetensors file has the names of its tensors. After it a little so often that
# every tensor of half a MiB is touched; the smallest attention of SDXL has 640 x 640 numbers of two bytes.
_BEGINNING_BYTES, _SAMPLE_BYTES, _EVERY_BYTES = 2**20, 2**12, 2**19


def fingerprint_of(name: str, roots: Sequence[Path | None]) -> str:
    """A name with 12 hex digits that change with the files of these folders or of these files themselves.

    Names, sizes and samples from all over each file are read. A file counts by its place in `roots`, too.
    """
    digest = hashlib.sha256()
    for place, root in enumerate(roots):
        if root is None:
            continue
        for path in _files(root):
            size_bytes = path.stat().st_size
            named = path.name if path == root else path.relative_to(root)
            digest.update(f"{place} {named} {size_bytes}\n".encode())
            with path.open("rb", buffering=0) as file:
                digest.update(file.read(_BEGINNING_BYTES))
                if hasattr(os, "posix_fadvise"):
                    # Linux would read 128 KiB ahead of each sample; only macOS cannot be told.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
                for at in range(_BEGINNING_BYTES, size_bytes, _EVERY_BYTES):
                    file.seek(at)
                    digest.update(file.read(_SAMPLE_BYTES))
    return f"{name}@{digest.hexdigest()[:12]}"


def bundle_spec_of(settings: Settings) -> BundleSpec:
    """The recipe of the bundle that the settings name. Raises BundleError where a file or folder is not there."""
    base, vae = (Path(name) if name else None for name in (settings.base, settings.vae))
    for path in (base, vae):
        if path and not path.exists():
            raise BundleError(f"checkpoint {path} is missing")
    return replace(_recipe_of(settings), base=base, vae=vae)


def missing(settings: Settings) -> list[str]:
    """What of the bundle the worker's role lacks, a line each; files are only looked for, not opened."""
    try:
        bundle_spec = bundle_spec_of(settings)
    except BundleError as error:
        return [error.message, *_missing_safety(settings)]
    dino = DINO_FOLDERS[settings.dino_engine]
    parts = {"detection": (dino,), "generation": ("sdxl", "identitynet", "ip-adapter.bin")}
    wanted = [part for role, names in parts.items() if settings.role in (role, "all") for part in names]
    lacking = [
        f"checkpoint {bundle_spec.path(part)} is missing" for part in wanted if not bundle_spec.path(part).exists()
    ]
    return lacking + _missing_safety(settings)


def _missing_safety(settings: Settings) -> list[str]:
    """The first file that a safety check lacks, where one is asked for."""
    if not settings.safety_checkpoint or settings.role == "detection":
        return []
    folder = Path(settings.safety_checkpoint)
    wanted = [folder, folder / "config.json", folder / "preprocessor_config.json"]
    return [f"TROUPE_SAFETY_CHECKPOINT: {path} is missing" for path in wanted if not path.exists()][:1]


def _recipe_of(settings: Settings) -> BundleSpec:
    if settings.bundle == "mini":
        # Discs of ten pixels would cover a face that is forty pixels wide.
        return BundleSpec(
            name="mini",
            folder=MINI,
            pack="mini",
            detection_px=(192, 256, 128),
            keypoint_style=KeypointStyle(stick_width_px=1, radius_px=3),
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
    return BundleSpec(
        name=settings.bundle, folder=folder, pack=_only_pack(folder), detection_px=sizes, keypoint_style=KeypointStyle()
    )


def _only_pack(folder: Path) -> str:
    packs = sorted(path.name for path in (folder / "faces" / "models").glob("*") if path.is_dir())
    if len(packs) != 1:
        message = f"{folder / 'faces' / 'models'} must hold one insightface model pack, and holds {len(packs)}"
        raise BundleError(message)
    return packs[0]


def _files(folder: Path) -> Iterator[Path]:
    """All files but hidden ones and the lock: what fetching leaves beside the checkpoints is not part of them."""
    if folder.is_file():
        yield folder
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.name != LOCK_NAME and not any(part.startswith(".") for part in inside.parts):
            yield path
