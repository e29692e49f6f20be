"""`./run fetch sdxl|safety [--folder F]`: downloads published checkpoints into a folder; later runs verify the files.

The files come from the model hub (HF_ENDPOINT selects another one) and from insightface's release. An interrupted
download is resumed. The first run writes the SHA-256 and the commit of every file into a lock file; afterwards a file
that differs is an error, whether it changed here or at its source.
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
class FileInfo:
    """Metadata of a file on the hub. sha256: None for small files, for which the hub gives another digest."""

    location: str
    commit: str
    etag: str
    size_bytes: int
    sha256: str | None


def fetch(folder: Path, pack: str = FACES.repository) -> None:
    """Downloads and verifies every file of the `sdxl` bundle. Raises BundleError, which names the file."""
    _fetch_all(folder, HUB_SOURCES)
    _print_source(FACES)
    # A list, not `all` over a generator: every file is verified, even if one is missing.
    verified = [_verified(folder, file) for file in FACES.files.values()]
    if not all(verified):
        _fetch_pack(folder, pack)
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)


def fetch_safety(folder: Path) -> None:
    """Downloads and verifies the safety checker. Raises BundleError, which names the file."""
    _fetch_all(folder, (SAFETY,))
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)


def _fetch_all(folder: Path, sources: Sequence[Source]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        _print_source(source)
        for remote, file in source.files.items():
            if not _verified(folder, file):
                _fetch_from_hub(folder, source, remote, file)


def _print_source(source: Source) -> None:
    print(f"{source.repository}: about {source.size_gb} GB, {source.dtype}; licence: {source.licence}", flush=True)


def _verified(folder: Path, file: str) -> bool:
    """Whether the file exists and matches the lock file. Raises BundleError if it exists and differs."""
    path, locked = folder / file, Lock.read(folder).files.get(file)
    if not path.exists() or locked is None:
        return False
    found = sha256_of(path)
    if found != locked.sha256:
        raise BundleError(
            f"{path} has changed since it was fetched (SHA-256 {found[:12]}, expected {locked.sha256[:12]}): delete it"
        )
    return True


def _fetch_from_hub(folder: Path, source: Source, remote: str, file: str) -> None:
    locked = Lock.read(folder).files.get(file)
    revision = locked.revision if locked else source.revision
    with _named(f"{source.repository}/{remote}"):
        info = _file_info(hf_hub_url(source.repository, remote, revision=revision))
        # The digest is in the name: a download of another version of the file must not be resumed.
        partial = folder / _PARTIAL / f"{file.replace('/', '__')}.{info.etag[:16]}"
        _download(info.location, partial, info.size_bytes)
    found = sha256_of(partial)
    wanted = locked.sha256 if locked else info.sha256
    if wanted and found != wanted:
        partial.unlink()
        raise BundleError(f"{source.repository}/{remote} has SHA-256 {found[:12]}, expected {wanted[:12]}")
    _move_and_lock(folder, partial, file, Locked(
        sha256=found, size_bytes=info.size_bytes, source=f"{source.repository}/{remote}", revision=info.commit
    ))  # fmt: skip


def _file_info(url: str) -> FileInfo:
    info = get_hf_file_metadata(url)
    if not info.etag or info.size is None or not info.commit_hash:
        raise BundleError(f"{url} does not give size, digest and commit of the file; is it a model hub?")
    return FileInfo(
        location=info.location,
        commit=info.commit_hash,
        etag=info.etag,
        size_bytes=info.size,
        sha256=info.etag if _SHA256.fullmatch(info.etag) else None,
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
                raise BundleError(f"{url} does not contain {name}")
            partial = folder / _PARTIAL / name
            with opened.open(inside[name]) as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target)
            found, locked = sha256_of(partial), lock.files.get(file)
            if locked and locked.sha256 != found:
                raise BundleError(f"{name} of {url} has SHA-256 {found[:12]}, expected {locked.sha256[:12]}")
            size_bytes = partial.stat().st_size
            _move_and_lock(folder, partial, file, Locked(sha256=found, size_bytes=size_bytes, source=url, revision=""))


def _download(url: str, partial: Path, size_bytes: int | None) -> None:
    """Downloads a file, or the rest of it if the beginning exists."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    at = partial.stat().st_size if partial.exists() else 0
    if size_bytes is None:
        # Nothing shows whether the beginning belongs to the same version of the file.
        at = 0
    with partial.open("r+b" if at else "wb") as file:
        file.seek(at)
        http_get(url, file, resume_size=at, expected_size=size_bytes, displayed_filename=partial.name)


def _move_and_lock(folder: Path, partial: Path, file: str, locked: Locked) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(path)
    Lock.read(folder).having(file, locked).write(folder)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Turns errors of the network and the archive into BundleError, which names the file."""
    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise BundleError(f"{what} could not be downloaded: {error}") from error


def main() -> int:
    """Downloads and verifies. Gives 1 and prints one line if a file cannot be downloaded or differs."""
    parser = argparse.ArgumentParser(prog="./run fetch", description=__doc__)
    parser.add_argument("what", choices=["sdxl", "safety"], help="the SDXL bundle or the safety checker")
    parser.add_argument("--folder", type=Path, help="target folder; by default ./bundle or ./safety")
    parser.add_argument("--pack", default=FACES.repository, help="URL of insightface's antelopev2.zip")
    arguments = parser.parse_args()
    folder: Path = arguments.folder or Path("bundle" if arguments.what == "sdxl" else "safety")
    variables = "TROUPE_BUNDLE=sdxl TROUPE_BUNDLE_FOLDER" if arguments.what == "sdxl" else "TROUPE_SAFETY_CHECKPOINT"
    try:
        if arguments.what == "sdxl":
            fetch(folder, arguments.pack)
        else:
            fetch_safety(folder)
    except BundleError as error:
        print(f"fetch: {error.message}", file=sys.stderr)
        return 1
    print(f"complete and verified; for workers: {variables}={folder.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
