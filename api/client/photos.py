"""Photos of a request: files, paths and bytes become ids, and only those that the server lacks are sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from shared.errors import InvalidField
from shared.job import PHOTO_ID

Photo = str | Path | bytes | IO[bytes]
"""A photo id, a path, bytes, or an open file."""

_ID = re.compile(PHOTO_ID)


class Photos:
    """The photos that this client has read, by id, and which of them it has sent."""

    def __init__(self) -> None:
        self._sources: dict[str, Path | bytes] = {}
        self._ids: dict[tuple[str, int, int], str] = {}
        self._sent: set[str] = set()

    def id_of(self, photo: Photo, folder: Path) -> str:
        """The id: sha256 of the bytes. Raises InvalidField for a path that cannot be read."""
        if isinstance(photo, str) and _ID.match(photo):
            return photo
        if isinstance(photo, str | Path):
            return self._id_of_file(folder / Path(photo).expanduser())
        data = photo if isinstance(photo, bytes) else photo.read()
        name = hashlib.sha256(data).hexdigest()
        self._sources[name] = data
        return name

    def with_ids(self, job: BaseModel | Mapping[str, object], folder: Path | None = None) -> dict[str, object]:
        """The job as JSON, with an id in place of each photo. folder: where relative paths start.

        Raises InvalidField for a file that cannot be read.
        """
        folder = folder or Path()
        document = job.model_dump(mode="json", exclude_defaults=True) if isinstance(job, BaseModel) else dict(job)
        concepts = document.get("concepts")
        if isinstance(concepts, list | tuple):
            document["concepts"] = [self._concept(concept, folder) for concept in concepts]
        return document

    def unsent(self, document: Mapping[str, object]) -> list[str]:
        """Ids of the job's photos that this client has read and not sent."""
        concepts = document.get("concepts")
        # If it does not have the shape of a job, the server says so.
        lists = [one.get("photos") for one in concepts if isinstance(one, dict)] if isinstance(concepts, list) else []
        used = [name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)]
        return [name for name in dict.fromkeys(used) if name in self._sources and name not in self._sent]

    def has(self, name: str) -> bool:
        """Whether this client still has the bytes of this photo."""
        return bool(self._sources.get(name))

    def read(self, name: str) -> bytes:
        """The bytes of a photo."""
        source = self._sources[name]
        return source if isinstance(source, bytes) else source.read_bytes()

    def sent(self, name: str) -> None:
        """Notes that the server has this photo; its bytes are dropped."""
        self._sent.add(name)
        if isinstance(self._sources.get(name), bytes):
            self._sources[name] = b""

    def _concept(self, concept: object, folder: Path) -> object:
        if isinstance(concept, BaseModel):
            concept = concept.model_dump(mode="json", exclude_defaults=True)
        if not isinstance(concept, Mapping) or "photos" not in concept:
            return concept
        given = concept["photos"]
        photos = list(given) if isinstance(given, list | tuple) else [given]
        return {**concept, "photos": [self.id_of(one, folder) if _is_photo(one) else one for one in photos]}

    def _id_of_file(self, path: Path) -> str:
        try:
            file = path.stat()
            known = (str(path), file.st_mtime_ns, file.st_size)
            if known not in self._ids:
                self._ids[known] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            message = f"the photo {path} cannot be read: {error.strerror}"
            raise InvalidField(message) from error
        self._sources[self._ids[known]] = path
        return self._ids[known]


def _is_photo(value: object) -> bool:
    return isinstance(value, str | Path | bytes) or hasattr(value, "read")
