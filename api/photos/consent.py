"""What somebody who sends a photo says of the consent of the person in it: a field of the form, or a header.

It is the tenant's own record: kept with the photo, told to the tenant, read by nobody here, and in no log of ours.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote_to_bytes

from fastapi import Request

from api.http.parameters import CONSENT
from api.http.problems import FieldError, Refusal
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


def consent_in_header(request: Request) -> str:
    """What the header says, in UTF-8 as it is or percent-encoded after `UTF-8''`; "" for nothing. Raises a Refusal."""
    given = request.headers.getlist(CONSENT)
    if len(given) > 1:
        raise _wrong("given_twice", f"{CONSENT} may be given once", header=True)
    text = given[0] if given else ""
    encoded = text[: len(_ENCODED)].lower() == _ENCODED
    raw = unquote_to_bytes(text[len(_ENCODED) :]) if encoded else text.encode("latin-1")
    try:
        return _tidy(raw.decode(), header=True)
    except UnicodeDecodeError as error:
        message = f"{CONSENT} must be UTF-8, as it is or percent-encoded after UTF-8''"
        raise _wrong("not_utf_8", message, header=True) from error


def consent_in_field(text: object) -> str:
    """What a form's field says, which may be missing (None) or be no text; "" for nothing. Raises a Refusal."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise _wrong("not_a_text", f"the field {FIELD} must be text, not a file")
    return _tidy(text)


def one_of(header: str, field: str) -> str:
    """What was said in the one place or the other. Raises a Refusal when both say something."""
    if header and field:
        raise _wrong("given_twice", f"say it in the field {FIELD} or in {CONSENT}, not in both")
    return header or field


def required(consent: str, settings: Settings) -> str:
    """The consent, where the server does with none. Raises ConsentRequired."""
    if settings.require_consent and not consent:
        raise ConsentRequired(
            f"this server takes a photo only with the basis on which it is used: the form's field {FIELD}, or {CONSENT}"
        )
    return consent


def _tidy(text: str, *, header: bool = False) -> str:
    """The text in one line."""
    line = " ".join(text.split())
    if len(line) > MOST_CHARS:
        raise _wrong("too_long", f"what is said of consent may have {MOST_CHARS} characters", header=header)
    if any(unicodedata.category(char) in _CONTROLS for char in line):
        raise _wrong("control_character", "what is said of consent holds a control character", header=header)
    return line


def _wrong(code: str, message: str, *, header: bool = False) -> Refusal:
    pointer, parameter = (None, CONSENT) if header else (f"/{FIELD}", None)
    wrong = FieldError(code=code, message=message, pointer=pointer, parameter=parameter)
    return Refusal(InvalidField, message, [wrong])
