"""What C2PA's own reader finds in a picture."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import c2pa


def validated(png: bytes, *, root: Path | None = None) -> tuple[str, dict[str, Any], list[str]]:
    """State, active manifest and codes of failures. root: certificate of the issuer whom the reader trusts."""
    trust = {"trust": {"trust_anchors": root.read_text()}} if root else {}
    context = c2pa.Context.from_dict({"version": 1, **trust})
    with c2pa.Reader("image/png", io.BytesIO(png), context=context) as reader:
        found = json.loads(reader.json())
    failures = [one["code"] for one in found["validation_results"]["activeManifest"]["failure"]]
    return found["validation_state"], found["manifests"][found["active_manifest"]], failures
