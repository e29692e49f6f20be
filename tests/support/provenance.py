"""What others' readers find in a picture: C2PA's own, and PIL."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import c2pa
from PIL import Image


def validated(png: bytes, *, root: Path | None = None) -> tuple[str, dict[str, Any], list[str]]:
    """State, active manifest and codes of failures. root: certificate of the issuer whom the reader trusts."""
    trust = {"trust": {"trust_anchors": root.read_text()}} if root else {}
    context = c2pa.Context.from_dict({"version": 1, **trust})
    with c2pa.Reader("image/png", io.BytesIO(png), context=context) as reader:
        found = json.loads(reader.json())
    failures = [one["code"] for one in found["validation_results"]["activeManifest"]["failure"]]
    return found["validation_state"], found["manifests"][found["active_manifest"]], failures


def text_in(png: bytes) -> str | None:
    """The text that says how the picture was drawn."""
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        found = image.info.get("troupe")
    return None if found is None else str(found)
