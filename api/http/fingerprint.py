"""The fingerprint of a request, computed while the body is read: equal requests have equal fingerprints."""

from __future__ import annotations

import hashlib
import struct

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

CONSENT_HEADER = "Troupe-Consent"


class Fingerprint:
    """sha256 over the query, the type, `Troupe-Consent` and the body.

    Of a form it hashes the parts, because every sender uses a new boundary. Each piece is followed by its kind and
    length, so that different bodies give different sequences. No bytes are kept.
    """

    def __init__(self, *, query: bytes, content_type: str, consent: str = "") -> None:
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._piece_bytes = 0
        kind, options = parse_options_header(content_type)
        self._add(query)
        self._end(b"q")
        self._add(kind)
        self._end(b"t")
        if consent:
            self._add(consent.encode("latin-1"))
            self._end(b"c")
        self._parser: MultipartParser | None = None
        boundary = options.get(b"boundary")
        if kind == b"multipart/form-data" and boundary:
            self._parser = self._parser_of(boundary)

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        self.size_bytes += len(chunk)
        if self._parser is None:
            self._add(chunk)
            return
        try:
            self._parser.write(chunk)
        except FormParserError:
            # The form is malformed, which the route will report: the rest is hashed as plain bytes.
            self._parser = None
            self._end(b"?")
            self._add(chunk)

    def digest(self) -> str:
        """The fingerprint (hexadecimal) of the bytes so far."""
        so_far = self._hash.copy()
        so_far.update(struct.pack(">cQ", b"b", self._piece_bytes))
        return so_far.hexdigest()

    def _parser_of(self, boundary: bytes) -> MultipartParser | None:
        in_name = False

        def name(data: bytes, start: int, end: int) -> None:
            nonlocal in_name
            in_name = True
            self._add(data[start:end].lower())

        def piece(data: bytes, start: int, end: int) -> None:
            nonlocal in_name
            if in_name:
                self._end(b"n")
                in_name = False
            self._add(data[start:end])

        try:
            return MultipartParser(
                boundary,
                {
                    "on_header_field": name,
                    "on_header_value": piece,
                    "on_header_end": lambda: self._end(b"h"),
                    "on_headers_finished": lambda: self._end(b"f"),
                    "on_part_data": piece,
                    "on_part_end": lambda: self._end(b"p"),
                    "on_end": lambda: self._end(b"e"),
                },
            )
        except FormParserError:
            return None

    def _add(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._piece_bytes += len(piece)

    def _end(self, what: bytes) -> None:
        self._hash.update(struct.pack(">cQ", what, self._piece_bytes))
        self._piece_bytes = 0
