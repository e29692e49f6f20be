"""Stored results of stages: the files of an order lie under its digest, and `output.json` is written last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from shared.blob_store import BlobStore, stage_key
from shared.errors import BlobDamaged, BlobsUnavailable, UnknownPhoto
from shared.stages import Stage
from shared.verification import StageFindings

_OUTPUT = "output.json"
_CONTENT_TYPES = {".png": "image/png", ".json": "application/json", ".safetensors": "application/octet-stream"}


@dataclass(frozen=True, kw_only=True)
class Results:
    """Results of a tenant's jobs, by stage and digest. Every method that reads or writes may raise BlobsUnavailable."""

    blobs: BlobStore
    tenant: str

    def key(self, stage: Stage, digest: str, file: str) -> str:
        """Key of one file of a result."""
        return stage_key(self.tenant, stage, digest, file)

    def find(self, stage: Stage, digest: str) -> StageFindings | None:
        """The findings of a complete result, None when there is none, or a damaged one: then it is made again."""
        try:
            data = self.blobs.get(self.key(stage, digest, _OUTPUT))
        except BlobDamaged:
            return None
        return None if data is None else StageFindings.model_validate_json(data)

    def read(self, stage: Stage, digest: str, file: str) -> bytes:
        """One file of a result that an earlier stage of the job stored.

        Raises UnknownPhoto when it was erased together with a photo: another attempt cannot help. Raises
        BlobsUnavailable when it is missing for any other reason, and BlobDamaged. After either of them the stage is run
        again by the next job with the same order.
        """
        try:
            data = self.blobs.get(self.key(stage, digest, file))
        except BlobDamaged:
            self._withdraw(stage, digest, file)
            raise
        if data is not None:
            return data
        if stage.info.from_photos:
            message = "a photo of this job was erased while the job ran; upload it again"
            raise UnknownPhoto(message)
        self._withdraw(stage, digest, file)
        message = f"{file} of stage {stage} ({digest[:12]}) is no longer stored"
        raise BlobsUnavailable(message)

    def _withdraw(self, stage: Stage, digest: str, file: str) -> None:
        """The result is no longer complete; `store` replaces the file."""
        self.blobs.delete([self.key(stage, digest, name) for name in (_OUTPUT, file)])

    def store(self, stage: Stage, digest: str, files: Mapping[str, bytes], findings: StageFindings) -> None:
        """Stores a result. From then on `find` gives its findings."""
        for name, data in files.items():
            # The first file stays: two signatures of one picture differ, and a client may already have the first.
            self.blobs.put_new(self.key(stage, digest, name), data, _CONTENT_TYPES[PurePath(name).suffix])
        self.blobs.put(self.key(stage, digest, _OUTPUT), findings.model_dump_json().encode(), _CONTENT_TYPES[".json"])
