"""A stream of bytes -> numbered lines -> requests that were checked. Nothing here waits for a server."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import from_json

from api.http.problems import FieldError, InvalidFields, fields_of
from api.jobs.intake import complete_spec
from shared.batch import MAX_CUSTOM_ID_CHARS, CustomId, LineError
from shared.errors import RequestError
from shared.job import JobSpec, Lane
from shared.limits import BundleLimits

# A request with every text at its longest and every character escaped has about 190 kB.
MAX_LINE_BYTES = 262_144
_SHOWN_ERRORS = 5
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class RawLine:
    """A line as it came, with its number from 1. data: None when it was too long to be kept."""

    number: int
    data: bytes | None


@dataclass(frozen=True, kw_only=True)
class ValidLine:
    """A line that can become a job."""

    number: int
    custom_id: str
    spec: JobSpec


@dataclass(frozen=True, kw_only=True)
class InvalidLine:
    """A line that cannot, and why. custom_id: where it could be read."""

    number: int
    custom_id: str | None
    errors: tuple[LineError, ...]


CheckedLine = ValidLine | InvalidLine


class BatchLine(JobSpec):
    """A line: a job as `POST /v1/jobs` takes it, with an id that is the caller's own and unique in the batch."""

    custom_id: CustomId
    lane: Lane = "batch"


class LineSplitter:
    """Cuts a stream into lines, however it is chopped, and holds at most one line of it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._number = 0

    @property
    def lines(self) -> int:
        """Lines begun so far."""
        return self._number + bool(self._held_bytes)

    def feed(self, data: bytes) -> list[RawLine]:
        """The lines that are complete with these bytes; empty ones are left out, but counted."""
        *complete, rest = data.split(b"\n")
        found: list[RawLine] = []
        for part in complete:
            self._hold(part)
            found.extend(self._taken())
        self._hold(rest)
        return found

    def end(self) -> list[RawLine]:
        """The last line, if no newline ended it."""
        return list(self._taken()) if self._held_bytes else []

    def _hold(self, part: bytes) -> None:
        self._held_bytes += len(part)
        if self._held_bytes > MAX_LINE_BYTES:
            self._pieces.clear()
        elif part:
            self._pieces.append(part)

    def _taken(self) -> Iterator[RawLine]:
        self._number += 1
        is_too_long = self._held_bytes > MAX_LINE_BYTES
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._held_bytes = [], 0
        if self._number == 1:
            data = data.removeprefix(_BOM)
        if is_too_long:
            yield RawLine(number=self._number, data=None)
        elif data.strip():
            yield RawLine(number=self._number, data=data)


class LineReader:
    """Checks lines, all but their photos. Remembers every custom id of the batch in 8 bytes."""

    def __init__(self, limits: BundleLimits) -> None:
        self._limits = limits
        self._seen: set[int] = set()
        # With a key of its own, so that nobody can make two ids that look the same.
        self._key = secrets.token_bytes(16)

    def read(self, lines: Iterable[RawLine]) -> list[CheckedLine]:
        """The lines, each good or bad."""
        return [self._read(line) for line in lines]

    def check(self, number: int, custom_id: str, spec: JobSpec) -> CheckedLine:
        """A request that came otherwise than as a line of JSON."""
        digest = hashlib.blake2b(custom_id.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        known = int.from_bytes(digest)
        if known in self._seen:
            wrong = LineError(
                code="duplicate_custom_id", message="another line has this custom_id", pointer="/custom_id"
            )
            return InvalidLine(number=number, custom_id=custom_id, errors=(wrong,))
        self._seen.add(known)
        try:
            return ValidLine(number=number, custom_id=custom_id, spec=complete_spec(spec, self._limits))
        except InvalidFields as refusal:
            return InvalidLine(number=number, custom_id=custom_id, errors=errors_of(refusal.fields))
        except RequestError as error:
            wrong = LineError(code=error.code, message=error.message, pointer=error.pointer)
            return InvalidLine(number=number, custom_id=custom_id, errors=(wrong,))

    def _read(self, line: RawLine) -> CheckedLine:
        if line.data is None:
            wrong = LineError(code="line_too_long", message=f"the line has more than {MAX_LINE_BYTES} bytes")
            return InvalidLine(number=line.number, custom_id=None, errors=(wrong,))
        try:
            asked = BatchLine.model_validate_json(line.data, strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            return InvalidLine(
                number=line.number, custom_id=_custom_id(line.data), errors=errors_of(fields_of(details))
            )
        if asked.lane != "batch":
            wrong = LineError(
                code="lane_not_batch", message="the jobs of a batch are in the lane batch", pointer="/lane"
            )
            return InvalidLine(number=line.number, custom_id=asked.custom_id, errors=(wrong,))
        return self.check(line.number, asked.custom_id, spec_of_line(asked))


def spec_of_line(asked: BatchLine) -> JobSpec:
    """The job of a line, without the line's own id."""
    values = {name: getattr(asked, name) for name in JobSpec.model_fields}
    return JobSpec.model_construct(**values)


def errors_of(fields: Iterable[FieldError]) -> tuple[LineError, ...]:
    """What is wrong with a line; the first few things."""
    errors = [LineError(code=one.code, message=one.message, pointer=one.pointer) for one in fields]
    return tuple(errors[:_SHOWN_ERRORS])


def _custom_id(data: bytes) -> str | None:
    """The id of a line that is wrong otherwise."""
    try:
        value = from_json(data)
    except ValueError:
        return None
    found = value.get("custom_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) and len(found) <= MAX_CUSTOM_ID_CHARS else None
