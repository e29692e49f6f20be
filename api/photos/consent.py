"""The consent of the person in a photo, as the sender states it: a field of the form, or a header.

It is the tenant's own record: stored with the photo, shown to the tenant, not interpreted, and never logged.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote_to_bytes

from api.http.fingerprint import CONSENT_HEADER
from api.http.parameters import Parameter, UnreadableValue
from api.http.problems import FieldError, InvalidFields
from shared.errors import ConsentRequired, InvalidField
from shared.settings import Settings

FIELD = "consent"
MOST_CHARS = 500
CONSENT_SCHEMA = {
    "type": "string",
    "maxLength": MOST_CHARS,
    "description": "On what basis the photos are used: stored with each photo and shown in the audit log",
    "examples": ["written release 2026-11-03, A. Person"],
}
# RFC 8187: how a header says what Latin-1 cannot.
_ENCODED = "utf-8''"
# A log on a terminal must not be led astray; joiners, which some names are written with, are no control characters.
_CONTROLS = frozenset({"Cc", "Cs"})


def consent_in_field(text: object) -> str:
    """The consent of a form's field, "" where it is missing (None). Raises InvalidFields."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise _wrong_field("not_a_text", f"the field {FIELD} must be text, not a file")
    try:
        return _one_line(text)
    except UnreadableValue as error:
        raise _wrong_field(error.code, f"{FIELD} {error.message}") from error


def _header_text(text: str) -> str:
    """The consent of a header: UTF-8 as it is, or percent-encoded after `UTF-8''`."""
    encoded = text[: len(_ENCODED)].lower() == _ENCODED
    raw = unquote_to_bytes(text[len(_ENCODED) :]) if encoded else text.encode("latin-1")
    try:
        return _one_line(raw.decode())
    except UnicodeDecodeError as error:
        raise UnreadableValue("not_utf_8", "must be UTF-8, as it is or percent-encoded after UTF-8''") from error


def one_of(header: str, field: str) -> str:
    """The consent of the header or of the field. Raises InvalidFields when both are given."""
    if header and field:
        raise _wrong_field("given_twice", f"give the consent in the field {FIELD} or in {CONSENT_HEADER}, not in both")
    return header or field


def required(consent: str, settings: Settings) -> str:
    """The consent. Raises ConsentRequired when it is empty and the settings require one."""
    if settings.require_consent and not consent:
        raise ConsentRequired(
            f"this server needs the consent for each photo: the form's field {FIELD}, or the header {CONSENT_HEADER}"
        )
    return consent


def _one_line(text: str) -> str:
    """The text in one line. Raises UnreadableValue."""
    line = " ".join(text.split())
    if len(line) > MOST_CHARS:
        raise UnreadableValue("too_long", f"may have {MOST_CHARS} characters")
    if any(unicodedata.category(char) in _CONTROLS for char in line):
        raise UnreadableValue("control_character", "holds a control character")
    return line


def _wrong_field(code: str, message: str) -> InvalidFields:
    return InvalidFields(InvalidField, message, [FieldError(code=code, message=message, pointer=f"/{FIELD}")])


CONSENT = Parameter(
    name=CONSENT_HEADER,
    description="The same as a form's field `consent`, for every other body; UTF-8 as it is, or percent-encoded after "
    "`UTF-8''` (RFC 8187)",
    parse=_header_text,
    default="",
    place="header",
    example="written release 2026-11-03, A. Person",
)
