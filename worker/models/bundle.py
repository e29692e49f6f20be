"""The loaded models of a worker's role."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from shared.settings import Role, Settings
from worker.models.base import Base
from worker.models.catalog import DINO_FOLDERS, BundleSpec, bundle_spec_of
from worker.models.device import count_gpus, device_of
from worker.models.dino import PhraseDetector, load_dino
from worker.models.faces import FaceReader, load_faces
from worker.models.keypoints import KeypointStyle
from worker.models.lock_file import Lock
from worker.models.loras import Loras, load_loras
from worker.models.pretrained import Generator, load_generator
from worker.models.weights import checkpoint

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What the detection role works with. engine: the name of the Grounding DINO that runs."""

    faces: FaceReader
    phrases: PhraseDetector
    engine: str


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What the generation role works with. name: of the bundle, with how its weights are held.

    batched: all branches of a step in one forward; replayed: on CUDA a forward is recorded once and replayed.
    """

    name: str = ""
    generator: Generator
    keypoint_style: KeypointStyle
    batched: bool
    cuda_graphs: bool = False
    loras: Loras = field(default_factory=Loras)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The models of a role; None for what the role does not need. name: with the fingerprint of the files."""

    name: str
    device: torch.device
    detection: Detection | None
    generation: Generation | None


def load_bundle(settings: Settings, role: Role) -> Bundle:
    """Loads what the role needs.

    Raises BundleError for a device, or for files, that are missing or do not fit; TransientError while no GPU is free.
    """
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    bundle_spec = bundle_spec_of(settings)
    Lock.read(bundle_spec.folder).check_sizes(bundle_spec.folder)
    device = device_of(settings, count_gpus())
    if device.type == "cuda":
        # Recordings, and whatever names no device, are for torch's current one.
        torch.cuda.set_device(device)
    name = bundle_spec.fingerprint()
    return Bundle(
        name=name,
        device=device,
        detection=_load_detection(settings, bundle_spec, device) if role in {"detection", "all"} else None,
        generation=_load_generation(settings, bundle_spec, name, device) if role in {"generation", "all"} else None,
    )


def _load_detection(settings: Settings, bundle_spec: BundleSpec, device: torch.device) -> Detection:
    with checkpoint(bundle_spec.path("faces")):
        faces = load_faces(
            bundle_spec.path("faces"), bundle_spec.pack, detection_px=bundle_spec.detection_px, device=device
        )
    dino = bundle_spec.path(DINO_FOLDERS[settings.dino_engine])
    with checkpoint(dino):
        phrases = load_dino(settings.dino_engine, dino, device)
    return Detection(faces=faces, phrases=phrases, engine=settings.dino_engine)


def _load_generation(settings: Settings, bundle_spec: BundleSpec, bundle: str, device: torch.device) -> Generation:
    if settings.dtype == "auto":
        dtype = torch.float16 if device.type == "cuda" else torch.float32
    else:
        dtype = _DTYPES[settings.dtype]
    generator = load_generator(
        sdxl=bundle_spec.path("sdxl"),
        identitynet=bundle_spec.path("identitynet"),
        adapter=bundle_spec.path("ip-adapter.bin"),
        device=device,
        dtype=dtype,
        base=Base(path=bundle_spec.base or bundle_spec.path("sdxl"), vae=bundle_spec.vae),
        quantized=settings.memory == "quantized",
    )
    loras = load_loras(generator.sdxl.pipeline, settings.allowed_loras)
    return Generation(
        name=_held(bundle, dtype, settings),
        generator=generator,
        keypoint_style=bundle_spec.keypoint_style,
        batched=settings.batch_branches,
        cuda_graphs=settings.cuda_graphs,
        loras=loras,
    )


def _held(bundle: str, dtype: torch.dtype, settings: Settings) -> str:
    """The bundle's name with how the weights are held: halves and 8 bits draw other pictures than whole ones."""
    return f"{bundle}+{str(dtype).removeprefix('torch.')}{'+quantized' * (settings.memory == 'quantized')}"
