"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO


class WholeFile:
    """A file that gets its name once everything is written; after an error nothing of it remains."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")

    def __enter__(self) -> IO[bytes]:
        self._file = self._part.open("wb")
        return self._file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()
