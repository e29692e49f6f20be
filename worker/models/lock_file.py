"""The lock file of a fetched bundle: what every file was when it was fetched first, so that later it can be told."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import BundleError

NAME = "bundle.lock.json"


class Locked(BaseModel):
    """One file as it was fetched. revision: the commit, where the source has one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int
    source: str
    revision: str


class Lock(BaseModel):
    """All files of a bundle's folder, by their paths in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, Locked] = {}

    @classmethod
    def read(cls, folder: Path) -> Lock:
        """The folder's lock, an empty one where there is none. Raises BundleError for one that is not readable."""
        path = folder / NAME
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BundleError(f"lock file {path} cannot be read: {error}") from error

    def having(self, file: str, locked: Locked) -> Lock:
        """This lock with one more file."""
        return Lock(files=self.files | {file: locked})

    def write(self, folder: Path) -> None:
        """Puts it into the folder in one step."""
        new = folder / f".{NAME}.new"
        new.write_text(self.model_dump_json(indent=2) + "\n")
        new.replace(folder / NAME)

    def check_sizes(self, folder: Path) -> None:
        """Raises BundleError naming a file that is there but not as long as it was. Reads no file."""
        for file, locked in self.files.items():
            path = folder / file
            if path.exists() and path.stat().st_size != locked.size_bytes:
                message = (
                    f"checkpoint {path} is {path.stat().st_size} bytes long and was fetched with {locked.size_bytes}"
                )
                raise BundleError(f"{message}: delete it and fetch it again")


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
