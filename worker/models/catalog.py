"""The files of each bundle: the included `mini`, the published `sdxl`, or any folder in this layout.

A bundle is one folder. Each part has the files and names of its publication:

    sdxl/                 an SDXL pipeline of diffusers
    identitynet/          InstantID's ControlNet of diffusers
    ip-adapter.bin        InstantID's Resampler, keys and values
    dino/                 Grounding DINO of transformers
    dino-original/        the same for groundingdino-py (only for engine `original`)
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

# Folder of each detector engine (setting TROUPE_DINO_ENGINE), which `worker.models.dino.load_dino` loads.
DINO_FOLDERS: Mapping[str, str] = {"transformers": "dino", "original": "dino-original"}
MINI = Path(__file__).resolve().parent.parent / "mini" / "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of published checkpoints and their licence.

    repository, revision: on the model hub, or the URL of a release; with revision `main` the lock file pins the commit.
    files: for each file of the source its path in the folder of the bundle. dtype: of the weights; size_gb: approximate
    size of the download.
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
# A release of insightface: one zip file, of which two models are needed. `files` has their names in any of its folders.
FACES = Source(
    repository="https://github.com/deepinsight/insightface/releases/download/model-zoo/antelopev2.zip",
    revision="model-zoo",
    licence="non-commercial research only",
    files=_alike("faces/models/antelopev2", "scrfd_10g_bnkps.onnx", "glintr100.onnx"),
    dtype="float32",
    size_gb=0.4,
)
HUB_SOURCES = (SDXL, INSTANTID, DINO)
# Not part of a bundle: TROUPE_SAFETY_CHECKPOINT names its folder.
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
    """The folder of a bundle and the parameters of its models.

    pack: name of the insightface model pack. detection_px: side lengths of the face detector's input, in the order of
    the attempts. keypoint_style: how landmarks are drawn for IdentityNet. base, vae: weights that replace those of the
    folder.
    """

    name: str
    folder: Path
    pack: str
    detection_px: tuple[int, ...]
    keypoint_style: KeypointStyle
    base: Path | None = None
    vae: Path | None = None

    def path(self, part: str) -> Path:
        """The path of a part of the bundle."""
        return self.folder / part

    def fingerprint(self) -> str:
        """The name of the bundle with 12 hex digits that change with its files, so results of other weights differ.

        About a hundredth of the weights is read (`fingerprint_of`).
        """
        return fingerprint_of(self.name, [self.folder, self.base, self.vae])


# The first MiB is read completely, because a safetensors file has the names of its tensors there. After it, one sample
# in every half MiB hits every tensor of that size; the smallest attention matrix of SDXL is 640 x 640 x 2 bytes.
_HEAD_BYTES, _SAMPLE_BYTES, _EVERY_BYTES = 2**20, 2**12, 2**19


def fingerprint_of(name: str, roots: Sequence[Path | None]) -> str:
    """The name with 12 hex digits of a digest over these folders and files.

    The digest covers names, sizes and samples of every file, and the position of its root in `roots`.
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
                digest.update(file.read(_HEAD_BYTES))
                if hasattr(os, "posix_fadvise"):
                    # Without this, Linux reads 128 KiB ahead at each sample. macOS does not have the call.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
                for at in range(_HEAD_BYTES, size_bytes, _EVERY_BYTES):
                    file.seek(at)
                    digest.update(file.read(_SAMPLE_BYTES))
    return f"{name}@{digest.hexdigest()[:12]}"


def bundle_spec_of(settings: Settings) -> BundleSpec:
    """The spec of the bundle that the settings select. Raises BundleError if a file or folder is missing."""
    base, vae = (Path(name) if name else None for name in (settings.base, settings.vae))
    for path in (base, vae):
        if path and not path.exists():
            raise BundleError(f"checkpoint {path} is missing")
    return replace(_without_overrides(settings), base=base, vae=vae)


def missing(settings: Settings) -> list[str]:
    """One message for each missing file that the role of the worker needs; files are not opened."""
    try:
        bundle_spec = bundle_spec_of(settings)
    except BundleError as error:
        return [error.message, *_missing_safety(settings)]
    dino = DINO_FOLDERS[settings.dino_engine]
    parts = {"detection": (dino,), "generation": ("sdxl", "identitynet", "ip-adapter.bin")}
    needed = [part for role, names in parts.items() if settings.role in (role, "all") for part in names]
    missing_parts = [
        f"checkpoint {bundle_spec.path(part)} is missing" for part in needed if not bundle_spec.path(part).exists()
    ]
    return missing_parts + _missing_safety(settings)


def _missing_safety(settings: Settings) -> list[str]:
    """A message about the first missing file of the safety checker, if one is configured."""
    if not settings.safety_checkpoint or settings.role == "detection":
        return []
    folder = Path(settings.safety_checkpoint)
    needed = [folder, folder / "config.json", folder / "preprocessor_config.json"]
    return [f"TROUPE_SAFETY_CHECKPOINT: {path} is missing" for path in needed if not path.exists()][:1]


def _without_overrides(settings: Settings) -> BundleSpec:
    if settings.bundle == "mini":
        # Discs of ten pixels would cover the faces, which are forty pixels wide.
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
    # insightface finds large faces better in small inputs; InstantID's authors retry in the same way.
    sizes = (640, 512, 448, 384, 320, 256, 192)
    return BundleSpec(
        name=settings.bundle, folder=folder, pack=_only_pack(folder), detection_px=sizes, keypoint_style=KeypointStyle()
    )


def _only_pack(folder: Path) -> str:
    packs = sorted(path.name for path in (folder / "faces" / "models").glob("*") if path.is_dir())
    if len(packs) != 1:
        message = f"{folder / 'faces' / 'models'} must contain one insightface model pack, but contains {len(packs)}"
        raise BundleError(message)
    return packs[0]


def _files(folder: Path) -> Iterator[Path]:
    """All files except hidden ones and the lock file, which are left by downloads and are not checkpoints."""
    if folder.is_file():
        yield folder
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.name != LOCK_NAME and not any(part.startswith(".") for part in inside.parts):
            yield path
