"""The folder of a batch: its id, its pictures and its files. A command that was interrupted continues from it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from api.client import Batch, BatchEstimate, BatchPicture, Client
from api.client.photos import Photos
from api.client.saving import WholeFile
from shared.errors import BatchNotFound, InvalidField, RequestError

_DOWNLOADS_AT_ONCE = 4
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class BatchOptions(BaseModel):
    """Options of a batch, as `Client.make_batch` takes them."""

    model_config = ConfigDict(frozen=True)

    name: str | None = None
    strict: bool = False
    expires_after_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class BatchFolder:
    """The folder for the pictures of one file of lines. consent: stored with the photos that are sent."""

    path: Path
    source: Path
    options: BatchOptions
    consent: str | None = None

    def begin(self, client: Client) -> Batch:
        """The batch of these lines: the one that runs already, or a new one. Raises RequestError or InvalidField."""
        raw = self.source.read_bytes()
        digest = _digest(raw, self.options)
        known = self._known()
        if known is not None and known.get("source") != digest:
            message = f"{self.path} belongs to other lines or options: name another folder with --out"
            raise RequestError(message)
        number = 0 if known is None else int(known.get("number", 0))
        if known is not None and "id" in known:
            try:
                return client.batch(str(known["id"]))
            except BatchNotFound:
                # The server has deleted it, so all lines are submitted again.
                number += 1
        self.path.mkdir(parents=True, exist_ok=True)
        lines = b"".join(self._with_ids(raw, client))
        # The key depends on what is sent: a command that lost the answer gets the same batch.
        key = f"{_digest(lines, self.options)[:48]}-{number}"
        made = client.make_batch(lines, idempotency_key=key, **self.options.model_dump())
        self._write("batch.json", json.dumps({"id": made.id, "source": digest, "number": number}).encode())
        return made

    def dry_run(self, client: Client) -> BatchEstimate:
        """What the batch would cost. No photo is sent. Raises RequestError or InvalidField."""
        lines = b"".join(self._with_ids(self.source.read_bytes(), None))
        return client.dry_run_batch(lines, unsent_photos=True, **self.options.model_dump())

    def fetch(self, client: Client, batch: Batch) -> None:
        """Downloads every picture that the folder lacks."""
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
        with WholeFile(self.path / name) as file:
            file.write(data)

    def _known(self) -> dict[str, Any] | None:
        try:
            known = json.loads((self.path / "batch.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            message = f"{self.path / 'batch.json'} is not readable: {error}"
            raise InvalidField(message) from error
        return known if isinstance(known, dict) else {}

    def _with_ids(self, raw: bytes, client: Client | None) -> Iterator[bytes]:
        """The lines with ids in place of photos. An unreadable line stays as it is.

        client: sends each photo before its line; without one, no photo is sent.
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
                job = photos.with_ids(asked, self.source.parent)
            except InvalidField as error:
                message = f"line {number}: {error.message}"
                raise InvalidField(message) from error
            if client is not None:
                for name in photos.unsent(job):
                    client.upload(photos.read(name), consent=self.consent)
                    photos.sent(name)
            yield json.dumps({"custom_id": f"line-{number}", **job}).encode() + b"\n"


def _digest(lines: bytes, options: BatchOptions) -> str:
    return hashlib.sha256(lines + options.model_dump_json().encode()).hexdigest()
