"""`/`: the page for people, and its files. It talks to the addresses that every other client talks to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import PurePath

from fastapi import FastAPI, Request, Response

from api.auth.middleware import PAGE
from api.photos.consent import MOST_CHARS
from shared.job import MAX_CONCEPTS, MAX_PHOTOS, MAX_PROMPT_CHARS
from shared.limits import limits_of
from shared.settings import Settings
from shared.stages import STAGES

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
# Where the page reads what this server allows.
_LIMITS = "{{limits}}"
# Pictures come from this server as well, as blobs: an <img> cannot send a key.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Kept by browsers, and asked for again each time: the files of two versions never meet.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, kw_only=True)
class _File:
    """One file of the page, as it is sent."""

    data: bytes
    type: str
    tag: str


def add_page(app: FastAPI, settings: Settings) -> None:
    """Serves the page at `/` and its files below `/page/`."""
    known = {name: _file(name, data) for name, data in _read(settings).items()}

    async def page(request: Request) -> Response:
        file = known[request.scope["path"].removeprefix(PAGE).removeprefix("/") or _INDEX]
        headers = {**_HEADERS, "ETag": file.tag}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.data, 200, headers, file.type)

    for name in known:
        app.add_route("/" if name == _INDEX else f"{PAGE}{name}", page, include_in_schema=False)


def _read(settings: Settings) -> dict[str, bytes]:
    """Every file that is served, by its name."""
    found = {one.name: one.read_bytes() for one in files("api.page").iterdir() if PurePath(one.name).suffix in _TYPES}
    found[_INDEX] = found[_INDEX].replace(_LIMITS.encode(), escape(json.dumps(_limits(settings))).encode())
    return found


def _limits(settings: Settings) -> dict[str, object]:
    return {
        **limits_of(settings.bundle).model_dump(),
        "stages": [
            {"name": stage.value, "label": stage.info.label, "activity": stage.info.activity} for stage in STAGES
        ],
        "max_concepts": MAX_CONCEPTS,
        "max_photos": MAX_PHOTOS,
        "max_prompt_chars": MAX_PROMPT_CHARS,
        "max_photo_bytes": settings.max_photo_bytes,
        "require_consent": settings.require_consent,
        "max_consent_chars": MOST_CHARS,
    }


def _file(name: str, data: bytes) -> _File:
    return _File(data=data, type=_TYPES[PurePath(name).suffix], tag=f'"{hashlib.sha256(data).hexdigest()[:32]}"')
