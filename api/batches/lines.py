"""A stream of bytes -> numbered lines -> validated lines. Nothing here calls a server."""

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

# A line with the longest texts and every character escaped has about 190 kB.
MAX_LINE_BYTES = 262_144
_SHOWN_ERRORS = 5
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class RawLine:
    """A line and its number, from 1. data: None for a line that is too long."""

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
    """A line that cannot become a job, and why. custom_id: if it could be read."""

    number: int
    custom_id: str | None
    errors: tuple[LineError, ...]


CheckedLine = ValidLine | InvalidLine


class BatchLine(JobSpec):
    """A line of a batch: a job as for `POST /v1/jobs`, with an id of your choice that is unique in the batch."""

    custom_id: CustomId
    lane: Lane = "batch"


class LineSplitter:
    """Splits a stream of chunks into lines; holds at most one line."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._number = 0

    @property
    def lines(self) -> int:
        """Number of lines so far, the incomplete one too."""
        return self._number + bool(self._held_bytes)

    def feed(self, data: bytes) -> list[RawLine]:
        """The lines that these bytes complete; empty ones are skipped but counted."""
        *complete, rest = data.split(b"\n")
        found: list[RawLine] = []
        for part in complete:
            self._hold(part)
            found.extend(self._taken())
        self._hold(rest)
        return found

    def end(self) -> list[RawLine]:
        """The last line, if it has no newline."""
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
    """Validates lines, except their photos. Remembers every custom id of the batch in 8 bytes."""

    def __init__(self, limits: BundleLimits) -> None:
        self._limits = limits
        self._seen: set[int] = set()
        # A secret key, so that nobody can construct two ids with the same digest.
        self._key = secrets.token_bytes(16)

    def read(self, lines: Iterable[RawLine]) -> list[CheckedLine]:
        """The lines, each valid or invalid."""
        return [self._read(line) for line in lines]

    def check(self, number: int, custom_id: str, spec: JobSpec) -> CheckedLine:
        """A spec that was not sent as a line of JSON."""
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
            parsed = BatchLine.model_validate_json(line.data, strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            return InvalidLine(
                number=line.number, custom_id=_custom_id(line.data), errors=errors_of(fields_of(details))
            )
        if parsed.lane != "batch":
            wrong = LineError(
                code="lane_not_batch", message="jobs of a batch must be in the lane batch", pointer="/lane"
            )
            return InvalidLine(number=line.number, custom_id=parsed.custom_id, errors=(wrong,))
        return self.check(line.number, parsed.custom_id, spec_of_line(parsed))


def spec_of_line(line: BatchLine) -> JobSpec:
    """The job of a line, without the line's own id."""
    values = {name: getattr(line, name) for name in JobSpec.model_fields}
    return JobSpec.model_construct(**values)


def errors_of(fields: Iterable[FieldError]) -> tuple[LineError, ...]:
    """The first few errors of a line."""
    errors = [LineError(code=one.code, message=one.message, pointer=one.pointer) for one in fields]
    return tuple(errors[:_SHOWN_ERRORS])


def _custom_id(data: bytes) -> str | None:
    """The custom id of an invalid line, if it is readable."""
    try:
        value = from_json(data)
    except ValueError:
        return None
    found = value.get("custom_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) and len(found) <= MAX_CUSTOM_ID_CHARS else None
