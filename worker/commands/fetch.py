"""`./run fetch sdxl|safety [--folder F]`: published checkpoints into one folder, once; later runs verify what is there.

Files come from the model hub (HF_ENDPOINT names another one) and insightface's release. A download that was cut goes on
where it stopped. At the first fetch the lock file keeps the sha256 and the commit of every file; afterwards a file that
is not what it was is an error, wherever it changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get

from shared.errors import BundleError
from worker.models.catalog import FACES, HUB_SOURCES, SAFETY, Source
from worker.models.lock_file import Lock, Locked, sha256_of

_PARTIAL = ".fetch"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Announced:
    """What the hub says of a file. sha256: None for small files, of which it tells another digest."""

    location: str
    commit: str
    etag: str
    size_bytes: int
    sha256: str | None


def fetch(folder: Path, pack: str = FACES.repository) -> None:
    """All sources of the `sdxl` bundle, each file verified. Raises BundleError naming the file."""
    _fetch_all(folder, HUB_SOURCES)
    _introduce(FACES)
    # Each of them is looked at, whatever the others are.
    verified = [_verified(folder, file) for file in FACES.files.values()]
    if not all(verified):
        _fetch_pack(folder, pack)
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)


def fetch_safety(folder: Path) -> None:
    """The safety checker, each file verified. Raises BundleError naming the file."""
    _fetch_all(folder, (SAFETY,))
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)


def _fetch_all(folder: Path, sources: Sequence[Source]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        _introduce(source)
        for remote, file in source.files.items():
            if not _verified(folder, file):
                _fetch_from_hub(folder, source, remote, file)


def _introduce(source: Source) -> None:
    print(f"{source.repository}: about {source.size_gb} GB, {source.dtype}; licence: {source.licence}", flush=True)


def _verified(folder: Path, file: str) -> bool:
    """Whether the file is there as it was locked; False when it is not there. Raises BundleError for another one."""
    path, locked = folder / file, Lock.read(folder).files.get(file)
    if not path.exists() or locked is None:
        return False
    found = sha256_of(path)
    if found != locked.sha256:
        raise BundleError(
            f"{path} has changed since it was fetched ({found[:12]}, was {locked.sha256[:12]}): delete it"
        )
    return True


def _fetch_from_hub(folder: Path, source: Source, remote: str, file: str) -> None:
    locked = Lock.read(folder).files.get(file)
    revision = locked.revision if locked else source.revision
    with _named(f"{source.repository}/{remote}"):
        said = _announced(hf_hub_url(source.repository, remote, revision=revision))
        # Another file under the same name must not be glued to the first half of this one.
        partial = folder / _PARTIAL / f"{file.replace('/', '__')}.{said.etag[:16]}"
        _download(said.location, partial, said.size_bytes)
    found = sha256_of(partial)
    wanted = locked.sha256 if locked else said.sha256
    if wanted and found != wanted:
        partial.unlink()
        raise BundleError(f"{source.repository}/{remote} came as {found[:12]} and should be {wanted[:12]}")
    _keep(folder, partial, file, Locked(
        sha256=found, size_bytes=said.size_bytes, source=f"{source.repository}/{remote}", revision=said.commit
    ))  # fmt: skip


def _announced(url: str) -> Announced:
    said = get_hf_file_metadata(url)
    if not said.etag or said.size is None or not said.commit_hash:
        raise BundleError(f"{url} tells no size, digest and commit: is this a model hub?")
    return Announced(
        location=said.location,
        commit=said.commit_hash,
        etag=said.etag,
        size_bytes=said.size,
        sha256=said.etag if _SHA256.fullmatch(said.etag) else None,
    )


def _fetch_pack(folder: Path, url: str) -> None:
    archive = folder / _PARTIAL / "pack.zip"
    with _named(url):
        _download(url, archive, None)
    lock = Lock.read(folder)
    with _named(url), zipfile.ZipFile(archive) as opened:
        inside = {Path(name).name: name for name in opened.namelist()}
        for name, file in FACES.files.items():
            if name not in inside:
                raise BundleError(f"{url} holds no {name}")
            taken = folder / _PARTIAL / name
            with opened.open(inside[name]) as source, taken.open("wb") as target:
                shutil.copyfileobj(source, target)
            found, locked = sha256_of(taken), lock.files.get(file)
            if locked and locked.sha256 != found:
                raise BundleError(f"{name} of {url} came as {found[:12]} and should be {locked.sha256[:12]}")
            size_bytes = taken.stat().st_size
            _keep(folder, taken, file, Locked(sha256=found, size_bytes=size_bytes, source=url, revision=""))


def _download(url: str, partial: Path, size_bytes: int | None) -> None:
    """The rest of a file: what is there of it already is not fetched again."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    at = partial.stat().st_size if partial.exists() else 0
    if size_bytes is None:
        # Nothing says whether the beginning belongs to the same file.
        at = 0
    with partial.open("r+b" if at else "wb") as file:
        file.seek(at)
        http_get(url, file, resume_size=at, expected_size=size_bytes, displayed_filename=partial.name)


def _keep(folder: Path, partial: Path, file: str, locked: Locked) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(path)
    Lock.read(folder).having(file, locked).write(folder)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Says of which file the network or the archive failed."""
    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise BundleError(f"{what} was not fetched: {error}") from error


def main() -> int:
    """Fetches and verifies; 1 with one line when a file is not what it should be."""
    parser = argparse.ArgumentParser(prog="./run fetch", description=__doc__)
    parser.add_argument("what", choices=["sdxl", "safety"], help="the bundle, or the checker of finished pictures")
    parser.add_argument("--folder", type=Path, help="where to; ./bundle or ./safety")
    parser.add_argument("--pack", default=FACES.repository, help="address of insightface's antelopev2.zip")
    asked = parser.parse_args()
    folder: Path = asked.folder or Path("bundle" if asked.what == "sdxl" else "safety")
    variables = "TROUPE_BUNDLE=sdxl TROUPE_BUNDLE_FOLDER" if asked.what == "sdxl" else "TROUPE_SAFETY_CHECKPOINT"
    try:
        if asked.what == "sdxl":
            fetch(folder, asked.pack)
        else:
            fetch_safety(folder)
    except BundleError as error:
        print(f"fetch: {error.message}", file=sys.stderr)
        return 1
    print(f"complete and verified; for workers: {variables}={folder.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
