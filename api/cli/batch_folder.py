"""The folder of a batch: which batch it is, its pictures and its files. Whoever comes back goes on where it stands."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.client import Batch, BatchPicture, Client
from api.client.photos import Photos
from shared.errors import BatchNotFound, InvalidField, RequestError

_DOWNLOADS_AT_ONCE = 4
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class BatchFolder:
    """Where the pictures of one file of lines go. consent: said of the photos that are sent."""

    path: Path
    source: Path
    consent: str | None = None

    def begin(self, client: Client, options: dict[str, str]) -> Batch:
        """The batch of these lines: the one that runs already, or a new one. Raises RequestError or InvalidField."""
        raw = self.source.read_bytes()
        digest = _digest(raw, options)
        known = self._known()
        if known is not None and known.get("source") != digest:
            message = f"{self.path} belongs to other lines or options: name another folder with --out"
            raise RequestError(message)
        number = 0 if known is None else int(known.get("number", 0))
        if known is not None and "id" in known:
            try:
                return client.batch(str(known["id"]))
            except BatchNotFound:
                # The server has forgotten it; what is here already is not asked for again by name, but all lines are.
                number += 1
        self.path.mkdir(parents=True, exist_ok=True)
        lines = b"".join(self._settled(raw, client))
        # The key goes with what is sent: whoever was cut off before the answer came gets the same batch.
        key = f"{_digest(lines, options)[:48]}-{number}"
        made = client.make_batch(lines, idempotency_key=key, **options)
        self._write("batch.json", json.dumps({"id": made.id, "source": digest, "number": number}).encode())
        return made

    def lines(self) -> bytes:
        """The lines with ids for photos, none of which is sent. Raises InvalidField."""
        return b"".join(self._settled(self.source.read_bytes(), None))

    def fetch(self, client: Client, batch: Batch) -> None:
        """Downloads every picture that is not here yet."""
        (self.path / "pictures").mkdir(parents=True, exist_ok=True)
        pictures = client.batch_pictures(batch.id)
        missing = [one for one in pictures if not self._place(one).exists()]
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            for _ in pool.map(lambda one: self._fetch(client, one), missing):
                pass

    def finish(self, client: Client, batch: Batch) -> None:
        """Writes the output and the errors file."""
        for name in ("output", "errors"):
            self._write(f"{name}.jsonl", client.batch_file(batch.id, name))

    def _fetch(self, client: Client, picture: BatchPicture) -> None:
        place = self._place(picture)
        self._write(str(place.relative_to(self.path)), client.download(picture.url))

    def _place(self, picture: BatchPicture) -> Path:
        word = _NOT_IN_A_NAME.sub("_", picture.custom_id or "").strip(".")[:64]
        return self.path / "pictures" / f"{picture.line:06d}-{word}.png"

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all: a file that is there is taken for whole."""
        half = self.path / f"{name}.part"
        half.write_bytes(data)
        half.replace(self.path / name)

    def _known(self) -> dict[str, Any] | None:
        try:
            known = json.loads((self.path / "batch.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            message = f"{self.path / 'batch.json'} is not readable: {error}"
            raise InvalidField(message) from error
        return known if isinstance(known, dict) else {}

    def _settled(self, raw: bytes, client: Client | None) -> Iterator[bytes]:
        """The lines with ids for photos. A line that is not readable stays as it is.

        client: sends each photo before its line; without one none is sent.
        """
        photos = Photos()
        for number, line in enumerate(raw.splitlines(), 1):
            try:
                asked = json.loads(line)
            except ValueError:
                asked = None
            if not isinstance(asked, dict):
                yield line + b"\n"
                continue
            try:
                job = photos.settle(asked, self.source.parent)
            except InvalidField as error:
                message = f"line {number}: {error.message}"
                raise InvalidField(message) from error
            if client is not None:
                for name in photos.unsent(job):
                    client.upload(photos.read(name), consent=self.consent)
                    photos.sent(name)
            yield json.dumps({"custom_id": f"line-{number}", **job}).encode() + b"\n"


def _digest(lines: bytes, options: dict[str, str]) -> str:
    return hashlib.sha256(lines + json.dumps(options, sort_keys=True).encode()).hexdigest()
